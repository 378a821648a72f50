"""The states of an investigation (domain §5.1) and how it gets from one to the next.

An investigation is complete only when every action it produced has run to its end or was refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.db.models.functions import Now

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.enums import ACTIVE_STATES, AlertStatus, InvestigationState, RemediationStatus, Verdict
from investigations.models import Alert, Evidence, Investigation, Mark
from investigations.models.evidence import UNPLANNED

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


def mark_dirty(investigations: Iterable[int | None]) -> None:
    """Ask housekeeping to look at these again, in the transaction of what changed. Waits for nobody."""
    wanted = sorted({pk for pk in investigations if pk})
    Mark.objects.bulk_create(Mark(investigation_id=pk) for pk in wanted)


class IllegalState(Exception):
    """The investigation is in a state that the wanted one can't follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How the actions stand that an investigation produced; undos are not among them.

    `approved` includes what policy allowed; `running` means queued, in progress or of unknown
    outcome, `unreachable` how many of these wait for a device that is offline; `expired_last`:
    the last decision was the expiry of an action.
    """

    total: int = 0
    undecided: int = 0
    running: int = 0
    unreachable: int = 0
    failed: int = 0
    succeeded: int = 0
    approved: int = 0
    rejected: int = 0
    expired_last: bool = False


def advance(investigation: Investigation, counts: Counts, *, by: Actor) -> bool:
    """Bring the state in line with actions and evidence; returns whether it changed."""
    with transaction.atomic():
        row = locked(investigation.pk)
        threats = Evidence.objects.filter(investigation=row, verdict__in=BAD).count()
        if (row.threat_count, row.action_count) != (threats, counts.total):
            Investigation.objects.filter(pk=row.pk).update(threat_count=threats, action_count=counts.total)
        new, reason = _state_for(row, counts)
        old = InvestigationState(row.state)
        if new == old or new not in INVESTIGATION_NEXT[old]:
            return False
        _change(row, new, reason, by=by)
    return True


def enter(investigation: Investigation, new: InvestigationState, reason: str, *, by: Actor) -> None:
    """For what counts can't tell: queued, throttled, failed. Raises IllegalState."""
    with transaction.atomic():
        row = locked(investigation.pk)
        if new not in INVESTIGATION_NEXT[InvestigationState(row.state)]:
            raise IllegalState(f"{row} can't go from {InvestigationState(row.state).name} to {new.name}.")
        _change(row, new, reason, by=by)


def stop(investigation: Investigation, *, by: Actor) -> bool:
    """End it for good; returns whether it was still active. The caller withdraws what it still asks for."""
    with transaction.atomic():
        row = locked(investigation.pk)
        if not row.is_active:
            return False
        Investigation.objects.filter(pk=row.pk).update(terminated_by_name=by.name)
        _change(row, S.TERMINATED_BY_USER, "stopped", by=by)
    return True


def locked(number: int) -> Investigation:
    """The row as it is now, locked. Whoever writes to its stream of events locks it first."""
    rows = Investigation.objects.all()
    if connection.features.has_select_for_update:
        # Not the stronger lock: evidence, actions and marks that point here must not wait for it.
        rows = rows.select_for_update(no_key=True)
    return rows.get(pk=number)


def _state_for(row: Investigation, counts: Counts) -> tuple[InvestigationState, str]:
    """The state and the code of its reason."""
    if counts.undecided:
        return S.PENDING_APPROVAL, "undecided"
    if counts.running:
        waits = counts.unreachable >= counts.running
        return (S.PENDING_RESOURCE, "device_offline") if waits else (S.RUNNING, "executing")
    if Evidence.objects.filter(UNPLANNED, investigation=row).exists():
        return S.RUNNING, "analysing"
    if counts.expired_last:
        return S.TERMINATED_BY_SYSTEM, "expired"
    if counts.failed:
        return S.PARTIALLY_REMEDIATED, "failed"
    if counts.approved or counts.rejected:
        # Rejecting everything also closes it as remediated; the counters tell (domain Q9).
        return S.REMEDIATED, "decided"
    return _without_action(row)


def _without_action(row: Investigation) -> tuple[InvestigationState, str]:
    """What the evidence alone amounts to. An unknown verdict never counts as clean (domain Q29)."""
    evidence = Evidence.objects.filter(investigation=row)
    bad = evidence.filter(verdict__in=BAD)
    if bad.exclude(remediation__in=TAKEN_CARE_OF).exists():
        return S.PARTIALLY_INVESTIGATED, "no_action_available"
    if bad.exists():
        return S.REMEDIATED, "by_source"
    if not evidence.exists() or evidence.filter(verdict=Verdict.UNKNOWN).exists():
        return S.PARTIALLY_INVESTIGATED, "verdict_unknown"
    return S.NO_THREATS_FOUND, "clean"


def _change(row: Investigation, new: InvestigationState, reason: str, *, by: Actor) -> None:
    """The caller holds the row's lock."""
    old = InvestigationState(row.state)
    ended = None if new in ACTIVE_STATES else Now()
    Investigation.objects.filter(pk=row.pk).update(
        state=new, state_reason=reason, ended_at=ended, changed_at=Now()
    )
    resolved = 0
    if new in CLEAN_ENDS:
        open_alerts = Alert.objects.filter(investigation=row).exclude(status=AlertStatus.RESOLVED)
        resolved = open_alerts.update(status=AlertStatus.RESOLVED)
    log.record(
        _kind_of(new),
        by=by,
        subject=f"investigation:{row.pk}",
        subject_name=row.title[:300],
        before={"state": old.name},
        after={"state": new.name, "reason": reason},
        detail={"alerts_resolved": resolved} if resolved else None,
        area=row.area,
        group_id=row.group_id,
    )


def _kind_of(new: InvestigationState) -> Kind:
    if new == S.TERMINATED_BY_USER:
        return Kind.INVESTIGATION_STOPPED
    return Kind.INVESTIGATION_CHANGED if new in ACTIVE_STATES else Kind.INVESTIGATION_COMPLETED
