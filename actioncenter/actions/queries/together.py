"""What became of everything that was decided together, under one approval id."""

from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Q

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action
from actioncenter.settings.access import Scope, within


class Together(NamedTuple):
    """Numbers of actions in sight. Whoever may not see some of them isn't told of those."""

    total: int
    over: int
    succeeded: int
    unclear: int


def together(approval: UUID, scope: Scope) -> Together:
    """All zeros for an id that nobody gave. One statement, along the index of approval ids."""
    unclear = Q(execution=Execution.OUTCOME_UNKNOWN, history_at=None)
    found = within(Action.objects.filter(approval_id=approval), scope).aggregate(
        total=Count("pk"),
        over=Count("pk", filter=Q(history_at__isnull=False)),
        succeeded=Count("pk", filter=Q(execution=Execution.SUCCEEDED, history_at__isnull=False)),
        unclear=Count("pk", filter=unclear),
    )
    return Together(**found)
