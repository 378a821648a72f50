"""Pending, History, one action, and decisions. Views call model methods; they never write a state."""
