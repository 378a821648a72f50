"""What runs on a managed host as root: standard library only, Python 3.9 or later, one request for each call.

It is packed into one file (connectors/ssh/packing.py). The controller is believed in nothing that the host can
see for itself, and nothing of what it says ever becomes part of a command line.
"""
