"""Vocabulary of the auditors' pages. A leaf: no Django, anyone may read it."""

from enum import IntEnum


class RunState(IntEnum):
    """Where a verification is."""

    WAITING = 1
    RUNNING = 2
    FINISHED = 3


class RunResult(IntEnum):
    """What a verification came to."""

    SOUND = 1
    WRONG = 2
    FAILED = 3
    """It couldn't be carried out."""


class RedactionState(IntEnum):
    WAITING = 1
    APPROVED = 2
    """And carried out."""
    REJECTED = 3
