"""Pages of the settings."""

from actioncenter.settings.views.authority import authority, authority_file
from actioncenter.settings.views.connectors import connectors, pace, reset
from actioncenter.settings.views.groups import cancel_level, confirm_level, group, groups, keep_level, level
from actioncenter.settings.views.rules import add_rule, remove_rule, rule, rules
from actioncenter.settings.views.safeguards import renew, restore_breaker, safeguards
from actioncenter.settings.views.stops import explain, resume, stop, stops

__all__ = [
    "add_rule",
    "authority",
    "authority_file",
    "cancel_level",
    "confirm_level",
    "connectors",
    "explain",
    "group",
    "groups",
    "keep_level",
    "level",
    "pace",
    "remove_rule",
    "renew",
    "reset",
    "restore_breaker",
    "resume",
    "rule",
    "rules",
    "safeguards",
    "stop",
    "stops",
]
