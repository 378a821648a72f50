"""What people may ask of an action that is allowed to run: cancel, retry, resolve."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.enums import RETRYABLE, RUNNING, Execution, TargetState
from actioncenter.actions.models import entitling, following, standing
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.settling import event, is_open_question, legal, locked, refresh, settle
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.approval import RANGES
from actioncenter.web.clock import database_now
from investigations.lifecycle import mark_dirty

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


def request_cancel(action: "Action", *, by: Actor, comment: str) -> "Action":
    """Raises Conflict (over already), Refused, NotVisible."""
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.CANCEL, row)
        if row.history_at is not None or row.execution not in RUNNING:
            raise Conflict(row, "over", f"{row.label} is not running.")
        _ask_to_stop(row, by=by, comment=comment)
    action.refresh_from_db()
    return action


def give_up(action: "Action", *, by: Actor, comment: str) -> None:
    """The product's own wish to cancel, for what has kept a pause from becoming quiet for too long."""
    with fence.decider():
        row = locked(action)
        if row.history_at is None and row.execution in RUNNING:
            _ask_to_stop(row, by=by, comment=comment)


def _ask_to_stop(row: "Action", *, by: Actor, comment: str) -> None:
    if row.cancel_requested_at is None:
        type(row).objects.filter(pk=row.pk).update(
            cancel_requested_at=Now(), cancel_requested_by_name=by.name, updated_at=Now()
        )
        before, after = {"cancel_requested": False}, {"cancel_requested": True}
        event(row, Kind.ACTION_CANCEL_REQUESTED, by, before=before, after=after, detail={"comment": comment})
        # What runs far away is told at once, not when it would have been asked next.
        row.attempts.filter(ended_at__isnull=True, next_poll_at__gt=Now()).update(next_poll_at=Now())
    transaction.on_commit(partial(dispatch.wake, [row.pk]), robust=True)


def retry(action: "Action", *, by: Actor) -> "Action":
    """Raises Conflict (nothing to retry, decided too long ago), Refused (also `reauthenticate`), NotVisible."""
    with fence.decider():
        if action.undo_of is not None:
            # As an undo does: a retry and a new undo must not both take its place.
            locked(action.undo_of)
        row = locked(action)
        fresh_rights(by).require(Verb.RETRY, row)
        before = Execution(row.execution)
        if before not in RETRYABLE or row.undone_by_id:
            raise Conflict(row, "not_retryable", f"{row.label} has nothing to retry.")
        if row.undo_of is not None and row.undo_of.undone_by_id != row.pk:
            other = f"A-{row.undo_of.undone_by_id}" if row.undo_of.undone_by_id else "A new undo"
            raise Conflict(row, "not_retryable", f"{other} undoes it instead.")
        _require_recent(row)
        entitling.require_proof(row.approval_rule, by)
        unfinished = [TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED]
        row.targets.filter(state__in=unfinished).update(
            state=TargetState.QUEUED,
            attempt=None,
            not_before=None,
            error="",
            error_class="",
            changed_at=Now(),
        )
        row.targets.filter(blocks=True).update(blocks=False)
        legal(row, Execution.QUEUED)
        type(row).objects.filter(pk=row.pk).update(
            execution=Execution.QUEUED, queued_at=Now(), history_at=None, finished_at=None, code="",
            status_detail="", cancel_requested_at=None, cancel_requested_by_name="", failed_count=0,
            acknowledged_at=None, acknowledged_by_name="", updated_at=Now(),
        )  # fmt: skip
        row.execution = Execution.QUEUED
        event(row, Kind.ACTION_RETRIED, by, before={"execution": before.name}, after={"execution": "QUEUED"})
        following.follow_execution(row, by=by)
        mark_dirty([row.investigation_id])
        transaction.on_commit(partial(dispatch.wake, [row.pk]), robust=True)
    action.refresh_from_db()
    return action


def _require_recent(row: "Action") -> None:
    """A retry rests on the old decision, which holds no longer than one could have waited for. Raises Conflict."""
    days = int(row.approval_rule.get("expiry_days", RANGES["expiry_days"][2]))
    if row.decided_at is not None and database_now() - row.decided_at > timedelta(days=days):
        anew = "Undo it anew" if row.undo_of_id else "Propose it anew"
        raise Conflict(
            row,
            "decided_too_long_ago",
            f"{row.label} was decided on more than {days} days ago. {anew} instead.",
        )


def resolve_unknown(action: "Action", *, by: Actor, happened: bool, comment: str) -> "Action":
    """Raises Conflict (also while a runner is asking the far side), Invalid, Refused, NotVisible."""
    if not comment.strip():
        raise Invalid("comment", "Say what you saw.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.RESOLVE, row)
        if not is_open_question(row):
            raise Conflict(row, "not_unknown", f"{row.label} has no unknown outcome.")
        _take_from_runners(row)
        asked = list(row.targets.filter(state=TargetState.UNKNOWN).values_list("pk", flat=True))
        row.targets.filter(pk__in=asked).update(
            state=TargetState.SUCCEEDED if happened else TargetState.FAILED, error=comment[:500],
            error_class="" if happened else "looked", changed_at=Now(),
        )  # fmt: skip
        standing.follow(row, asked)
        before, after = {"happened": None}, {"happened": happened}
        event(row, Kind.ACTION_RECONCILED, by, before=before, after=after, detail={"comment": comment})
        if row.history_at is None:
            settle(row, by=by, code="looked", detail=f"{by.name} looked")
        else:
            # An end that its targets contradicted (see `attempting.abandon`) stands.
            refresh(row)
    action.refresh_from_db()
    return action


def _take_from_runners(row: "Action") -> None:
    """Nobody asks the far side from here on. Raises Conflict where a runner is doing so now."""
    unended = row.attempts.filter(ended_at__isnull=True)
    idle = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    unended.filter(idle).update(
        ended_at=Now(), token=F("token") + 1, lease_until=None, next_poll_at=None
    )  # fmt: skip
    if unended.exists():
        # What it has on the wire may still land; a retry under a new key would be a second effect.
        raise Conflict(
            row, "being_asked", "A runner is asking the far side right now; try again in a minute."
        )
