"""Vocabulary of an action. A leaf: no Django, anyone may read it.

Codes are stored as small integers; never renumber, only append.
"""

from collections.abc import Mapping
from enum import IntEnum


class ActionType(IntEnum):
    # device-wide
    ISOLATE_DEVICE = 1
    RELEASE_DEVICE = 2
    RESTRICT_EXECUTION = 3
    RELEASE_EXECUTION = 4
    COLLECT_PACKAGE = 5
    ANTIVIRUS_SCAN = 6
    REQUEST_SAMPLE = 7
    OFFBOARD_DEVICE = 8
    CONTAIN_DEVICE = 9
    RELEASE_CONTAINMENT = 10
    # entities on a device
    QUARANTINE_FILE = 20
    RELEASE_FILE = 21
    KILL_PROCESS = 22
    STOP_SERVICE = 23
    START_SERVICE = 24
    DISABLE_DRIVER = 25
    ENABLE_DRIVER = 26
    REMOVE_TASK = 27
    RESTORE_TASK = 28
    REMOVE_REGISTRY_KEY = 29
    RESTORE_REGISTRY_KEY = 30
    EXPAND_PIVOT = 31
    # email and collaboration
    BLOCK_URL = 40
    UNBLOCK_URL = 41
    SOFT_DELETE_EMAIL = 42
    RESTORE_EMAIL = 43
    QUARANTINE_EMAIL = 44
    RELEASE_EMAIL = 45
    QUARANTINE_ATTACHMENT = 46
    RELEASE_ATTACHMENT = 47
    TURN_OFF_FORWARDING = 48
    RESTORE_FORWARDING = 49
    REMOVE_DELEGATION = 50
    RESTORE_DELEGATION = 51
    MOVE_TO_JUNK = 52
    MOVE_TO_INBOX = 53
    MOVE_TO_DELETED = 54
    HARD_DELETE_EMAIL = 55
    BLOCK_SENDER = 56
    UNBLOCK_SENDER = 57


class Area(IntEnum):
    """Which rights apply. User actions (domain §4 row 16) count as device actions."""

    DEVICE = 1
    EMAIL = 2


class TargetKind(IntEnum):
    DEVICE = 1
    FILE = 2
    PROCESS = 3
    SERVICE = 4
    DRIVER = 5
    TASK = 6
    REGISTRY = 7
    URL = 8
    MESSAGE = 9
    CLUSTER = 10
    ATTACHMENT = 11
    MAILBOX = 12
    SENDER = 13
    INVESTIGATION = 14


