"""Taking up, without a restart, what was changed in the folder of the keys.

The settings are the one place where keys are looked up, Django's own sessions and signed values among
those who look; so that is where they are renewed.
"""

from pathlib import Path

from django.conf import settings

from actioncenter import keys


def refresh() -> bool:
    """Read the keys anew where their folder changed since the last look. Raises OSError."""
    folder = Path(settings.KEYS_DIR)
    if keys.stamp(folder) == settings.KEYS_SEEN:
        return False
    for name, value in keys.as_settings(folder).items():
        setattr(settings, name, value)
    return True
