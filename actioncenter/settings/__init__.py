"""The app that holds what admins set: device groups, levels, connectors. Not the Django settings."""

import os

# Django would load this package as settings without a word and run with no apps at all.
if os.environ.get("DJANGO_SETTINGS_MODULE") == __name__:
    raise RuntimeError("DJANGO_SETTINGS_MODULE must be actioncenter.conf, not actioncenter.settings.")
