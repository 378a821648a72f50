"""Vocabulary of investigations. A leaf: no Django, anyone may read it.

Codes are stored as small integers; never renumber, only append.
"""

from enum import IntEnum


class Verdict(IntEnum):
    """Domain §2.4; ordered from harmless to worst, so that max() is the strictest."""

    UNKNOWN = 1
    NO_THREATS_FOUND = 2
    SUSPICIOUS = 3
    MALICIOUS = 4


class EvidenceType(IntEnum):
    """Domain §2.3."""

    FILE = 1
    PROCESS = 2
    REGISTRY = 3
    SERVICE = 4
    DRIVER = 5
    SCHEDULED_TASK = 6
    PERSISTENCE = 7
    IP = 8
    URL = 9
    USER = 10
    MAILBOX = 11
    MAIL_MESSAGE = 12
    MAIL_CLUSTER = 13
    SUBMISSION = 14
    SECURITY_GROUP = 15
    DEVICE = 16
    ATTACHMENT = 17
    FORWARDING = 18
    DELEGATION = 19
    OTHER = 20


class RemediationStatus(IntEnum):
    """Domain §2.4."""

    NONE = 1
    REMEDIATED = 2
    PREVENTED = 3
    BLOCKED = 4
    NOT_FOUND = 5
    ACTIVE = 6
    PENDING_APPROVAL = 7
    DECLINED = 8
    UNREMEDIATED = 9
    RUNNING = 10
    PARTIALLY_REMEDIATED = 11


class InvestigationState(IntEnum):
    """Domain §5.1."""

    STARTING = 1
    QUEUED = 2
    RUNNING = 3
    PENDING_APPROVAL = 4
    PENDING_RESOURCE = 5
    REMEDIATED = 6
    PARTIALLY_REMEDIATED = 7
    NO_THREATS_FOUND = 8
    PARTIALLY_INVESTIGATED = 9
    FAILED = 10
    TERMINATED_BY_SYSTEM = 11
    TERMINATED_BY_USER = 12
    TERMINATED_BY_THROTTLING = 13


ACTIVE_STATES = frozenset(
    {
        InvestigationState.STARTING,
        InvestigationState.QUEUED,
        InvestigationState.RUNNING,
        InvestigationState.PENDING_APPROVAL,
        InvestigationState.PENDING_RESOURCE,
    }
)


class NotStarted(IntEnum):
    """Why an alert has no investigation (domain §5.1, last row)."""

    UNSUPPORTED_ALERT_TYPE = 1
    UNSUPPORTED_OS = 2
    SUPPRESSED = 3
    PREEXISTING = 4
    LEVEL_NONE = 5


class Severity(IntEnum):
    UNKNOWN = 1
    INFORMATIONAL = 2
    LOW = 3
    MEDIUM = 4
    HIGH = 5
    CRITICAL = 6


class AlertStatus(IntEnum):
    NEW = 1
    ACTIVE = 2
    RESOLVED = 3


class Namespace(IntEnum):
    """Where an identity of a device or mailbox comes from; lower is stronger."""

    HOST_KEY = 1
    DEFENDER_ID = 2
    ENTRA_ID = 3
    AGENT_ID = 4
    MAILBOX_GUID = 5
    SERIAL = 6
    MAC = 7
    DNS_NAME = 8
    HOST_NAME = 9
    MAIL_ADDRESS = 10
    UPN = 11
    IP_ADDRESS = 12


class OsFamily(IntEnum):
    UNKNOWN = 1
    WINDOWS = 2
    LINUX = 3
    MACOS = 4


class IsolationState(IntEnum):
    NONE = 1
    FULL = 2
    SELECTIVE = 3
