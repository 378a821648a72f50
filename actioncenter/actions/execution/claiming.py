"""Finding what may start, and claiming it once every gate has let it pass."""

from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from actioncenter.accounts import fence
from actioncenter.actions.enums import TargetKind, TargetState
from actioncenter.actions.execution import failpoints, gates, stumbling
from actioncenter.actions.execution.binding import message_draft, planned_targets
from actioncenter.actions.execution.candidates import candidates
from actioncenter.actions.execution.gates import Gate
from actioncenter.actions.models import Action, ActionTarget, Attempt, attempting, pacing
from actioncenter.audit.actor import Actor

LEASE = timedelta(seconds=settings.LEASE_SECONDS)


def claim_next(runner: str, *, by: Actor, shut: Collection[int] | None = None) -> Attempt | None:
    """The next attempt this runner may carry out, or None.

    `shut` are the connector instances that may not be called now; they are asked for unless given.
    """
    shut = pacing.closed_ids() if shut is None else shut
    for pk in candidates(shut):
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
    ActionTarget.objects.bulk_create((ActionTarget.of(action, draft) for draft in drafts), batch_size=500)
    Action.objects.filter(pk=action.pk).update(target_count=len(drafts))
