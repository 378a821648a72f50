"""How the connectors fare, and which of them keep what waits from being sent."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from actioncenter.actions.enums import TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt, ConnectorState, pacing
from actioncenter.settings.models import ConnectorInstance

NAMED: Final = 3
"""Connectors that one action names at most."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing is sent to a connector now: two or three words, and a sentence that names it."""

    short: str
    sentence: str


def standings() -> "QuerySet[ConnectorInstance]":
    """Every instance with `under_way` and `waiting`: calls now, and targets that are queued for it."""
    queued = ActionTarget.objects.filter(
        instance=OuterRef("pk"), state=TargetState.QUEUED, action__history_at__isnull=True
    )
    number = queued.order_by().values("instance").annotate(number=Count("pk")).values("number")
    waiting = Coalesce(Subquery(number), 0, output_field=IntegerField())
    return pacing.with_calls().annotate(waiting=waiting).select_related("state")


def in_the_way(actions: Collection[int]) -> dict[int, list[ConnectorInstance]]:
    """Of each action the instances that keep it from being sent, or asked for, right now."""
    troubled = {row.pk: row for row in pacing.troubled().select_related("state")} if actions else {}
    if not troubled:
        return {}
    queued = ActionTarget.objects.filter(state=TargetState.QUEUED)
    polled = Attempt.objects.filter(ended_at__isnull=True, next_poll_at__isnull=False)
    found: dict[int, list[ConnectorInstance]] = {}
    for rows in (queued, polled):
        pairs = rows.filter(action__in=actions, instance__in=troubled).order_by()
        for action, instance in pairs.values_list("action", "instance").distinct():
            named = found.setdefault(action, [])
            if troubled[instance] not in named:
                named.append(troubled[instance])
    return found


def obstacle(instance: ConnectorInstance, at: Callable[[datetime], str], now: datetime) -> Obstacle | None:
    """The gravest first. `instance` is one of `standings` or of `in_the_way`."""
    state, name = state_of(instance), instance.name
    if state.opened_at is not None:
        probe = state.probe_at if _later(state.probe_at, now) else None
        again = f"; one call tries again at {at(probe)}" if probe is not None else ""
        since = at(state.opened_at)
        return Obstacle(
            "Circuit open",
            f"Waits: connector {name} keeps failing, its circuit is open since {since}{again}.",
        )
    if state.held_until is not None and state.held_until > now:
        until = at(state.held_until)
        return Obstacle(
            f"Patience until {until}", f"Waits: connector {name} asked for patience until {until}."
        )
    under_way: int = getattr(instance, "under_way", 0)
    if under_way >= instance.max_parallel:
        most = instance.max_parallel
        return Obstacle(
            "All calls taken",
            f"Waits: connector {name} takes {most:,} calls at once, and {under_way:,} are under way.",
        )
    if instance.per_minute and _later(state.paced_until, now):
        return Obstacle("Paced", f"Waits: connector {name} takes {instance.per_minute:,} calls a minute.")
    return None


def _later(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now


def state_of(instance: ConnectorInstance) -> ConnectorState:
    """A connector that was never called has none."""
    state: Any = getattr(instance, "state", None)
    return state if state is not None else ConnectorState(instance=instance)


def told(actions: Collection[int], at: Callable[[datetime], str], now: datetime) -> dict[int, list[Obstacle]]:
    """Of each action what keeps it from being sent."""
    return {
        action: [found for row in rows[:NAMED] if (found := obstacle(row, at, now)) is not None]
        for action, rows in in_the_way(actions).items()
    }


def concerned(action: Action) -> list[int]:
    """The action's number if it could wait for a connector at all."""
    return [action.pk] if action.history_at is None and action.queued_at is not None else []
