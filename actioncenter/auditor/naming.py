"""What groups were called when an event was written. What they are called now says nothing of then."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from actioncenter.actions.models import Action
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models import DeviceGroup

_GROUP: Final = "group:"
_ACTION: Final = "action:"
NAMING: Final = (Kind.GROUP_CREATED, Kind.GROUP_CHANGED, Kind.GROUP_DELETED)


def group_names(events: Sequence[Event]) -> Mapping[int, str]:
    """Event -> name of its group: an action keeps it, and the group's own events tell it.

    A group that no event tells of has the name it has now, or its number alone.
    """
    grouped = [event for event in events if event.group_id]
    kept = _of_actions(grouped)
    told = _told({event.group_id for event in grouped if event.group_id})
    now = dict(
        DeviceGroup.objects.filter(pk__in={event.group_id for event in grouped}).values_list("pk", "name")
    )
    return {
        event.pk: kept.get(event.stream)
        or _as_of(event.pk, told.get(event.group_id or 0, []))
        or now.get(event.group_id or 0)
        or f"Group {event.group_id}"
        for event in grouped
    }


def groups_ever() -> list[tuple[int, str]]:
    """Those there are, and behind them those that were deleted, by their last name."""
    now = list(DeviceGroup.objects.values_list("pk", "name"))
    gone = Event.objects.filter(kind=Kind.GROUP_DELETED).order_by("subject_name", "pk")
    living = {pk for pk, _ in now}
    told = gone.values_list("group_id", "subject_name")
    return now + [(pk, f"{name} (deleted)") for pk, name in told if pk and pk not in living]


def _of_actions(events: Iterable[Event]) -> dict[str, str]:
    numbers = {event.stream.removeprefix(_ACTION) for event in events if event.stream.startswith(_ACTION)}
    wanted = [int(number) for number in numbers if number.isascii() and number.isdigit()]
    rows = Action.objects.filter(pk__in=wanted).values_list("pk", "group_name")
    return {f"{_ACTION}{pk}": name for pk, name in rows}


def _told(groups: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    rows = Event.objects.filter(stream__in=[f"{_GROUP}{pk}" for pk in groups], kind__in=NAMING)
    for pk, group, name in rows.order_by("pk").values_list("pk", "group_id", "subject_name"):
        if group and name:
            found.setdefault(group, []).append((pk, name))
    return found


def _as_of(event: int, told: Sequence[tuple[int, str]]) -> str:
    """The newest name told by then, else the first that was told."""
    before = [name for pk, name in told if pk <= event]
    return before[-1] if before else told[0][1] if told else ""