class Risk(IntEnum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Source(IntEnum):
    """Action source, domain §6.3."""

    MANUAL_DEVICE = 1
    MANUAL_EMAIL = 2
    AUTOMATED_DEVICE = 3
    AUTOMATED_EMAIL = 4
    ADVANCED_HUNTING = 5
    EXPLORER = 6
    MANUAL_LIVE_RESPONSE = 7
    LIVE_RESPONSE = 8
    ANTIVIRUS = 9
    TIMER = 10
    """A timed action whose time is over."""


class Decision(IntEnum):
    NOT_REQUIRED = 1
    PENDING = 2
    APPROVED = 3
    REJECTED = 4
    EXPIRED = 5
    WITHDRAWN = 6


class Execution(IntEnum):
    NONE = 1
    QUEUED = 2
    IN_PROGRESS = 3
    OUTCOME_UNKNOWN = 4
    SUCCEEDED = 5
    PARTLY_SUCCEEDED = 6
    FAILED = 7
    TIMED_OUT = 8
    CANCELLED = 9


class TargetState(IntEnum):
    QUEUED = 2
    IN_PROGRESS = 3
    UNKNOWN = 4
    SUCCEEDED = 5
    ALREADY = 6
    """Nothing had to be done: the target was already as wanted."""
    GONE = 7
    """No longer there; counts as success for mail (domain §5.3)."""
    FAILED = 8
    TIMED_OUT = 9
    CANCELLED = 10


class AttemptState(IntEnum):
    CLAIMED = 1
    SENT = 2
    POLLING = 3
    FINISHED = 4
    UNKNOWN = 5


class SurpriseKind(IntEnum):
    """What nobody expected of an action. Each pauses its like; see execution.surprising."""

    IDENTITY = 1
    """The target is no longer the one that was meant."""
    REACH = 2
    """It was about to touch more than was approved."""
    READ_BACK = 3
    """Reported as done, but read back otherwise."""
    OUTSIDE = 4
    """What was in force was changed by somebody else."""
    FOREIGN = 5
    """An answer speaks of targets that nobody asked for."""
    EVIDENCE = 6
    """A finding claims authority, or haste, over what is decided."""
    AUDIT = 7
    """The audit log isn't what was written."""


class JobKind(IntEnum):
    CHECK = 1
    CAPABILITIES = 2
    PREVIEW = 3
    VERIFY = 4
    SEARCH = 5
    MESSAGE = 6
    """One message, to be looked at."""
    LOOK = 7
    """At a device, before somebody confirms what they do by hand."""


class JobState(IntEnum):
    QUEUED = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4


class Choice(IntEnum):
    """What a vote says."""

    APPROVE = 1
    REJECT = 2


DECISION_NEXT: Mapping[Decision, frozenset[Decision]] = {
    Decision.NOT_REQUIRED: frozenset(),
    Decision.PENDING: frozenset({Decision.APPROVED, Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN}),
    Decision.APPROVED: frozenset(),
    Decision.REJECTED: frozenset(),
    Decision.EXPIRED: frozenset(),
    Decision.WITHDRAWN: frozenset(),
}

ENDS = frozenset(
    {
        Execution.SUCCEEDED,
        Execution.PARTLY_SUCCEEDED,
        Execution.FAILED,
        Execution.TIMED_OUT,
        Execution.CANCELLED,
    }
)

RETRYABLE = frozenset({Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED})

EXECUTION_NEXT: Mapping[Execution, frozenset[Execution]] = {
    Execution.NONE: frozenset({Execution.QUEUED}),
    # Partly or failed: the rest was cancelled or waited too long after some targets had ended so.
    Execution.QUEUED: frozenset(
        {
            Execution.IN_PROGRESS,
            Execution.CANCELLED,
            Execution.TIMED_OUT,
            Execution.PARTLY_SUCCEEDED,
            Execution.FAILED,
        }
    ),
    Execution.IN_PROGRESS: ENDS | {Execution.OUTCOME_UNKNOWN, Execution.QUEUED},
    Execution.OUTCOME_UNKNOWN: ENDS | {Execution.QUEUED},
    Execution.SUCCEEDED: frozenset(),
    Execution.PARTLY_SUCCEEDED: frozenset({Execution.QUEUED}),
    Execution.FAILED: frozenset({Execution.QUEUED}),
    Execution.TIMED_OUT: frozenset({Execution.QUEUED}),
    Execution.CANCELLED: frozenset(),
}

ALLOWED = frozenset({Decision.NOT_REQUIRED, Decision.APPROVED})
"""Decisions under which something may run."""

LEGAL_PAIRS: Mapping[Decision, frozenset[Execution]] = {
    decision: (
        frozenset(Execution) - {Execution.NONE} if decision in ALLOWED else frozenset({Execution.NONE})
    )
    for decision in Decision
}

RUNNING = frozenset({Execution.QUEUED, Execution.IN_PROGRESS, Execution.OUTCOME_UNKNOWN})

TARGET_ENDS = frozenset(
    {
        TargetState.SUCCEEDED,
        TargetState.ALREADY,
        TargetState.GONE,
        TargetState.FAILED,
        TargetState.TIMED_OUT,
        TargetState.CANCELLED,
    }
)
TARGET_SUCCESS = frozenset({TargetState.SUCCEEDED, TargetState.ALREADY, TargetState.GONE})
