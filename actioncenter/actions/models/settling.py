"""Where an action stands, worked out from its targets. The only writer of ends on the execution axis.

An end, its event and what follows from it (flags of devices, status of evidence) are one
transaction: a runner that dies in between leaves nothing half told.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Count
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import admins, notify, notify_admins
from actioncenter.actions.enums import ENDS, EXECUTION_NEXT, TARGET_SUCCESS, Execution, TargetState
from actioncenter.actions.models import following, standing
from actioncenter.actions.models.conflicts import IllegalMove
from actioncenter.actions.permissions import NotVisible
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.lifecycle import mark_dirty

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

END_EVENTS = {
    Execution.SUCCEEDED: Kind.ACTION_SUCCEEDED,
    Execution.PARTLY_SUCCEEDED: Kind.ACTION_PARTLY_SUCCEEDED,
    Execution.FAILED: Kind.ACTION_FAILED,
    Execution.TIMED_OUT: Kind.ACTION_TIMED_OUT,
    Execution.CANCELLED: Kind.ACTION_CANCELLED,
    Execution.OUTCOME_UNKNOWN: Kind.ACTION_UNKNOWN,
    Execution.QUEUED: Kind.ACTION_QUEUED,
}

NOT_TAKEN_BACK = frozenset({Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED})
"""Ends of an undo after which the rest may be undone anew."""
CONTRADICTED = "contradicted"


def locked(action: "Action") -> "Action":
    """The row as it is now, locked. Raises NotVisible. Lock it before its attempts and targets."""
    rows = type(action).objects.filter(pk=action.pk)
    if connection.features.has_select_for_update:
        # Not the stronger lock: links, votes and plans that point here must not wait for it.
        rows = rows.select_for_update(of=("self",), no_key=True)
    row = rows.first()
    if row is None:
        raise NotVisible
    return row


def legal(row: "Action", after: Execution) -> Execution:
    """`after`, where the table has that move. Raises IllegalMove."""
    before = Execution(row.execution)
    if after != before and after not in EXECUTION_NEXT[before]:
        raise IllegalMove(f"{row.label} can't go from {before.name} to {after.name}")
    return after


def settle(row: "Action", *, by: Actor, code: str = "", detail: str = "") -> Execution:
    """Refresh the counts and move the execution axis to what they say. Returns the state.

    The caller holds the lock of the row (see `locked`), which is brought up to date. Raises IllegalMove.
    """
    counts = _counted(row)
    before = Execution(row.execution)
    after = legal(row, execution_of(counts) if counts else _without_targets(before))
    figures = _figures(counts)
    if after in ENDS and not code:
        code, detail = _cause(row)
    changes: dict[str, Any] = {f"{name}_count": number for name, number in figures.items()}
    changes["updated_at"] = Now()
    told: dict[str, Any] = {"execution": after.name, **figures}
    if after != before:
        changes |= {"execution": after, "code": code, "status_detail": detail[:500]}
        if after in ENDS:
            changes |= {"finished_at": Now(), "history_at": Now()}
            if ends := standing.end_of(row):
                changes["ends_at"], told["ends_at"] = ends, ends.isoformat()
            if row.targets.filter(read_back_at__isnull=False).exists():
                changes["read_back_at"] = Now()
    type(row).objects.filter(pk=row.pk).update(**changes)
    row.execution = after
    if after != before:
        mark_dirty([row.investigation_id])
    if after != before and after in END_EVENTS:
        event(row, END_EVENTS[after], by, before={"execution": before.name},
              after=told, detail={"code": code, "detail": detail})  # fmt: skip
    if row.undo_of_id and after != before and after in NOT_TAKEN_BACK:
        # What it should have brought back is neither here nor there: nothing may build on it unseen.
        _close_lanes(row)
    following.follow_execution(row, by=by)
    return after


def _without_targets(before: Execution) -> Execution:
    """Somebody took them away: what had begun may have come to anything."""
    return Execution.CANCELLED if before == Execution.QUEUED else Execution.OUTCOME_UNKNOWN


def _counted(row: "Action") -> Counter[TargetState]:
    states = row.targets.order_by().values_list("state").annotate(Count("pk"))
    return Counter({TargetState(state): number for state, number in states})


def refresh(row: "Action") -> None:
    """Bring the counts up to date and nothing else. The caller holds the lock of the row."""
    figures = {f"{name}_count": number for name, number in _figures(_counted(row)).items()}
    type(row).objects.filter(pk=row.pk).update(**figures, updated_at=Now())


def is_open_question(row: "Action") -> bool:
    """Whether a person may say what became of it: also of an end that its targets contradict."""
    contradicted = row.history_at is not None and row.unknown_count > 0
    return row.execution == Execution.OUTCOME_UNKNOWN or contradicted


def contradict(row: "Action", *, by: Actor, detail: str) -> None:
    """Its targets say what the row can't become: tell everybody. What the row says stands if it must.

    The caller holds the lock of the row.
    """
    try:
        settle(row, by=by, code=CONTRADICTED, detail=detail)
    except IllegalMove:
        refresh(row)
    event(row, Kind.ACTION_REFUSED, by, detail={"code": CONTRADICTED, "detail": detail})
    notify_admins(
        CONTRADICTED,
        title=f"{row.label} contradicts itself, and nothing more is sent for it. Somebody has to look at its targets.",
        params={"action": row.pk},
        url=f"/action-center/actions/{row.pk}",
        severity=Severity.URGENT,
    )


def _close_lanes(row: "Action") -> None:
    row.targets.filter(state__in=[TargetState.FAILED, TargetState.TIMED_OUT]).update(blocks=True)
    started_it = User.objects.filter(pk=row.requested_by_id or 0, is_active=True)
    notify(
        admins() | started_it,
        "undo_failed",
        title=f"The undo of A-{row.undo_of_id} failed. Its target is closed until somebody acknowledges that.",
        params={"action": row.pk},
        url=f"/action-center/actions/{row.pk}",
        severity=Severity.WARNING,
    )


def _cause(row: "Action") -> tuple[str, str]:
    """Why it ended so, where the attempt itself has nothing to say: the first target's reason."""
    found = row.targets.exclude(error_class="").order_by("pk").values_list("error_class", "error").first()
    return found or ("", "")


