"""Finding what may start, and claiming it once every gate has let it pass."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from actioncenter.accounts import fence
from actioncenter.actions.enums import ALLOWED, ActionType, TargetKind, TargetState
from actioncenter.actions.execution import failpoints, gates, stumbling
from actioncenter.actions.execution.binding import message_draft, planned_targets
from actioncenter.actions.execution.gates import Gate
from actioncenter.actions.execution.holding import under_a_stop
from actioncenter.actions.models import Action, ActionTarget, Attempt, attempting, overtaking, pacing
from actioncenter.audit.actor import Actor

LEASE = timedelta(seconds=settings.LEASE_SECONDS)
LOOKED_AT_ONCE = 50
PAGES = 20
"""How often that many are looked at while none of them can be claimed."""


def claim_next(runner: str, *, by: Actor, shut: Collection[int] | None = None) -> Attempt | None:
    """The next attempt this runner may carry out, or None.

    `shut` are the connector instances that may not be called now; they are asked for unless given.
    """
    shut = pacing.closed_ids() if shut is None else shut
    for pk in _candidates(shut):
        if stumbling.is_aside(pk):
            continue
        try:
            attempt = claim_one(pk, runner, by=by, shut=shut)
        except (OperationalError, InterfaceError):
            # The database itself: the next one would fare no better.
            raise
        except Exception as fault:  # noqa: BLE001 - a row that somebody broke, and no reason to hold up the others
            stumbling.at_the_gate(pk, runner, fault, by=by)
            continue
        if attempt:
            failpoints.reach(failpoints.Point.CLAIMED)
            return attempt
    return None


def _candidates(shut: Collection[int] = ()) -> Iterator[int]:
    """Oldest first. What a switch, a lane or a connector holds is left out here already: it may be a long queue.

    A wish to cancel is heard however long the rest would wait.
    """
    rows = Action.objects.filter(decision__in=sorted(ALLOWED), history_at__isnull=True)
    queued = ActionTarget.objects.filter(action=OuterRef("pk"), state=TargetState.QUEUED)
    unwanted = rows.filter(Exists(queued), cancel_requested_at__isnull=False)
    yield from _page_by_page(unwanted.filter(execution__in=gates.STARTABLE).order_by("queued_at", "pk"))
    rows = rows.filter(cancel_requested_at__isnull=True).exclude(under_a_stop())
    # What its inverse has overtaken is ended, not tried: that waits neither for its next try nor for its
    # connector. Asked for apart: with an OR below, PostgreSQL compares every target with every other.
    overtaken = rows.filter(Exists(queued.filter(Exists(overtaking.behind()))), execution__in=gates.STARTABLE)
    yield from _page_by_page(overtaken.order_by("queued_at", "pk"))
    for state in gates.STARTABLE:
        startable = rows.filter(Exists(_startable_targets(shut)), execution=state)
        yield from _page_by_page(startable.order_by("queued_at", "pk"))


def _page_by_page(startable: "QuerySet[Action]") -> Iterator[int]:
    """What was seen and couldn't be claimed must not hide what comes after it."""
    rows = startable.filter(queued_at__isnull=False).values_list("queued_at", "pk")
    after = Q()
    for _ in range(PAGES):
        page = list(rows.filter(after)[:LOOKED_AT_ONCE])
        yield from (pk for _, pk in page)
        if len(page) < LOOKED_AT_ONCE:
            return
        at, last = page[-1]
        after = Q(queued_at__gt=at) | Q(queued_at=at, pk__gt=last)


def _startable_targets(shut: Collection[int]) -> "QuerySet[ActionTarget]":
    """Ready targets of the outer action whose lane and connector are free; the claim itself judges again."""
    others = attempting.open_in_lanes().filter(lane=OuterRef("lane")).exclude(action=OuterRef("action"))
    mine = OuterRef("action__queued_at")
    earlier = Q(action__queued_at__lt=mine) | Q(action__queued_at=mine, action__lt=OuterRef("action"))
    busy = others.filter(state=TargetState.IN_PROGRESS)
    ahead = others.filter(
        earlier,
        state=TargetState.QUEUED,
        action__decision__in=sorted(ALLOWED),
        action__history_at__isnull=True,
    )
    to_be_called = attempting.to_be_called(shut)
    ready = ActionTarget.objects.filter(attempting.READY, to_be_called, action=OuterRef("pk"))
    undo_failed = ActionTarget.objects.filter(blocks=True, lane=OuterRef("lane")).exclude(
        action=OuterRef("action")
    )
    # Of the unknown only its undo may begin in the lane.
    unknown = others.filter(state=TargetState.UNKNOWN, action__decision__in=sorted(ALLOWED)).exclude(
        action=Coalesce(OuterRef("action__undo_of"), 0)
    )
    return ready.filter(~Exists(unknown), ~Exists(busy), ~Exists(ahead), ~Exists(undo_failed))


def claim_one(pk: int, runner: str, *, by: Actor, shut: Collection[int] | None = None) -> Attempt | None:
    """Judge and claim one action. None when another runner has it or a gate is shut."""
    with fence.decider():
        rows = Action.objects.filter(pk=pk)
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        action = rows.select_related("approved_plan").first()
        if action is None or gates.judge(action, by=by) is not Gate.OPEN:
            return None
        _expand(action)
        return attempting.claim(action, runner=runner, lease=LEASE, by=by, shut=shut)


def _expand(action: Action) -> None:
    """A cluster is carried out through the messages that its approved plan froze."""
    planned = planned_targets(action)
    cluster = action.targets.filter(kind=TargetKind.CLUSTER, state=TargetState.QUEUED).first()
    if not planned or cluster is None:
        return
    drafts = [message_draft(item) for item in planned]
    cluster.delete()
    ActionTarget.objects.bulk_create(
        [
            ActionTarget(
                action=action, kind=draft.kind, entity=draft.entity, name=draft.name, on_name=draft.on_name,
                facts=dict(draft.facts), lane=draft.lane(ActionType(action.type)), instance_id=draft.instance_id,
                instance_name=draft.instance_name, remote=draft.remote,
            )
            for draft in drafts
        ],
        batch_size=500,
    )  # fmt: skip
    Action.objects.filter(pk=action.pk).update(target_count=len(drafts))
