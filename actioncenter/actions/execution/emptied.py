"""What was decided on and has lost every target: nothing would ever start it, so nothing would judge it."""

from django.db.models import QuerySet

from actioncenter.accounts import fence
from actioncenter.actions.enums import ALLOWED, Execution
from actioncenter.actions.execution import binding, gates
from actioncenter.actions.models import Action
from actioncenter.actions.models.settling import locked
from actioncenter.audit.actor import Actor

AT_ONCE = 20


def emptied() -> "QuerySet[Action]":
    return Action.objects.filter(
        decision__in=sorted(ALLOWED),
        execution=Execution.QUEUED,
        history_at__isnull=True,
        targets__isnull=True,
    )


def refuse(by: Actor) -> int:
    """End them with an alarm, as anything that isn't what was decided on; returns how many."""
    found = emptied().order_by("pk")[:AT_ONCE]
    return sum(_refuse(action, by=by) for action in found)


def _refuse(action: Action, *, by: Actor) -> int:
    with fence.decider():
        row = locked(action)
        refusal = binding.deviation(row, [])
        if refusal is None or not emptied().filter(pk=row.pk).exists():
            return 0
        gates.refuse(row, refusal, by=by)
        return 1