def _figures(counts: Counter[TargetState]) -> dict[str, int]:
    bad = (TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED)
    return {
        "succeeded": sum(counts[state] for state in TARGET_SUCCESS),
        "failed": sum(counts[state] for state in bad),
        "unknown": counts[TargetState.UNKNOWN],
    }


def execution_of(counts: Counter[TargetState]) -> Execution:
    """What the states of an action's targets make of its execution."""
    if counts[TargetState.IN_PROGRESS]:
        return Execution.IN_PROGRESS
    if counts[TargetState.UNKNOWN]:
        return Execution.OUTCOME_UNKNOWN
    if counts[TargetState.QUEUED]:
        return Execution.QUEUED
    good = sum(counts[state] for state in TARGET_SUCCESS)
    bad = {
        state: counts[state] for state in (TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED)
    }
    if not any(bad.values()):
        return Execution.SUCCEEDED
    if good:
        return Execution.PARTLY_SUCCEEDED
    if bad[TargetState.FAILED]:
        return Execution.FAILED
    return Execution.TIMED_OUT if bad[TargetState.TIMED_OUT] else Execution.CANCELLED


def stop_queued(action: "Action", state: TargetState, *, by: Actor, code: str, detail: str) -> Execution:
    """End what hasn't started: the runner's own refusal, patience over, or a cancel."""
    with transaction.atomic():
        row = locked(action)
        row.targets.filter(state=TargetState.QUEUED).update(
            state=state, error=detail[:500], error_class=code, changed_at=Now()
        )
        return settle(row, by=by, code=code, detail=detail)


def event(action: "Action", kind: Kind, by: Actor, **more: Any) -> None:
    """The caller holds the action's lock."""
    log.record_many([action.draft(kind, by=by, **more)])
