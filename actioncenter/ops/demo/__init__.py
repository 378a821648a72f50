"""The demo: an invented company whose devices and mailboxes exist only in the simulator."""
