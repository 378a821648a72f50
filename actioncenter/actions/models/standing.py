"""What an action has put in force, and when that is over: taken back, or overtaken by another."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import TARGET_SUCCESS, ActionType, TargetState
from actioncenter.actions.models.overtaking import FORWARDS
from actioncenter.actions.models.target import ActionTarget
from actioncenter.web.clock import database_now

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


def follow(action: "Action", numbers: Collection[int]) -> None:
    """Mark what these targets have put in force and what they have ended, in the transaction of their results."""
    entry = next((found for kind, found in CATALOGUE.items() if kind == action.type), None)
    lasting = [] if entry is None else _lasting(ActionType(action.type))
    if entry is None or not lasting:
        return
    ends = sorted(TARGET_SUCCESS) if entry.is_inverse else [TargetState.SUCCEEDED]
    done = action.targets.filter(pk__in=numbers, state__in=ends)
    places = set(done.values_list("lane", "entity"))
    others = ActionTarget.objects.filter(
        in_force=True, lane__in={lane for lane, _ in places}, action__type__in=lasting
    ).exclude(action=action)
    over = [pk for pk, *place in others.values_list("pk", "lane", "entity") if tuple(place) in places]
    ActionTarget.objects.filter(pk__in=over).update(in_force=False, drifted_at=None, drift={})
    if not entry.is_inverse:
        done.update(in_force=True, checked_at=Now())


def _lasting(kind: ActionType) -> list[ActionType]:
    """The lasting types that this one repeats or takes back."""
    return [each for each in FORWARDS.get(kind, [kind]) if CATALOGUE[each].lasting]


def end_of(row: "Action") -> datetime | None:
    """When what it has put in force is to be taken back by itself; None where it has no such time, or has it already."""
    span = _span(row.parameters)
    if row.ends_at is not None or not span or not row.targets.filter(in_force=True).exists():
        return None
    return database_now() + span


def _span(parameters: Mapping[str, Any]) -> timedelta:
    hours, days = parameters.get("hours"), parameters.get("days")
    return timedelta(hours=hours if isinstance(hours, int) else 0, days=days if isinstance(days, int) else 0)
