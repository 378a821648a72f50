"""Attempts: claim, intent mark, results, and how an attempt ends. Only actions.execution comes here.

Every write by a runner is fenced by its attempt's token: a runner that lost its lease changes
nothing. Locks are taken in one order: action, devices, attempt, targets.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Now

from actioncenter import vault
from actioncenter.actions.enums import ALLOWED, AttemptState, Execution, TargetState
from actioncenter.actions.models import pacing, standing
from actioncenter.actions.models.artefact import Artefact, keep
from actioncenter.actions.models.conflicts import LeaseLost
from actioncenter.actions.models.settling import CONTRADICTED, contradict, event, legal, locked, settle
from actioncenter.actions.models.target import ActionTarget, Attempt, TargetResult
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.models import Device

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

CHUNK = 500
LANES: Final = 0x0AC7_10CE_1A4E_5000
"""Advisory lock of claims that take several lanes: two of them could wait for each other's."""
READY = Q(state=TargetState.QUEUED) & (Q(not_before__isnull=True) | Q(not_before__lte=Now()))
OPEN = (TargetState.IN_PROGRESS, TargetState.UNKNOWN)
LEFT_OUT = "The answer left this target out."


def claim(
    action: "Action", *, runner: str, lease: timedelta, by: Actor, shut: Collection[int] | None = None
) -> Attempt | None:
    """Take the free targets of one connector instance; None when nothing is free.

    `shut` are the instances that may not be called now; they are asked for unless given. The caller
    has judged the gates on the same locked row (see execution.claiming).
    """
    taken = _free_targets(action, pacing.closed_ids() if shut is None else shut)
    if not taken or not _booked(taken[0].instance_id, lease):
        return None
    number = (action.attempts.aggregate(last=Max("number"))["last"] or 0) + 1
    attempt = Attempt(
        action=action,
        public_id=key_of(action, number),
        instance_id=taken[0].instance_id,
        instance_name=taken[0].instance_name,
        number=number,
        runner=runner,
        lease_until=Now() + lease,
        total=len(taken),
    )
    try:
        _take(taken, attempt)
    except IntegrityError:
        # Another claim was first in one of the lanes; this one comes round again.
        return None
    if action.execution == Execution.QUEUED:
        legal(action, Execution.IN_PROGRESS)
        changes: dict[str, Any] = {"execution": Execution.IN_PROGRESS, "updated_at": Now()}
        if action.started_at is None:
            changes["started_at"] = Now()
        type(action).objects.filter(pk=action.pk, execution=Execution.QUEUED).update(**changes)
        event(action, Kind.ACTION_STARTED, by, after={"attempt": str(attempt.public_id)})
    attempt.refresh_from_db()
    return attempt


def key_of(action: "Action", number: int) -> uuid.UUID:
    """The same whenever it is worked out: a restored database can ask the far side about what it forgot."""
    return uuid.uuid5(action.public_id, f"attempt {number}")


def _take(targets: Sequence[ActionTarget], attempt: Attempt) -> None:
    """Raises IntegrityError when a lane was taken meanwhile."""
    with transaction.atomic():
        if len(targets) > 1 and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES])
        attempt.save(force_insert=True)
        ActionTarget.objects.filter(
            pk__in=[target.pk for target in targets], state=TargetState.QUEUED
        ).update(state=TargetState.IN_PROGRESS, attempt=attempt, tries=F("tries") + 1, changed_at=Now())


def _booked(instance_id: int | None, lease: timedelta) -> bool:
    """What no connector reaches needs no call."""
    return instance_id is None or pacing.book(instance_id, lease=lease)


def to_be_called(shut: Collection[int] | RawSQL) -> Q:
    """Of targets or attempts: those whose connector isn't among these."""
    return Q(instance__isnull=True) | ~Q(instance__in=shut)


def _free_targets(action: "Action", shut: Collection[int]) -> list[ActionTarget]:
    ready = action.targets.filter(READY, to_be_called(shut)).order_by("pk")
    first = ready.first()
    if first is None:
        return []
    same = list(ready.filter(instance_id=first.instance_id)[:CHUNK])
    devices = sorted({target.device_id for target in same if target.device_id})
    if not _hold(devices):
        return []
    blocked = _blocked_lanes(action, same) | _lanes_behind_offboard(devices, same)
    return _one_per_lane(target for target in same if target.lane not in blocked)


