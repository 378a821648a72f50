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


def inverses_of(kind: ActionType) -> list[ActionType]:
    return [inverse for inverse, forwards in FORWARDS.items() if kind in forwards]


def behind(kind: ActionType | None = None) -> "QuerySet[ActionTarget]":
    """Queued targets of allowed inverses that take an outer target back and were queued after it.

    The outer action is of this kind, if one is said: that makes it a far shorter question.
    """
    mine = OuterRef("action__queued_at")
    later = Q(action__queued_at__gt=mine) | Q(action__queued_at=mine, action__gt=OuterRef("action"))
    takes_back = _takes_back() if kind is None else Q(action__type__in=inverses_of(kind))
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


def _takes_back() -> Q:
    condition = Q()
    for inverse, forwards in FORWARDS.items():
        condition |= Q(action__type=inverse, forward__in=forwards)
    return condition
