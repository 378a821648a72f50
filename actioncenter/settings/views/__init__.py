"""Pages of the settings."""

from actioncenter.settings.views.authority import authority, authority_file
from actioncenter.settings.views.connecting import (
    add_connector,
    check_connector,
    connector,
    edit_connector,
    rehearse_connector,
    switch_connector,
)
from actioncenter.settings.views.connectors import connectors, pace, reset
from actioncenter.settings.views.groups import cancel_level, confirm_level, group, groups, keep_level, level
from actioncenter.settings.views.rules import add_rule, remove_rule, rule, rules
from actioncenter.settings.views.safeguards import renew, restore_breaker, safeguards
from actioncenter.settings.views.stops import explain, resume, stop, stops
from actioncenter.settings.views.streams import add_stream, remove_stream, streams, switch_stream

__all__ = [
    "add_connector",
    "add_rule",
    "add_stream",
    "authority",
    "authority_file",
    "cancel_level",
    "check_connector",
    "confirm_level",
    "connector",
    "connectors",
    "edit_connector",
    "explain",
    "group",
    "groups",
    "keep_level",
    "level",
    "pace",
    "rehearse_connector",
    "remove_rule",
    "remove_stream",
    "renew",
    "reset",
    "restore_breaker",
    "resume",
    "rule",
    "rules",
    "safeguards",
    "stop",
    "stops",
    "streams",
    "switch_connector",
    "switch_stream",
]
