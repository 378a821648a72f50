"""Pages of the settings."""

from actioncenter.settings.views.groups import cancel_level, confirm_level, group, groups, level

__all__ = ["cancel_level", "confirm_level", "group", "groups", "level"]