def _hold(devices: Sequence[int]) -> bool:
    """Lock the devices; False when somebody else has one: a claim waits for nobody, it comes again."""
    if not devices or not connection.features.has_select_for_update:
        return True
    rows = Device.objects.filter(pk__in=devices).order_by("pk")
    free = rows.select_for_update(no_key=True, skip_locked=True).values_list("pk")
    return len(free) == len(devices)


def _one_per_lane(targets: Iterable[ActionTarget]) -> list[ActionTarget]:
    by_lane: dict[str, ActionTarget] = {}
    for target in targets:
        by_lane.setdefault(target.lane, target)
    return list(by_lane.values())


def open_in_lanes() -> "QuerySet[ActionTarget]":
    """What may occupy a lane. The condition names its index, which SQLite doesn't find by itself."""
    return ActionTarget.objects.filter(state__lte=TargetState.UNKNOWN)


def others_blocking(action: "Action", lanes: Collection[str]) -> "QuerySet[ActionTarget]":
    """Targets of other actions whose undo failed, in these lanes; nothing may begin there unseen."""
    return ActionTarget.objects.filter(blocks=True, lane__in=lanes).exclude(action=action)


def _blocked_lanes(action: "Action", targets: Sequence[ActionTarget]) -> set[str]:
    """Lanes that something runs in, that hold an unknown (except for its inverse), or an earlier one."""
    held_in = {target.lane for target in targets}
    others = open_in_lanes().filter(lane__in=held_in).exclude(action=action)
    allowed = others.filter(action__decision__in=sorted(ALLOWED))
    busy = allowed.filter(state=TargetState.IN_PROGRESS)
    unknown = allowed.filter(state=TargetState.UNKNOWN).exclude(action=action.undo_of_id)
    earlier = allowed.filter(state=TargetState.QUEUED, action__history_at__isnull=True).filter(
        Q(action__queued_at__lt=action.queued_at)
        | Q(action__queued_at=action.queued_at, action_id__lt=action.pk)
    )
    held = set((busy | unknown | earlier).values_list("lane", flat=True))
    return held | set(others_blocking(action, held_in).values_list("lane", flat=True))


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


def take_over(
    runner: str, *, lease: timedelta, shut: Collection[int] = (), is_steady: Callable[[], bool] = lambda: True
) -> Attempt | None:
    """The next attempt whose lease is over or whose poll is due, in this order, now ours.

    A lease longer than any we give means that the clock was put back; the token fences whoever has it.
    Of connectors that may not be called now only what was never sent: that goes back to the queue.
    While the clock isn't steady, what was sent is left to whoever sent it.
    """
    over = Q(lease_until__lte=Now()) | Q(lease_until__gt=Now() + 2 * lease)
    due = Q(ended_at__isnull=True) & (Q(next_poll_at__lte=Now()) | over)
    asked = Q(sent_at__isnull=True) | to_be_called(shut)
    first = F("lease_until").asc(nulls_last=True)
    for attempt in Attempt.objects.filter(due, asked).order_by(first, "pk")[:20]:
        token = attempt.token + 1
        # Due still: whoever has it may have extended its lease since we looked.
        mine = Attempt.objects.filter(due, pk=attempt.pk, token=attempt.token)
        with transaction.atomic():
            if attempt.sent_at is not None and not _booked(attempt.instance_id, lease):
                continue
            taken = mine.update(token=token, runner=runner, lease_until=Now() + lease, next_poll_at=None)
            if taken and attempt.sent_at is not None and attempt.lease_until is not None and not is_steady():
                transaction.set_rollback(True)
                continue
        if taken:
            attempt.refresh_from_db()
            attempt.token = token
            return attempt
    return None


def mark_sent(attempt: Attempt) -> None:
    """The intent mark, before the wire is touched. Raises LeaseLost."""
    _fenced(attempt, sent_at=Now(), state=AttemptState.SENT)


def adopt(attempt: Attempt, number: int, key: uuid.UUID) -> None:
    """The far side knows it under this key: it was sent before the database was restored. Raises LeaseLost."""
    _fenced(
        attempt, number=number, public_id=key, sent_at=Coalesce("sent_at", Now()), state=AttemptState.SENT
    )
    attempt.number, attempt.public_id = number, key


