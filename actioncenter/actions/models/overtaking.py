"""Which queued forwards an inverse takes back before they have begun (design §3, lanes)."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from django.db.models import ExpressionWrapper, OuterRef, PositiveSmallIntegerField, Q, QuerySet

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ALLOWED, ActionType, TargetState
from actioncenter.actions.models.target import ActionTarget

OVERTAKEN: Final = "cancelled_by_inverse"
NOTHING_SENT: Final = "nothing_sent"


def _forwards() -> dict[ActionType, list[ActionType]]:
    found = defaultdict(list)
    for kind, entry in CATALOGUE.items():
        if entry.inverse is not None:
            found[entry.inverse].append(kind)
    return dict(found)


FORWARDS: Final[Mapping[ActionType, list[ActionType]]] = _forwards()
"""Inverse -> the types it takes back."""


def behind() -> "QuerySet[ActionTarget]":
    """Queued targets of allowed inverses that take an outer target back and were queued after it."""
    mine = OuterRef("action__queued_at")
    later = Q(action__queued_at__gt=mine) | Q(action__queued_at=mine, action__gt=OuterRef("action"))
    takes_back = Q()
    for inverse, forwards in FORWARDS.items():
        takes_back |= Q(action__type=inverse, forward__in=forwards)
    forward = ExpressionWrapper(OuterRef("action__type"), output_field=PositiveSmallIntegerField())
    return ActionTarget.objects.annotate(forward=forward).filter(
        later,
        takes_back,
        lane=OuterRef("lane"),
        entity=OuterRef("entity"),
        state=TargetState.QUEUED,
        action__decision__in=sorted(ALLOWED),
        action__history_at__isnull=True,
        action__cancel_requested_at__isnull=True,
    )
