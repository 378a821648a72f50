"""The execution axis: claim, intent mark, results, ends, cancel, retry.

Only actions.execution calls what touches attempts; people reach cancel, retry and resolve.
Every write by a runner is fenced by its attempt's token: a runner that lost its lease changes
nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.enums import (
    ALLOWED,
    ENDS,
    RETRYABLE,
    RUNNING,
    TARGET_SUCCESS,
    AttemptState,
    Execution,
    TargetState,
)
from actioncenter.actions.models.conflicts import Conflict, Invalid, LeaseLost
from actioncenter.actions.models.target import ActionTarget, Attempt, TargetResult
from actioncenter.actions.permissions import NotVisible, Verb, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.models import Device, Investigation

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

CHUNK = 500
END_EVENTS = {
    Execution.SUCCEEDED: Kind.ACTION_SUCCEEDED,
    Execution.PARTLY_SUCCEEDED: Kind.ACTION_PARTLY_SUCCEEDED,
    Execution.FAILED: Kind.ACTION_FAILED,
    Execution.TIMED_OUT: Kind.ACTION_TIMED_OUT,
    Execution.CANCELLED: Kind.ACTION_CANCELLED,
    Execution.OUTCOME_UNKNOWN: Kind.ACTION_UNKNOWN,
}


def claimable(model: "type[Action]") -> "QuerySet[Action]":
    """Actions with a target that could start now, oldest first. The claim itself judges lanes."""
    ready = ActionTarget.objects.filter(action=OuterRef("pk"), state=TargetState.QUEUED).filter(
        Q(not_before__isnull=True) | Q(not_before__lte=Now())
    )
    return (
        model.objects.filter(
            execution__in=sorted(RUNNING), decision__in=sorted(ALLOWED), history_at__isnull=True
        )
        .filter(Exists(ready))
        .order_by("queued_at", "pk")
    )


def claim(action: "Action", *, runner: str, lease: timedelta, by: Actor) -> Attempt | None:
    """Take the free targets of one connector instance; None when nothing is free.

    The caller has judged the gates on the same locked row (see execution.claiming).
    """
    taken = _free_targets(action)
    if not taken:
        return None
    attempt = Attempt.objects.create(
        action=action,
        instance_id=taken[0].instance_id,
        instance_name=taken[0].instance_name,
        number=action.attempts.count() + 1,
        runner=runner,
        lease_until=Now() + lease,
        total=len(taken),
    )
    ActionTarget.objects.filter(pk__in=[target.pk for target in taken], state=TargetState.QUEUED).update(
        state=TargetState.IN_PROGRESS, attempt=attempt, tries=F("tries") + 1, changed_at=Now()
    )
    if action.execution == Execution.QUEUED:
        changes: dict[str, Any] = {"execution": Execution.IN_PROGRESS, "updated_at": Now()}
        if action.started_at is None:
            changes["started_at"] = Now()
        type(action).objects.filter(pk=action.pk, execution=Execution.QUEUED).update(**changes)
        _event(action, Kind.ACTION_STARTED, by, after={"attempt": str(attempt.public_id)})
    return attempt


def _free_targets(action: "Action") -> list[ActionTarget]:
    queued = action.targets.filter(state=TargetState.QUEUED).filter(
        Q(not_before__isnull=True) | Q(not_before__lte=Now())
    )
    devices = sorted({pk for pk in queued.values_list("device_id", flat=True) if pk})
    if connection.features.has_select_for_update:
        list(Device.objects.filter(pk__in=devices).order_by("pk").select_for_update().values_list("pk"))
    first = queued.order_by("pk").first()
    if first is None:
        return []
    same = list(queued.filter(instance_id=first.instance_id).order_by("pk")[:CHUNK])
    blocked = _blocked_lanes(action, same) | _lanes_behind_offboard(devices, same)
    return _one_per_lane(target for target in same if target.lane not in blocked)


def _one_per_lane(targets: Iterable[ActionTarget]) -> list[ActionTarget]:
    by_lane: dict[str, ActionTarget] = {}
    for target in targets:
        by_lane.setdefault(target.lane, target)
    return list(by_lane.values())


def _blocked_lanes(action: "Action", targets: Sequence[ActionTarget]) -> set[str]:
    """Lanes that something runs in, that hold an unknown (except for its inverse), or an earlier one."""
    others = ActionTarget.objects.filter(lane__in={target.lane for target in targets}).exclude(action=action)
    allowed = others.filter(action__decision__in=sorted(ALLOWED))
    busy = allowed.filter(state=TargetState.IN_PROGRESS)
    unknown = allowed.filter(state=TargetState.UNKNOWN).exclude(action=action.undo_of)
    earlier = allowed.filter(state=TargetState.QUEUED, action__history_at__isnull=True).filter(
        Q(action__queued_at__lt=action.queued_at)
        | Q(action__queued_at=action.queued_at, action_id__lt=action.pk)
    )
    return set((busy | unknown | earlier).values_list("lane", flat=True))


def _lanes_behind_offboard(devices: Sequence[int], targets: Sequence[ActionTarget]) -> set[str]:
    """Offboarding a device waits for everything on it, and everything waits for it."""
    if not devices:
        return set()
    active = ActionTarget.objects.filter(
        device_id__in=devices, state__in=[TargetState.IN_PROGRESS, TargetState.UNKNOWN]
    ).values_list("device_id", "lane")
    rows = list(active)
    offboarding = {device for device, lane in rows if lane.startswith("device:")}
    occupied = {device for device, _ in rows}
    return {
        target.lane
        for target in targets
        if target.device_id in (occupied if target.lane.startswith("device:") else offboarding)
    }


def mark_sent(attempt: Attempt) -> None:
    """The intent mark, before the wire is touched. Raises LeaseLost."""
    _fenced(attempt, sent_at=Now(), state=AttemptState.SENT)


def extend_lease(attempt: Attempt, lease: timedelta) -> None:
    """Raises LeaseLost."""
    _fenced(attempt, lease_until=Now() + lease)


def park(attempt: Attempt, *, cursor: Any, wait: float, done: int, total: int, message: str) -> None:
    """Release the lease until the next poll of a long job. Raises LeaseLost."""
    _fenced(
        attempt, state=AttemptState.POLLING, cursor=cursor, lease_until=None, done=done, total=total,
        message=message[:255], next_poll_at=Now() + timedelta(seconds=wait),
    )  # fmt: skip


def _fenced(attempt: Attempt, **changes: Any) -> None:
    held = Attempt.objects.filter(pk=attempt.pk, token=attempt.token, ended_at__isnull=True)
    if not held.update(**changes):
        raise LeaseLost(f"{attempt} is no longer ours")


def take_over(attempt: Attempt, *, runner: str, lease: timedelta) -> bool:
    """Continue an attempt whose lease or poll time is over; False when another was faster."""
    open_now = Attempt.objects.filter(pk=attempt.pk, token=attempt.token, ended_at__isnull=True)
    changed = open_now.update(
        token=F("token") + 1, runner=runner, lease_until=Now() + lease, next_poll_at=None
    )
    if changed:
        attempt.refresh_from_db()
    return bool(changed)


def record(attempt: Attempt, results: Sequence[TargetResult], *, read_back: bool = False) -> None:
    """Write results of targets of this attempt under its token. Raises LeaseLost."""
    with transaction.atomic():
        _fenced(attempt, done=F("done"))
        keyed = {target.pk: target for target in attempt.targets.select_for_update().all()}
        changed = []
        for result in results:
            target = keyed.get(result.target_id)
            if target is None or target.state not in (TargetState.IN_PROGRESS, TargetState.UNKNOWN):
                continue
            target.state = result.state
            target.error = result.error[:500]
            target.error_class = result.error_class
            target.after = result.after
            if result.before:
                target.restore = vault.seal(result.before)
            changed.append(target)
        fields = ["state", "error", "error_class", "after", "restore"]
        ActionTarget.objects.bulk_update(changed, fields)
        now = {"changed_at": Now()} | ({"read_back_at": Now()} if read_back else {})
        ActionTarget.objects.filter(pk__in=[target.pk for target in changed]).update(**now)


def note(attempt: Attempt, results: Sequence[TargetResult]) -> None:
    """Keep what an undo needs as soon as it is known; the state waits for the read-back. Raises LeaseLost."""
    with transaction.atomic():
        _fenced(attempt, done=F("done"))
        for result in results:
            if result.before:
                attempt.targets.filter(pk=result.target_id).update(restore=vault.seal(result.before))


def requeue(attempt: Attempt, *, after: float, reason: str, error_class: str) -> None:
    """Nothing was sent: the targets go back to the queue. Raises LeaseLost."""
    with transaction.atomic():
        close(attempt, AttemptState.FINISHED, error=reason, error_class=error_class)
        attempt.targets.filter(state=TargetState.IN_PROGRESS).update(
            state=TargetState.QUEUED, not_before=Now() + timedelta(seconds=after), error=reason[:500],
            error_class=error_class, changed_at=Now(),
        )  # fmt: skip


def close(attempt: Attempt, state: AttemptState, *, error: str = "", error_class: str = "") -> None:
    """End an attempt, under its token. Raises LeaseLost."""
    _fenced(
        attempt, state=state, ended_at=Now(), lease_until=None, next_poll_at=None, error=error[:1000],
        error_class=error_class,
    )  # fmt: skip


def keep_unknown(attempt: Attempt, *, error: str, look_again_in: float | None) -> None:
    """Sent, no answer: shown as unknown; reconciled after a while, or by a person. Raises LeaseLost."""
    poll = None if look_again_in is None else Now() + timedelta(seconds=look_again_in)
    with transaction.atomic():
        _fenced(
            attempt, state=AttemptState.UNKNOWN, lease_until=None, next_poll_at=poll, error=error[:1000],
            error_class="unknown",
        )  # fmt: skip
        attempt.targets.filter(state=TargetState.IN_PROGRESS).update(
            state=TargetState.UNKNOWN, error=error[:500], error_class="unknown", changed_at=Now()
        )


def settle(action: "Action", *, by: Actor, code: str = "", detail: str = "") -> Execution:
    """Refresh the counts and move the execution axis to what they say. Returns the state."""
    model = type(action)
    with transaction.atomic():
        row = _lock(action)
        counts = Counter(
            {TargetState(s): n for s, n in row.targets.order_by().values_list("state").annotate(Count("pk"))}
        )
        before, after = Execution(row.execution), execution_of(counts)
        good = sum(counts[state] for state in TARGET_SUCCESS)
        bad = counts[TargetState.FAILED] + counts[TargetState.TIMED_OUT] + counts[TargetState.CANCELLED]
        changes: dict[str, Any] = {
            "succeeded_count": good,
            "failed_count": bad,
            "unknown_count": counts[TargetState.UNKNOWN],
            "updated_at": Now(),
        }
        if after != before:
            changes |= {"execution": after, "code": code, "status_detail": detail[:500]}
            if after in ENDS:
                changes |= {"finished_at": Now(), "history_at": Now()}
                if row.targets.filter(read_back_at__isnull=False).exists():
                    changes["read_back_at"] = Now()
        model.objects.filter(pk=row.pk, execution=before).update(**changes)
        if after != before and after in END_EVENTS:
            summary = {"succeeded": good, "failed": bad, "unknown": counts[TargetState.UNKNOWN]}
            _event(row, END_EVENTS[after], by, before={"execution": before.name},
                   after={"execution": after.name, **summary}, detail={"code": code, "detail": detail})  # fmt: skip
            _mark_dirty(row)
    action.refresh_from_db()
    return after


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
        _lock(action)
        action.targets.filter(state=TargetState.QUEUED).update(
            state=state, error=detail[:500], error_class=code, changed_at=Now()
        )
        return settle(action, by=by, code=code, detail=detail)


def request_cancel(action: "Action", *, by: Actor, comment: str) -> "Action":
    """Raises Conflict (over already), Refused, NotVisible."""
    with fence.decider():
        row = _lock(action)
        fresh_rights(by).require(Verb.CANCEL, row)
        if row.history_at is not None or row.execution not in RUNNING:
            raise Conflict(row, "over", f"{row.label} is not running.")
        if row.cancel_requested_at is None:
            row.cancel_requested_by_name = by.name
            type(row).objects.filter(pk=row.pk).update(
                cancel_requested_at=Now(), cancel_requested_by_name=by.name, updated_at=Now()
            )
            _event(row, Kind.ACTION_CANCEL_REQUESTED, by, detail={"comment": comment})
        transaction.on_commit(partial(dispatch.wake, [row.pk]), robust=True)
    action.refresh_from_db()
    return action


def retry(action: "Action", *, by: Actor) -> "Action":
    """Raises Conflict (nothing to retry), Refused, NotVisible."""
    with fence.decider():
        row = _lock(action)
        fresh_rights(by).require(Verb.RETRY, row)
        before = Execution(row.execution)
        if before not in RETRYABLE or row.undone_by_id:
            raise Conflict(row, "not_retryable", f"{row.label} has nothing to retry.")
        unfinished = [TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED]
        row.targets.filter(state__in=unfinished).update(
            state=TargetState.QUEUED,
            attempt=None,
            not_before=None,
            error="",
            error_class="",
            changed_at=Now(),
        )
        type(row).objects.filter(pk=row.pk, execution=before).update(
            execution=Execution.QUEUED, queued_at=Now(), history_at=None, finished_at=None, code="",
            cancel_requested_at=None, cancel_requested_by_name="", failed_count=0, updated_at=Now(),
        )  # fmt: skip
        _event(row, Kind.ACTION_RETRIED, by, before={"execution": before.name}, after={"execution": "QUEUED"})
        _mark_dirty(row)
        transaction.on_commit(partial(dispatch.wake, [row.pk]), robust=True)
    action.refresh_from_db()
    return action


def resolve_unknown(action: "Action", *, by: Actor, happened: bool, comment: str) -> "Action":
    """Raises Conflict, Invalid, Refused, NotVisible."""
    if not comment.strip():
        raise Invalid("comment", "Say what you saw.")
    with fence.decider():
        row = _lock(action)
        fresh_rights(by).require(Verb.RESOLVE, row)
        if row.execution != Execution.OUTCOME_UNKNOWN:
            raise Conflict(row, "not_unknown", f"{row.label} has no unknown outcome.")
        row.attempts.filter(state=AttemptState.UNKNOWN, ended_at__isnull=True).update(
            ended_at=Now(), token=F("token") + 1, next_poll_at=None
        )
        row.targets.filter(state=TargetState.UNKNOWN).update(
            state=TargetState.SUCCEEDED if happened else TargetState.FAILED, error=comment[:500],
            error_class="" if happened else "looked", changed_at=Now(),
        )  # fmt: skip
        _event(row, Kind.ACTION_RECONCILED, by, after={"happened": happened}, detail={"comment": comment})
        settle(row, by=by, code="looked", detail=f"{by.name} looked")
    action.refresh_from_db()
    return action


def _lock(action: "Action") -> "Action":
    rows = type(action).objects.filter(pk=action.pk)
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",))
    row = rows.first()
    if row is None:
        raise NotVisible
    return row


def _event(action: "Action", kind: Kind, by: Actor, **more: Any) -> None:
    log.record_many([action.draft(kind, by=by, **more)])


def _mark_dirty(action: "Action") -> None:
    if action.investigation_id:
        Investigation.objects.filter(pk=action.investigation_id).update(dirty_at=Now())