def doubt_all() -> int:
    """After a restore: whatever is open may have gone on since, so its runner asks before it does anything."""
    going = [AttemptState.CLAIMED, AttemptState.SENT, AttemptState.POLLING]
    return Attempt.objects.filter(ended_at__isnull=True, state__in=going).update(
        state=AttemptState.SENT, sent_at=Coalesce("sent_at", Now()), cursor=None, lease_until=Now(),
        next_poll_at=None,
    )  # fmt: skip


def leave(attempt: Attempt, *, margin: timedelta, error: str, look_again_in: float | None, by: Actor) -> bool:
    """Wait no longer for a call whose lease is over or nearly so; returns whether that was the case.

    Whatever the call still does is fenced off. What was sent is unknown, the rest goes back to the queue.
    """
    with transaction.atomic():
        row = locked(attempt.action)
        held = Attempt.objects.filter(pk=attempt.pk, token=attempt.token, ended_at__isnull=True)
        if not held.filter(lease_until__lte=Now() + margin).update(token=F("token") + 1):
            return False
        attempt.refresh_from_db()
        if attempt.sent_at is None:
            _requeue(attempt, after=0, reason=error, error_class="hangs")
        else:
            _leave_unknown(attempt, error, look_again_in)
        settle(row, by=by, code="unknown" if attempt.sent_at else "hangs", detail=error)
    return True


def intend(attempt: Attempt, lease: timedelta) -> None:
    """The connector is about to touch something; what becomes of that isn't known until it answers.

    Raises LeaseLost.
    """
    _fenced(attempt, state=AttemptState.SENT, lease_until=Now() + lease)


def renew(attempt: Attempt, lease: timedelta) -> None:
    """More time for what is still to be asked. Raises LeaseLost."""
    _fenced(attempt, lease_until=Now() + lease)


def note(attempt: Attempt, results: Sequence[TargetResult]) -> None:
    """Keep what an undo needs as soon as it is known; the state waits for the read-back. Raises LeaseLost."""
    with transaction.atomic():
        _fenced(attempt, done=F("done"))
        for result in results:
            if result.before and not attempt.action.entry.is_inverse:
                attempt.targets.filter(pk=result.target_id).update(restore=vault.seal(result.before))


def park(
    attempt: Attempt, results: Sequence[TargetResult], read: Collection[int], *, cursor: Any, wait: float,
    done: int, total: int, message: str, artefacts: Sequence[Artefact] = (), by: Actor,
) -> None:  # fmt: skip
    """Take in what is final so far and release the lease until the next poll. Raises LeaseLost."""
    with _moving(attempt, by=by) as row:
        _record(attempt, results, read)
        keep(row, artefacts, by=by)
        if row.cancel_requested_at is not None and attempt.action.cancel_requested_at is None:
            # Asked for while the far side was called: it is told at once.
            wait = 0
        _fenced(
            attempt, state=AttemptState.POLLING, cursor=cursor, lease_until=None, done=done, total=total,
            message=message[:255], next_poll_at=Now() + timedelta(seconds=wait),
        )  # fmt: skip


def postpone(attempt: Attempt, *, wait: float, reason: str) -> None:
    """Ask again later under the same id: what was sent before is still under way. Raises LeaseLost."""
    _fenced(
        attempt, state=AttemptState.POLLING, lease_until=None, next_poll_at=Now() + timedelta(seconds=wait),
        message=reason[:255],
    )  # fmt: skip


def requeue(attempt: Attempt, *, after: float, reason: str, error_class: str, by: Actor) -> None:
    """Nothing was sent: the targets go back to the queue. Raises LeaseLost."""
    with _moving(attempt, by=by, code=error_class, detail=reason):
        _requeue(attempt, after=after, reason=reason, error_class=error_class)


