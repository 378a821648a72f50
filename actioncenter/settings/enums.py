"""Vocabulary of settings. A leaf: no Django, anyone may read it."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class AutomationLevel(IntEnum):
    """Domain §4.1. Ordered: a higher number lets more run by itself."""

    NONE = 0
    SEMI_ALL = 1
    SEMI_NONTEMP = 2
    SEMI_CORE = 3
    FULL = 4


LEVEL_LABELS: Final[Mapping[AutomationLevel, str]] = {
    AutomationLevel.FULL: "Full",
    AutomationLevel.SEMI_CORE: "Semi – core folders",
    AutomationLevel.SEMI_NONTEMP: "Semi – non-temp folders",
    AutomationLevel.SEMI_ALL: "Semi – all folders",
    AutomationLevel.NONE: "No automated response",
}
"""Short labels; domain §4.1 has the long ones."""


def is_raise(old: AutomationLevel, new: AutomationLevel) -> bool:
    """Whether anything could run by itself under `new` that could not under `old`.

    The two folder levels consult different lists, which overlap (domain §4.2), so going from
    one to the other always lets something more run.
    """
    if old == new or old == AutomationLevel.FULL:
        return False
    return new > old or {old, new} == {AutomationLevel.SEMI_NONTEMP, AutomationLevel.SEMI_CORE}


class FolderClass(IntEnum):
    """How the list of the device's own level classifies a path (domain §4.2)."""

    NO_PATH = 1
    """The entity has no path by nature (registry key, device ...)."""
    CORE = 2
    TEMP = 3
    OTHER = 4
    UNRESOLVABLE = 5
    """A file-like entity whose path is missing or can't be trusted."""


class FolderList(IntEnum):
    CORE = 1
    TEMP = 2


class IndicatorEffect(IntEnum):
    ALLOW = 1
    AUDIT = 2
    WARN = 3
    BLOCK = 4
    BLOCK_AND_REMEDIATE = 5


class IndicatorKind(IntEnum):
    FILE_HASH = 1
    IP = 2
    URL = 3
    CERTIFICATE = 4
    SENDER = 5


class Role(IntEnum):
    """Domain §8.2. Roles combine."""

    AUDITOR = 1
    ANALYST = 2
    RESPONDER = 3
    EMAIL_RESPONDER = 4
    ADMIN = 5


class StopScope(IntEnum):
    ALL = 1
    CONNECTOR = 2
    GROUP = 3
    TYPE = 4
    INVESTIGATION = 5


class StopKind(IntEnum):
    STOP = 1
    """Nothing more is sent, not even by what is under way."""
    PAUSE = 2
    """What is under way ends; nothing new begins."""


class StopSource(IntEnum):
    PAGE = 1
    COMMAND = 2
    FILE = 3
    SYSTEM = 4
    RESTORE = 5
    """The database is older than what this installation has already done."""


class BreakerState(IntEnum):
    OPEN = 1
    """Everything of its type and group waits for a person."""
    PROBING = 2
    """Restored by a person: one action may run by itself, the rest wait for how it ends."""
    CLOSED = 3
