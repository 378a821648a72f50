"""The verdict map of a source that gives none: what its own words shall mean here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from investigations.enums import EvidenceType, Verdict
from investigations.intake.documents import AlertDoc, Document, EvidenceDoc

_T = EvidenceType
_PEOPLE_AND_PLACES = frozenset(
    {_T.DEVICE, _T.USER, _T.MAILBOX, _T.SECURITY_GROUP, _T.SUBMISSION, _T.OTHER, _T.IP}
)
"""What an alert is about, or merely mentions, isn't what is bad in it."""
_BYSTANDERS = frozenset({"contextual", "scanned", "attacked"})


def apply_verdict_map(document: Document, rules: Mapping[str, Any]) -> Document:
    """Fill in unknown verdicts; what the source did say is never changed.

    `rules` maps `threat:<family>`, `category:<category>`, `severity:<severity>` (lower case, the
    first that fits in this order) or `default` to a verdict's number.
    """
    if not rules:
        return document
    return replace(document, alerts=tuple(_judged(alert, rules) for alert in document.alerts))


def _judged(alert: AlertDoc, rules: Mapping[str, Any]) -> AlertDoc:
    keys = (
        f"threat:{alert.threat_family.lower()}",
        f"category:{alert.category.lower()}",
        f"severity:{alert.severity.name.lower()}",
        "default",
    )
    number = next((rules[key] for key in keys if key in rules), Verdict.UNKNOWN)
    verdict = Verdict(number) if number in set(Verdict) else Verdict.UNKNOWN
    return replace(
        alert,
        evidence=tuple(replace(item, verdict=verdict) if _open(item) else item for item in alert.evidence),
    )


def _open(item: EvidenceDoc) -> bool:
    return (
        item.verdict == Verdict.UNKNOWN
        and item.type not in _PEOPLE_AND_PLACES
        and not _BYSTANDERS & {role.lower() for role in item.roles}
    )