def finish(
    attempt: Attempt, results: Sequence[TargetResult], read: Collection[int] = (), *, by: Actor,
    look_again_in: float | None = None, artefacts: Sequence[Artefact] = (), error: str = "", error_class: str = "",
) -> None:  # fmt: skip
    """Take in the last results. `read` names the targets that were seen in force.

    While the outcome of any target isn't known the attempt stays open. Raises LeaseLost.
    """
    with _moving(attempt, by=by, code=error_class, detail=error):
        _record(attempt, results, read)
        keep(attempt.action, artefacts, by=by)
        if attempt.targets.filter(state__in=OPEN).exists():
            _leave_unknown(attempt, error or LEFT_OUT, look_again_in)
        else:
            _close(attempt, error=error, error_class=error_class)


def keep_unknown(attempt: Attempt, *, error: str, look_again_in: float | None, by: Actor) -> None:
    """Sent, no answer: shown as unknown; reconciled after a while, or by a person. Raises LeaseLost."""
    with _moving(attempt, by=by, code="unknown", detail=error):
        _leave_unknown(attempt, error, look_again_in)


def abandon(attempt: Attempt, *, error: str, by: Actor) -> None:
    """What became of it is no move that the action can make, by our own mistake: a person has to look.

    No runner takes it again. Raises LeaseLost.
    """
    with transaction.atomic():
        row = locked(attempt.action)
        _close(attempt, error=error, error_class=CONTRADICTED)
        attempt.targets.filter(state__in=OPEN).update(
            state=TargetState.UNKNOWN, error=error[:500], error_class=CONTRADICTED, changed_at=Now()
        )
        contradict(row, by=by, detail=error)


@contextmanager
def _moving(attempt: Attempt, *, by: Actor, code: str = "", detail: str = "") -> Iterator["Action"]:
    """What happens to an attempt and what its action becomes by it are one transaction; gives its row."""
    with transaction.atomic():
        row = locked(attempt.action)
        _fenced(attempt, done=F("done"))
        yield row
        settle(row, by=by, code=code, detail=detail)


def _fenced(attempt: Attempt, **changes: Any) -> None:
    held = Attempt.objects.filter(pk=attempt.pk, token=attempt.token, ended_at__isnull=True)
    if not held.update(**changes):
        raise LeaseLost(f"{attempt} is no longer ours")


def _record(attempt: Attempt, results: Sequence[TargetResult], read: Collection[int]) -> None:
    by_number = {target.pk: target for target in attempt.targets.filter(state__in=OPEN)}
    # What an inverse has to restore stays as it was ordered: its own findings are nothing to go back to.
    keep = attempt.action.entry.is_inverse
    changed = []
    for result in results:
        target = by_number.get(result.target_id)
        if target is None:
            continue
        target.state = result.state
        target.error = result.error[:500]
        target.error_class = result.error_class
        target.after = result.after
        if result.before and not keep:
            target.restore = vault.seal(result.before)
        changed.append(target)
    ActionTarget.objects.bulk_update(changed, ["state", "error", "error_class", "after", "restore"])
    numbers = {target.pk for target in changed}
    ActionTarget.objects.filter(pk__in=numbers).update(changed_at=Now())
    ActionTarget.objects.filter(pk__in=numbers.intersection(read)).update(read_back_at=Now())
    standing.follow(attempt.action, numbers)


def _leave_unknown(attempt: Attempt, error: str, look_again_in: float | None) -> None:
    poll = None if look_again_in is None else Now() + timedelta(seconds=look_again_in)
    _fenced(
        attempt, state=AttemptState.UNKNOWN, lease_until=None, next_poll_at=poll, error=error[:1000],
        error_class="unknown",
    )  # fmt: skip
    attempt.targets.filter(state=TargetState.IN_PROGRESS).update(
        state=TargetState.UNKNOWN, error=error[:500], error_class="unknown", changed_at=Now()
    )


def _requeue(attempt: Attempt, *, after: float, reason: str, error_class: str) -> None:
    _close(attempt, error=reason, error_class=error_class)
    attempt.targets.filter(state=TargetState.IN_PROGRESS).update(
        state=TargetState.QUEUED, not_before=Now() + timedelta(seconds=after), error=reason[:500],
        error_class=error_class, changed_at=Now(),
    )  # fmt: skip


def _close(attempt: Attempt, *, error: str = "", error_class: str = "") -> None:
    _fenced(
        attempt, state=AttemptState.FINISHED, ended_at=Now(), lease_until=None, next_poll_at=None,
        error=error[:1000], error_class=error_class,
    )  # fmt: skip
