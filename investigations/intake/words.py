"""The words that several sources share for verdicts, states and severities. An unknown word means unknown."""

from collections.abc import Mapping

from investigations.enums import AlertStatus, RemediationStatus, Severity, Verdict

VERDICTS: Mapping[str, Verdict] = {
    "malicious": Verdict.MALICIOUS,
    "suspicious": Verdict.SUSPICIOUS,
    "nothreatsfound": Verdict.NO_THREATS_FOUND,
    "clean": Verdict.NO_THREATS_FOUND,
}

STATUSES: Mapping[str, RemediationStatus] = {
    status.name.replace("_", "").lower(): status for status in RemediationStatus
} | {"notremediated": RemediationStatus.UNREMEDIATED}

SEVERITIES: Mapping[str, Severity] = {severity.name.lower(): severity for severity in Severity}

ALERT_STATUSES: Mapping[str, AlertStatus] = {
    "new": AlertStatus.NEW,
    "active": AlertStatus.ACTIVE,
    "inprogress": AlertStatus.ACTIVE,
    "resolved": AlertStatus.RESOLVED,
}


def verdict(code: str) -> Verdict:
    return VERDICTS.get(code, Verdict.UNKNOWN)


def status(code: str) -> RemediationStatus:
    return STATUSES.get(code, RemediationStatus.NONE)


def severity(code: str) -> Severity:
    return SEVERITIES.get(code, Severity.UNKNOWN)


def alert_status(code: str) -> AlertStatus:
    return ALERT_STATUSES.get(code, AlertStatus.NEW)
