"""Before anything is sent: all gates again on the locked row, then the claim."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions import planning
from actioncenter.actions.enums import (
    ALLOWED,
    ActionType,
    Decision,
    Execution,
    TargetKind,
    TargetState,
)
from actioncenter.actions.execution import outside
from actioncenter.actions.models import Action, ActionTarget, Attempt, TargetDraft, attempting, settling
from actioncenter.actions.models.proposal import canonical, fingerprint, intent_key
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import AutomationLevel, StopScope, is_raise
from actioncenter.settings.models import Stop
from investigations.models import Evidence

LEASE = timedelta(seconds=60)
DUPLICATE_WINDOW = timedelta(hours=1)
LOOKED_AT_ONCE = 50
STARTABLE = (Execution.IN_PROGRESS, Execution.QUEUED)
"""What was begun goes on first. Nothing more is sent for an action with an unknown outcome."""


class Gate(Enum):
    OPEN = auto()
    HOLD = auto()
    """Stays queued; looked at again later."""
    STOPPED = auto()
    """The runner refused; the action has ended."""


def claim_next(runner: str, *, by: Actor) -> Attempt | None:
    """The next attempt this runner may carry out, or None."""
    for pk in _candidates():
        attempt = claim_one(pk, runner, by=by)
        if attempt:
            return attempt
    return None


def _candidates() -> Iterator[int]:
    """Oldest first. What a switch or a lane holds is left out here already: it may be a long queue."""
    held = _under_a_stop() & Q(cancel_requested_at__isnull=True)
    rows = Action.objects.filter(decision__in=sorted(ALLOWED), history_at__isnull=True).exclude(held)
    for state in STARTABLE:
        startable = rows.filter(Exists(_startable_targets()), execution=state).order_by("queued_at", "pk")
        yield from list(startable.values_list("pk", flat=True)[:LOOKED_AT_ONCE])


def _startable_targets() -> "QuerySet[ActionTarget]":
    """Ready targets of the outer action whose lane is free; the claim itself judges again."""
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
    ready = ActionTarget.objects.filter(attempting.READY, action=OuterRef("pk"))
    return ready.filter(~Exists(busy), ~Exists(ahead))


def claim_one(pk: int, runner: str, *, by: Actor) -> Attempt | None:
    """Judge and claim one action. None when another runner has it or a gate is shut."""
    with fence.decider():
        rows = Action.objects.filter(pk=pk)
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        action = rows.select_related("approved_plan").first()
        if action is None or _judge(action, by=by) is not Gate.OPEN:
            return None
        _expand(action)
        return attempting.claim(action, runner=runner, lease=LEASE, by=by)


def _judge(action: Action, *, by: Actor) -> Gate:
    if action.execution not in STARTABLE or action.decision not in ALLOWED:
        return Gate.HOLD
    if action.cancel_requested_at is not None:
        return _stop(action, "cancelled_by", f"Cancelled by {action.cancel_requested_by_name}", by=by)
    if not _as_decided(action):
        return _stop(action, "fingerprint_changed", "The action is not what was approved.", by=by)
    if stopped(action):
        return Gate.HOLD
    if _level_lowered(action):
        _stop(action, "level_lowered", "The automation level was lowered meanwhile.", by=by)
        _ask_a_person(action)
        return Gate.STOPPED
    duplicate = _processed_within_the_hour(action)
    if duplicate:
        return _stop(action, "duplicate_of", f"A-{duplicate}", by=by)
    if _out_of_patience(action):
        settling.stop_queued(
            action,
            TargetState.TIMED_OUT,
            by=by,
            code="patience_ended",
            detail="It could not be reached in time.",
        )
        return Gate.STOPPED
    return Gate.OPEN


def _stop(action: Action, code: str, detail: str, *, by: Actor) -> Gate:
    settling.stop_queued(action, TargetState.CANCELLED, by=by, code=code, detail=detail)
    return Gate.STOPPED


def _ask_a_person(action: Action) -> None:
    """Propose anew what its evidence calls for under the level that holds now."""
    evidence = Evidence.objects.filter(links__action=action).order_by("pk")
    if connection.features.has_select_for_update:
        # Planning passes over what somebody else holds.
        evidence = evidence.select_for_update(of=("self",), no_key=True)
    planning.plan(list(evidence.values_list("pk", flat=True)))


def _as_decided(action: Action) -> bool:
    """Type, targets, parameters, instances and policy are what the decision was about."""
    named = action.targets.only("kind", "device_id", "mailbox_id", "entity", "instance_id")
    targets = list(named.order_by("pk"))
    expanded = _planned_targets(action)
    if expanded and [t.canonical for t in targets] == [t["canonical"] for t in expanded]:
        intent = action.intent_key
    else:
        intent = intent_key(ActionType(action.type), [t.canonical for t in targets], action.parameters)
    print_now = fingerprint(intent, _instances(action, targets), action.policy, action.revision)
    agreed = action.approved_fingerprint if action.decision == Decision.APPROVED else action.fingerprint
    return intent == action.intent_key and print_now == agreed == action.fingerprint


def _instances(action: Action, targets: Sequence[ActionTarget]) -> list[int | None]:
    if action.target_kind == TargetKind.CLUSTER:
        return [targets[0].instance_id] if targets else []
    return [target.instance_id for target in targets]


def _planned_targets(action: Action) -> list[dict[str, Any]]:
    plan = action.approved_plan
    return plan.body.get("targets") or [] if plan else []


def stopped(action: Action) -> bool:
    """Whether a pulled switch covers this action."""
    return Action.objects.filter(_under_a_stop(), pk=action.pk).exists()


def _under_a_stop() -> Q:
    """Actions that a pulled switch covers, as a condition; none when nothing is stopped."""
    covered = Q(pk__in=[])
    for scope, value in Stop.objects.filter(lifted_at__isnull=True).values_list("scope", "value"):
        match StopScope(scope):
            case StopScope.ALL:
                return Q(pk__isnull=False)
            case StopScope.GROUP:
                covered |= Q(group=value)
            case StopScope.TYPE:
                covered |= Q(type=value)
            case StopScope.CONNECTOR:
                through = ActionTarget.objects.filter(action=OuterRef("pk"), instance=value)
                covered |= Q(Exists(through))
    return covered


def _level_lowered(action: Action) -> bool:
    if not action.automatic or action.level is None or action.group is None:
        return False
    if action.execution != Execution.QUEUED:
        return False
    return is_raise(AutomationLevel(action.group.level), AutomationLevel(action.level))


def _processed_within_the_hour(action: Action) -> int | None:
    """Domain Q21: the same cluster, approved before within the hour and not undone since."""
    if action.target_kind != TargetKind.CLUSTER or action.started_at is not None:
        return None
    others = Action.objects.filter(
        intent_key=action.intent_key, queued_at__gt=Now() - DUPLICATE_WINDOW, undone_by__isnull=True
    ).exclude(pk=action.pk)
    done = [Execution.IN_PROGRESS, Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED]
    return others.filter(execution__in=done).values_list("pk", flat=True).first()


def _out_of_patience(action: Action) -> bool:
    limit = timedelta(seconds=outside.patience(action))
    return Action.objects.filter(
        pk=action.pk, execution=Execution.QUEUED, queued_at__lt=Now() - limit
    ).exists()


def _expand(action: Action) -> None:
    """A cluster is carried out through the messages that its approved plan froze."""
    planned = _planned_targets(action)
    cluster = action.targets.filter(kind=TargetKind.CLUSTER, state=TargetState.QUEUED).first()
    if not planned or cluster is None:
        return
    drafts = [message_draft(cluster, item) for item in planned]
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


def message_draft(cluster: ActionTarget, item: dict[str, Any]) -> TargetDraft:
    """A planned target as `jobs` wrote it into the plan's body."""
    return TargetDraft(
        kind=TargetKind(item["kind"]),
        name=item["name"],
        entity=item["entity"],
        on_name=item["on"],
        instance_id=cluster.instance_id,
        instance_name=cluster.instance_name,
        remote=item["remote"],
        facts=item["facts"],
    )


def planned_canonical(kind: TargetKind, entity: str) -> str:
    """The canonical name that a planned target will have once it is a row."""
    return canonical(kind, None, None, entity)
