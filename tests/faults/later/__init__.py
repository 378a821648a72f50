"""The release after this one, as far as its database goes: this code, and an update of which it needs every step."""
