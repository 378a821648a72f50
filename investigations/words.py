"""What the pages call states, severities and the rest, and the codes under which they stand in addresses."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.enums import ActionType
from investigations.enums import (
    AlertStatus,
    EvidenceType,
    InvestigationState,
    IsolationState,
    RemediationStatus,
    Severity,
)

S = InvestigationState
R = RemediationStatus

STATES: Final[Mapping[InvestigationState, tuple[str, str]]] = {
    S.STARTING: ("active", "Starting"),
    S.QUEUED: ("active", "Queued"),
    S.RUNNING: ("active", "Running"),
    S.PENDING_APPROVAL: ("waiting", "Pending action"),
    S.PENDING_RESOURCE: ("waiting", "Waiting for device"),
    S.REMEDIATED: ("remediated", "Remediated"),
    S.PARTIALLY_REMEDIATED: ("partly", "Partially remediated"),
    S.NO_THREATS_FOUND: ("clean", "No threats found"),
    S.PARTIALLY_INVESTIGATED: ("partly", "Partially investigated"),
    S.FAILED: ("failed", "Failed"),
    S.TERMINATED_BY_SYSTEM: ("stopped", "Terminated by system"),
    S.TERMINATED_BY_USER: ("stopped", "Terminated by user"),
    S.TERMINATED_BY_THROTTLING: ("stopped", "Terminated by throttling"),
}
"""Code and label."""

SEVERITIES: Final[Mapping[Severity, tuple[str, str]]] = {
    Severity.CRITICAL: ("critical", "Critical"),
    Severity.HIGH: ("high", "High"),
    Severity.MEDIUM: ("medium", "Medium"),
    Severity.LOW: ("low", "Low"),
    Severity.INFORMATIONAL: ("info", "Informational"),
    Severity.UNKNOWN: ("unknown", "Unknown"),
}

REMEDIATIONS: Final[Mapping[RemediationStatus, tuple[str, str]]] = {
    R.NONE: ("none", "None"),
    R.REMEDIATED: ("remediated", "Remediated"),
    R.PREVENTED: ("remediated", "Prevented"),
    R.BLOCKED: ("remediated", "Blocked"),
    R.NOT_FOUND: ("gone", "Not found"),
    R.ACTIVE: ("failed", "Active"),
    R.PENDING_APPROVAL: ("waiting", "Pending approval"),
    R.DECLINED: ("rejected", "Declined"),
    R.UNREMEDIATED: ("failed", "Unremediated"),
    R.RUNNING: ("running", "Running"),
    R.PARTIALLY_REMEDIATED: ("partly", "Partially remediated"),
}

ICONS: Final[Mapping[EvidenceType, str]] = {
    EvidenceType.FILE: "file",
    EvidenceType.PROCESS: "kill",
    EvidenceType.REGISTRY: "key",
    EvidenceType.SERVICE: "service",
    EvidenceType.DRIVER: "driver",
    EvidenceType.SCHEDULED_TASK: "task",
    EvidenceType.PERSISTENCE: "key",
    EvidenceType.IP: "url",
    EvidenceType.URL: "url",
    EvidenceType.USER: "user",
    EvidenceType.MAILBOX: "mail",
    EvidenceType.MAIL_MESSAGE: "mail",
    EvidenceType.MAIL_CLUSTER: "mail",
    EvidenceType.SUBMISSION: "mail",
    EvidenceType.SECURITY_GROUP: "users",
    EvidenceType.DEVICE: "device",
    EvidenceType.ATTACHMENT: "clip",
    EvidenceType.FORWARDING: "forward",
    EvidenceType.DELEGATION: "user",
    EvidenceType.OTHER: "info",
}

ALERTS: Final[Mapping[AlertStatus, str]] = {
    AlertStatus.NEW: "New",
    AlertStatus.ACTIVE: "Active",
    AlertStatus.RESOLVED: "Resolved",
}

ISOLATIONS: Final[Mapping[IsolationState, str]] = {
    IsolationState.NONE: "",
    IsolationState.FULL: "Isolated",
    IsolationState.SELECTIVE: "Isolated, selective",
}

REASONS: Final[Mapping[str, str]] = {
    "undecided": "Waits for a decision.",
    "executing": "Approved actions are carried out.",
    "device_offline": "Waits for a device to come back.",
    "analysing": "Still analysing.",
    "expired": "The last waiting action expired undecided.",
    "failed": "A problem prevented some remediation.",
    "decided": "Every action was decided and is over.",
    "by_source": "The source had taken care of it already.",
    "no_action_available": "Threats were found for which there is no action.",
    "verdict_unknown": "Some evidence has no verdict, so it doesn't count as clean.",
    "clean": "No threats were found.",
    "stopped": "Stopped by a person.",
}
"""Why it is in its state, by `state_reason`."""

EFFECTS: Final[Mapping[ActionType, str]] = {
    ActionType.ISOLATE_DEVICE: "Every connection of the device ends but the one that manages it. Selective leaves open what the isolation exclusions name.",
    ActionType.RELEASE_DEVICE: "The device may talk again. Connections that were cut don't return by themselves.",
    ActionType.RESTRICT_EXECUTION: "Programs from places where users may write no longer start. What runs goes on, and interpreters aren't stopped.",
    ActionType.RELEASE_EXECUTION: "Programs start again from everywhere.",
    ActionType.CONTAIN_DEVICE: "The other managed devices stop talking to it, on every address that it has. The device itself isn't touched.",
    ActionType.RELEASE_CONTAINMENT: "The other managed devices talk to it again.",
    ActionType.ANTIVIRUS_SCAN: "Nothing stops. The device is busier while the scan runs; what it finds becomes evidence.",
    ActionType.COLLECT_PACKAGE: "Nothing stops. Logs, processes and settings are fetched and kept encrypted.",
    ActionType.OFFBOARD_DEVICE: "The device is managed no longer: no further action reaches it, and what waits for it is withdrawn.",
    ActionType.QUARANTINE_FILE: "The file is moved to a locked place on its device, and processes that run it are stopped.",
    ActionType.RELEASE_FILE: "The file returns to where it was. Processes that were stopped don't.",
    ActionType.SOFT_DELETE_EMAIL: "The messages leave their mailboxes, and only administrators can restore them.",
    ActionType.QUARANTINE_EMAIL: "The messages are moved to where their owners can't reach them.",
    ActionType.MOVE_TO_JUNK: "The messages are moved to Junk, where their owners still see them.",
    ActionType.MOVE_TO_DELETED: "The messages are moved to Deleted Items, where their owners still see them.",
    ActionType.MOVE_TO_INBOX: "The messages are moved to the Inbox.",
    ActionType.TURN_OFF_FORWARDING: "Nothing of its mail is passed on to the outside any more. Its owner's other rules go on.",
    ActionType.RESTORE_FORWARDING: "Its owner's rules are as they were, and mail is passed on again.",
    ActionType.REMOVE_DELEGATION: "The delegate can't open the mailbox any more.",
    ActionType.RESTORE_DELEGATION: "The delegate may open the mailbox again, with the rights from before.",
    ActionType.HARD_DELETE_EMAIL: "The messages are deleted for good. Nobody can bring them back.",
}  # fmt: skip
"""What stops, or doesn't, for what is done by hand."""
