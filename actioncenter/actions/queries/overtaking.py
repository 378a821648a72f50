"""Which queued forwards an inverse takes back before they have begun (design §3, lanes)."""

from django.db.models import ExpressionWrapper, OuterRef, PositiveSmallIntegerField, Q, QuerySet

from actioncenter.actions.enums import ALLOWED, ActionType, TargetState
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.models.overtaking import FORWARDS
from actioncenter.actions.queries.rowwise import some


def inverses_of(kind: ActionType) -> list[ActionType]:
    return [inverse for inverse, forwards in FORWARDS.items() if kind in forwards]


def behind(kind: ActionType | None = None) -> "QuerySet[ActionTarget]":
    """Queued targets of allowed inverses that take an outer target back and were queued after it.

    The outer action is of this kind, if one is said: that makes it a far shorter question.
    """
    mine = OuterRef(OuterRef("action__queued_at"))
    later = Q(queued_at__gt=mine) | Q(queued_at=mine, pk__gt=OuterRef(OuterRef("action")))
    forward = ExpressionWrapper(OuterRef(OuterRef("action__type")), output_field=PositiveSmallIntegerField())
    inverse = Action.objects.annotate(forward=forward).filter(
        later,
        _takes_back() if kind is None else Q(type__in=inverses_of(kind)),
        pk=OuterRef("action"),
        decision__in=sorted(ALLOWED),
        history_at__isnull=True,
        cancel_requested_at__isnull=True,
    )
    return ActionTarget.objects.filter(
        some(inverse), lane=OuterRef("lane"), entity=OuterRef("entity"), state=TargetState.QUEUED
    )


def _takes_back() -> Q:
    condition = Q()
    for inverse, forwards in FORWARDS.items():
        condition |= Q(type=inverse, forward__in=forwards)
    return condition
