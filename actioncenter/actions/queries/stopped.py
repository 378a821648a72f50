"""Which actions a pulled switch covers, and what of them is under way."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.actions.models import Action, ActionTarget, Attempt
from actioncenter.settings.enums import StopScope
from actioncenter.settings.models import Stop

EVERYTHING = Q(pk__isnull=False)
NOTHING = Q(pk__in=[])


def covered(reaches: Iterable[tuple[int, int | None, int | None]]) -> Q:
    """Actions that any of these reaches (see Stop.reach), as a condition on Action; none for none."""
    condition = NOTHING
    for scope, value, connector in reaches:
        match StopScope(scope):
            case StopScope.ALL:
                return EVERYTHING
            case StopScope.GROUP:
                # Also where a device is now: it may have moved since.
                there = ActionTarget.objects.filter(action=OuterRef("pk"), device__group=value)
                condition |= Q(group=value) | Q(Exists(there))
            case StopScope.TYPE:
                condition |= Q(type=value) & _through(connector)
            case StopScope.INVESTIGATION:
                condition |= Q(investigation=value)
            case StopScope.CONNECTOR:
                condition |= _through(value)
    return condition


def _through(connector: int | None) -> Q:
    if connector is None:
        return EVERYTHING
    return Q(Exists(ActionTarget.objects.filter(action=OuterRef("pk"), instance=connector)))


def under_way(*, sending: bool = False) -> "QuerySet[Attempt]":
    """Attempts that a runner goes on with by itself; with `sending` those it may be at this moment.

    One that waits for a person who looks is not among them.
    """
    if sending:
        return Attempt.objects.filter(ended_at__isnull=True, lease_until__gt=Now())
    goes_on = Q(lease_until__isnull=False) | Q(next_poll_at__isnull=False)
    return Attempt.objects.filter(goes_on, ended_at__isnull=True)


def in_flight(stop: Stop) -> int:
    """How many attempts may still do something under this stop.

    A pause lets what is under way end, so all of it counts; a stop lets nothing more be sent, so only
    what a runner holds at this moment does.
    """
    return _in_flight(stop).count()


def actions_in_flight(stop: Stop) -> "QuerySet[Action]":
    return Action.objects.filter(pk__in=_in_flight(stop).values("action"))


def _in_flight(stop: Stop) -> "QuerySet[Attempt]":
    rows = under_way(sending=not stop.is_pause)
    if stop.scope == StopScope.CONNECTOR:
        return rows.filter(instance=stop.value)
    return rows.filter(action__in=Action.objects.filter(covered([stop.reach])))


def waiting_in_queue(stop: Stop) -> int:
    """How many decided actions it holds back."""
    return Action.objects.running().filter(covered([stop.reach])).count()


def running_by(field: str) -> dict[Any, int]:
    """Attempts under way per value of one of Attempt's columns, such as `action__group`."""
    return dict(under_way().order_by().values_list(field).annotate(Count("pk")))
