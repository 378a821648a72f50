"""Before anything is sent: all gates again on the locked row, then the claim."""

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions import planning
from actioncenter.actions.enums import (
    RUNNING,
    ActionType,
    Decision,
    Execution,
    TargetKind,
    TargetState,
)
from actioncenter.actions.execution import outside
from actioncenter.actions.models import Action, ActionTarget, Attempt, TargetDraft, running
from actioncenter.actions.models.proposal import canonical, fingerprint, intent_key
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import AutomationLevel, StopScope, is_raise
from actioncenter.settings.models import Stop

LEASE = timedelta(seconds=60)
DUPLICATE_WINDOW = timedelta(hours=1)
ANY_AMONG_CLAIMS = 50


class Gate(Enum):
    OPEN = auto()
    HOLD = auto()
    """Stays queued; looked at again later."""
    STOPPED = auto()
    """The runner refused; the action has ended."""


def claim_next(runner: str, *, by: Actor, avoid: Sequence[int] = ()) -> Attempt | None:
    """The next attempt this runner may carry out, or None."""
    candidates = running.claimable(Action).exclude(pk__in=avoid).values_list("pk", flat=True)
    for pk in list(candidates[:ANY_AMONG_CLAIMS]):
        attempt = claim_one(pk, runner, by=by)
        if attempt:
            return attempt
    return None


def claim_one(pk: int, runner: str, *, by: Actor) -> Attempt | None:
    """Judge and claim one action. None when another runner has it or a gate is shut."""
    with fence.decider():
        rows = Action.objects.filter(pk=pk)
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), skip_locked=True)
        action = rows.select_related("approved_plan").first()
        if action is None or _judge(action, by=by) is not Gate.OPEN:
            return None
        _expand(action)
        return running.claim(action, runner=runner, lease=LEASE, by=by)


def _judge(action: Action, *, by: Actor) -> Gate:
    if action.execution not in RUNNING or action.history_at is not None:
        return Gate.HOLD
    if action.cancel_requested_at is not None:
        return _stop(action, "cancelled_by", f"Cancelled by {action.cancel_requested_by_name}", by=by)
    if not _as_decided(action):
        return _stop(action, "fingerprint_changed", "The action is not what was approved.", by=by)
    if _stopped(action):
        return Gate.HOLD
    if _level_lowered(action):
        _stop(action, "level_lowered", "The automation level was lowered meanwhile.", by=by)
        planning.plan(list(action.links.values_list("evidence_id", flat=True)))
        return Gate.STOPPED
    duplicate = _processed_within_the_hour(action)
    if duplicate:
        return _stop(action, "duplicate_of", f"A-{duplicate}", by=by)
    if _out_of_patience(action):
        running.stop_queued(
            action,
            TargetState.TIMED_OUT,
            by=by,
            code="patience_ended",
            detail="It could not be reached in time.",
        )
        return Gate.STOPPED
    return Gate.OPEN


def _stop(action: Action, code: str, detail: str, *, by: Actor) -> Gate:
    running.stop_queued(action, TargetState.CANCELLED, by=by, code=code, detail=detail)
    return Gate.STOPPED


def _as_decided(action: Action) -> bool:
    """Type, targets, parameters, instances and policy are what the decision was about."""
    targets = list(action.targets.order_by("pk"))
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


def _stopped(action: Action) -> bool:
    """Whether a pulled switch covers this action."""
    instances = list(action.targets.values_list("instance_id", flat=True).distinct())
    covers = (
        Q(scope=StopScope.ALL)
        | Q(scope=StopScope.GROUP, value=action.group_id)
        | Q(scope=StopScope.TYPE, value=action.type)
        | Q(scope=StopScope.CONNECTOR, value__in=[pk for pk in instances if pk])
    )
    return Stop.objects.filter(covers, lifted_at__isnull=True).exists()


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
