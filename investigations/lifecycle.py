"""The states of an investigation (domain §5.1) and how it gets from one to the next.

An investigation is complete only when every action it produced has run to its end or was refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.enums import ACTIVE_STATES, AlertStatus, InvestigationState, RemediationStatus, Verdict
from investigations.models import Alert, Evidence, Investigation

S = InvestigationState

BAD: Final = (Verdict.SUSPICIOUS, Verdict.MALICIOUS)
TAKEN_CARE_OF: Final = (
    RemediationStatus.REMEDIATED,
    RemediationStatus.PREVENTED,
    RemediationStatus.BLOCKED,
    RemediationStatus.NOT_FOUND,
)
"""What a source did by itself: nothing is left to do there."""
CLEAN_ENDS: Final = frozenset({S.REMEDIATED, S.NO_THREATS_FOUND})
"""Ends that resolve the alerts (setting of domain §2.2, on by default)."""

_ENDS: Final = frozenset(S) - ACTIVE_STATES
_COMPLETE: Final = frozenset(
    {S.REMEDIATED, S.PARTIALLY_REMEDIATED, S.NO_THREATS_FOUND, S.PARTIALLY_INVESTIGATED}
)
_STOPPED: Final = frozenset({S.FAILED, S.TERMINATED_BY_SYSTEM, S.TERMINATED_BY_USER})
_AT_WORK: Final = frozenset({S.RUNNING, S.PENDING_APPROVAL, S.PENDING_RESOURCE})

INVESTIGATION_NEXT: Mapping[InvestigationState, frozenset[InvestigationState]] = {
    S.STARTING: _AT_WORK | _COMPLETE | _STOPPED | {S.QUEUED},
    S.QUEUED: _AT_WORK | _COMPLETE | _STOPPED | {S.TERMINATED_BY_THROTTLING},
    S.RUNNING: _AT_WORK | _COMPLETE | _STOPPED,
    S.PENDING_APPROVAL: _AT_WORK | _COMPLETE | _STOPPED,
    S.PENDING_RESOURCE: _AT_WORK | _COMPLETE | _STOPPED,
    # More came in (an alert that joins, a retry): it is open again, or ends otherwise.
    **dict.fromkeys(_COMPLETE, _AT_WORK | _COMPLETE | {S.TERMINATED_BY_SYSTEM}),
    S.TERMINATED_BY_SYSTEM: _AT_WORK | _COMPLETE,
    # These say that nobody works on it any more; a new investigation is the way on.
    S.FAILED: frozenset(),
    S.TERMINATED_BY_USER: frozenset(),
    S.TERMINATED_BY_THROTTLING: frozenset(),
}
"""From each state to those that may follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How the actions stand that an investigation produced; undos are not among them.

    `approved` includes what policy allowed; `running` means queued, in progress or of unknown
    outcome; `expired_last`: the last decision was the expiry of an action.
    """

    total: int = 0
    undecided: int = 0
    running: int = 0
    failed: int = 0
    succeeded: int = 0
    approved: int = 0
    rejected: int = 0
    expired_last: bool = False


def advance(investigation: Investigation, counts: Counts, *, by: Actor) -> bool:
    """Bring the state in line with actions and evidence; returns whether it changed."""
    with transaction.atomic():
        row = Investigation.objects.select_for_update().get(pk=investigation.pk)
        new, reason = _state_for(row, counts)
        threats = Evidence.objects.filter(investigation=row, verdict__in=BAD).count()
        if (row.threat_count, row.action_count) != (threats, counts.total):
            Investigation.objects.filter(pk=row.pk).update(threat_count=threats, action_count=counts.total)
        changed = _change(row, new, reason, by=by)
    return changed


def stop(investigation: Investigation, *, by: Actor) -> bool:
    """End it for good; returns whether it was still active. The caller withdraws what it still asks for."""
    with transaction.atomic():
        row = Investigation.objects.select_for_update().get(pk=investigation.pk)
        if not row.is_active:
            return False
        Investigation.objects.filter(pk=row.pk).update(terminated_by_name=by.name)
        return _change(row, S.TERMINATED_BY_USER, "stopped", by=by)


def _state_for(row: Investigation, counts: Counts) -> tuple[InvestigationState, str]:
    """The state and the code of its reason."""
    if counts.undecided:
        return S.PENDING_APPROVAL, "undecided"
    if counts.running:
        return S.RUNNING, "executing"
    if not _is_planned(row):
        return S.RUNNING, "analysing"
    if counts.expired_last:
        return S.TERMINATED_BY_SYSTEM, "expired"
    if counts.failed:
        return S.PARTIALLY_REMEDIATED, "failed"
    return _outcome(row, counts)


def _outcome(row: Investigation, counts: Counts) -> tuple[InvestigationState, str]:
    """What everything amounts to once nothing is left to do."""
    evidence = Evidence.objects.filter(investigation=row)
    # Without an action of ours, a finding is only settled if its source settled it.
    untreated = evidence.filter(Q(verdict__in=BAD), actions__isnull=True).exclude(
        remediation__in=TAKEN_CARE_OF
    )
    if untreated.exists():
        return S.PARTIALLY_INVESTIGATED, "no_action_available"
    if counts.total or evidence.filter(verdict__in=BAD).exists():
        # Rejecting everything also closes it as remediated; the counters tell (domain Q9).
        return S.REMEDIATED, "decided" if counts.total else "by_source"
    if evidence.filter(verdict=Verdict.UNKNOWN).exists() or not evidence.exists():
        return S.PARTIALLY_INVESTIGATED, "verdict_unknown"
    return S.NO_THREATS_FOUND, "clean"
