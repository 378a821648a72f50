"""What the pages call the members of the enums, and the codes under which they stand in addresses."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.enums import ALLOWED, Decision, Execution, Risk, Source, TargetKind, TargetState
from investigations.enums import EvidenceType, Verdict

VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.MALICIOUS: ("malicious", "Malicious"),
    Verdict.SUSPICIOUS: ("suspicious", "Suspicious"),
    Verdict.NO_THREATS_FOUND: ("clean", "No threats found"),
    Verdict.UNKNOWN: ("unknown", "Unknown"),
}
"""Code and label."""

SOURCES: Final[Mapping[Source, str]] = {
    Source.MANUAL_DEVICE: "Manual device",
    Source.MANUAL_EMAIL: "Manual email",
    Source.AUTOMATED_DEVICE: "Automated device",
    Source.AUTOMATED_EMAIL: "Automated email",
    Source.ADVANCED_HUNTING: "Hunting",
    Source.EXPLORER: "Explorer",
    Source.MANUAL_LIVE_RESPONSE: "Live response session",
    Source.LIVE_RESPONSE: "Live response, API",
    Source.ANTIVIRUS: "Antivirus",
    Source.TIMER: "Timer",
}

ENTITIES: Final[Mapping[TargetKind, str]] = {
    TargetKind.DEVICE: "Device",
    TargetKind.FILE: "File",
    TargetKind.PROCESS: "Process",
    TargetKind.SERVICE: "Service",
    TargetKind.DRIVER: "Driver",
    TargetKind.TASK: "Scheduled task",
    TargetKind.REGISTRY: "Registry",
    TargetKind.URL: "URL",
    TargetKind.MESSAGE: "Email message",
    TargetKind.CLUSTER: "Email cluster",
    TargetKind.ATTACHMENT: "Attachment",
    TargetKind.MAILBOX: "Mailbox",
    TargetKind.SENDER: "Sender",
    TargetKind.INVESTIGATION: "Investigation",
}

RISKS: Final[Mapping[Risk, str]] = {Risk.LOW: "Low", Risk.MEDIUM: "Medium", Risk.HIGH: "High"}

PLACE_ICONS: Final[Mapping[TargetKind, str]] = {
    TargetKind.URL: "url",
    TargetKind.MESSAGE: "mail",
    TargetKind.CLUSTER: "mail",
    TargetKind.ATTACHMENT: "mail",
    TargetKind.MAILBOX: "mail",
    TargetKind.SENDER: "user",
}
"""Of what isn't on a device."""

DRY_RUN: Final = "dry_run"
"""The code of what was cancelled because its connector only says what it would do."""
REHEARSED: Final = "Dry run, not done"
"""And what stands in place of its result."""

RESULTS: Final[Mapping[str, str]] = {
    "succeeded": "Succeeded",
    "partly_succeeded": "Partly done",
    "failed": "Failed",
    "timed_out": "Timed out",
    "cancelled": "Cancelled",
    "rejected": "Rejected",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
    "undone": "Undone",
    "running": "Running",
    "queued": "Queued",
    "outcome_unknown": "Unconfirmed",
}

EXECUTIONS: Final[Mapping[Execution, str]] = {
    Execution.NONE: "",
    Execution.QUEUED: "queued",
    Execution.IN_PROGRESS: "running",
    Execution.OUTCOME_UNKNOWN: "outcome_unknown",
    Execution.SUCCEEDED: "succeeded",
    Execution.PARTLY_SUCCEEDED: "partly_succeeded",
    Execution.FAILED: "failed",
    Execution.TIMED_OUT: "timed_out",
    Execution.CANCELLED: "cancelled",
}
"""Keys of RESULTS."""

DECISIONS: Final[Mapping[Decision, tuple[str, str]]] = {
    Decision.NOT_REQUIRED: ("approved", "Approval not required"),
    Decision.PENDING: ("waiting", "Waiting"),
    Decision.APPROVED: ("approved", "Approved"),
    Decision.REJECTED: ("rejected", "Rejected"),
    Decision.EXPIRED: ("expired", "Expired"),
    Decision.WITHDRAWN: ("withdrawn", "Withdrawn"),
}

TARGET_STATES: Final[Mapping[TargetState, tuple[str, str]]] = {
    TargetState.QUEUED: ("queued", "Queued"),
    TargetState.IN_PROGRESS: ("running", "Running"),
    TargetState.UNKNOWN: ("outcome_unknown", "Unconfirmed"),
    TargetState.SUCCEEDED: ("succeeded", "Succeeded"),
    TargetState.ALREADY: ("already", "Was so already"),
    TargetState.GONE: ("gone", "No longer there"),
    TargetState.FAILED: ("failed", "Failed"),
    TargetState.TIMED_OUT: ("timed_out", "Timed out"),
    TargetState.CANCELLED: ("cancelled", "Cancelled"),
}

EVIDENCE_KINDS: Final[Mapping[EvidenceType, str]] = {
    EvidenceType.FILE: "File",
    EvidenceType.PROCESS: "Process",
    EvidenceType.REGISTRY: "Registry",
    EvidenceType.SERVICE: "Service",
    EvidenceType.DRIVER: "Driver",
    EvidenceType.SCHEDULED_TASK: "Scheduled task",
    EvidenceType.PERSISTENCE: "Persistence",
    EvidenceType.IP: "IP address",
    EvidenceType.URL: "URL",
    EvidenceType.USER: "User",
    EvidenceType.MAILBOX: "Mailbox",
    EvidenceType.MAIL_MESSAGE: "Email message",
    EvidenceType.MAIL_CLUSTER: "Email cluster",
    EvidenceType.SUBMISSION: "Email submission",
    EvidenceType.SECURITY_GROUP: "Security group",
    EvidenceType.DEVICE: "Device",
    EvidenceType.ATTACHMENT: "Attachment",
    EvidenceType.FORWARDING: "Mail forwarding",
    EvidenceType.DELEGATION: "Delegation",
    EvidenceType.OTHER: "Other",
}


def result_of(decision: int, execution: int, undo_execution: int | None = None) -> str:
    """Key of RESULTS; what waits is empty. Undone is only what has really been taken back."""
    if undo_execution in (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED):
        return "undone"
    if Decision(decision) in ALLOWED:
        return EXECUTIONS[Execution(execution)]
    return "" if decision == Decision.PENDING else DECISIONS[Decision(decision)][0]


def initials(name: str) -> str:
    words = [word for word in name.replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()
