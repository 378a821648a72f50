"""Vocabulary of accounts. A leaf: no Django, anyone may read it."""

from enum import IntEnum


class Theme(IntEnum):
    SYSTEM = 1
    LIGHT = 2
    DARK = 3


class Severity(IntEnum):
    """How loud a notice is."""

    INFO = 1
    WARNING = 2
    URGENT = 3
