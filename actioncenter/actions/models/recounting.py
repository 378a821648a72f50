"""What a query stands for is counted again before somebody agrees to it, and what came since needs its own yes.

The first plan of a revision froze the messages that were proposed. A later one says how it differs; whoever
approves without naming the new copies agrees to the first one, which is made the newest again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.enums import Decision, JobKind, JobState
from actioncenter.actions.models.ballots import Ballot
from actioncenter.actions.models.conflicts import Conflict
from actioncenter.actions.models.plan import Plan
from actioncenter.actions.models.proposing import ask_for_plan
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

PREFIX: Final = 8


def look_again(action: "Action", *, by: Actor) -> bool:
    """Have a runner make the plan anew; False while one is about to. Raises Conflict, Refused, NotVisible."""
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.PROPOSE, row)
        if row.decision != Decision.PENDING:
            raise Conflict(row, "decided")
        if row.jobs.filter(kind=JobKind.PREVIEW, state__lte=JobState.RUNNING).exists():
            return False
        ask_for_plan(row, by=by)
        event(row, Kind.JOB_REQUESTED, by, detail={"job": "preview"})
        transaction.on_commit(dispatch.wake, robust=True)
    return True


def since_first(action: "Action", digest: str, targets: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many messages are new since the first plan of this revision, and how many gone; empty without a difference."""
    first = action.plans.filter(revision=action.revision).order_by("pk").first()
    if first is None or first.digest == digest:
        return {}
    then, now = _names(first.body.get("targets") or []), _names(targets)
    return {"new": len(now - then), "gone": len(then - now), "plan": first.pk}


def _names(targets: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(target["entity"]) for target in targets}


def kept(action: "Action", ballot: Ballot) -> Ballot:
    """For who doesn't ask for the new copies: the first plan stands again. The caller has the action's lock."""
    newest = action.plans.filter(revision=action.revision).order_by("-pk").first()
    if ballot.with_new or ballot.mode == "bulk" or newest is None or not newest.new_copies:
        return ballot
    seen = ballot.plans.get(action.pk)
    if seen is not None and seen not in {newest.digest, newest.digest[:PREFIX]}:
        return ballot
    first = Plan.objects.filter(action=action, revision=action.revision).order_by("pk")[0]
    again = Plan.objects.create(
        action=action, revision=first.revision, digest=first.digest, body=first.body, expires_at=newest.expires_at
    )  # fmt: skip
    count_into(action, again)
    event(action, Kind.PLAN_MADE, ballot.by, after={"digest": again.digest, "revision": again.revision})
    return replace(ballot, plans={**ballot.plans, action.pk: again.digest})


def count_into(action: "Action", plan: Plan) -> None:
    """Lists show what the plan stands for."""
    targets = plan.body.get("targets") or []
    boxes = {str(target["remote"]) for target in targets}
    place = next(iter(boxes)) if len(boxes) == 1 else f"{len(boxes)} mailboxes"
    pending = type(action).objects.filter(pk=action.pk, decision=Decision.PENDING)
    pending.update(succeeded_count=0, target_count=len(targets), on_name=place[:320])
