"""Whether this installation is sound: one small check per thing that can be wrong, and what to do about it."""
