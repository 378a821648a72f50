"""What the pages of device groups show, as plain data."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel, Role
from actioncenter.settings.models import (
    ConnectorInstance,
    DeviceGroup,
    GroupRule,
    LevelRaise,
    Safeguards,
    renewing,
)
from actioncenter.web.moments import iso, lasting, when
from investigations.models import Device

Shown = dict[str, Any]
HISTORY: Final = 50
SAMPLE: Final = 10

SHORT: Final[Mapping[AutomationLevel, str]] = {
    AutomationLevel.NONE: "None",
    AutomationLevel.SEMI_ALL: "All ask",
    AutomationLevel.SEMI_NONTEMP: "Non-temp",
    AutomationLevel.SEMI_CORE: "Core",
    AutomationLevel.FULL: "Full",
}
DESCRIBES: Final[Mapping[AutomationLevel, str]] = {
    AutomationLevel.NONE: "Nothing is investigated by itself here. Discouraged.",
    AutomationLevel.SEMI_ALL: "Every action waits for a person, wherever the file lies.",
    AutomationLevel.SEMI_NONTEMP: (
        "What is malicious in temporary and download folders is remediated by itself; the rest waits."
    ),
    AutomationLevel.SEMI_CORE: (
        "What is malicious is remediated by itself, except in folders of the operating system."
    ),
    AutomationLevel.FULL: "Whatever is malicious is remediated by itself. Recommended.",
}
LEVELS: Final[list[Shown]] = [
    {"code": code.value, "label": LEVEL_LABELS[code], "short": SHORT[code], "describes": DESCRIBES[code]}
    for code in AutomationLevel
]
PROPERTIES: Final[Mapping[str, str]] = {
    "name": "Device name",
    "domain": "Domain",
    "tag": "Tag",
    "os": "Operating system",
}
OPERATORS: Final[Mapping[str, str]] = {
    "starts_with": "starts with",
    "ends_with": "ends with",
    "contains": "contains",
    "equals": "is",
}
CHANGES: Final[Mapping[str, str]] = {
    Kind.GROUP_CREATED: "Created",
    Kind.GROUP_CHANGED: "Changed",
    Kind.GROUP_LEVEL_LOWERED: "Level lowered from {before} to {after}",
    Kind.GROUP_LEVEL_RAISE_REQUESTED: "Raise from {before} to {after} asked",
    Kind.GROUP_LEVEL_RAISED: "Level raised from {before} to {after}",
    Kind.GROUP_RAISE_CANCELLED: "Raise to {before} cancelled",
    Kind.GROUP_LEVEL_CONFIRMED: "Level {after} confirmed",
}


def raise_rule() -> str:
    hours = Safeguards.current().raise_delay_hours
    return f"It takes effect in {hours} h, or when another admin confirms it. Any admin can cancel it."


def level_label(level: int) -> str:
    return LEVEL_LABELS[AutomationLevel(level)]


def device_counts(groups: Iterable[int]) -> dict[int, int]:
    counted = Device.objects.filter(group__in=list(groups)).values_list("group").annotate(Count("pk"))
    return {pk: count for pk, count in counted.order_by() if pk is not None}


def group(row: DeviceGroup, devices: int, *, viewer: User, real: bool = False) -> Shown:
    """A row of the list; `waiting` holds the raises that have not ended, where they were prefetched.

    `real`: a connector that reaches real systems is enabled, so that somebody has to choose each level.
    """
    raises: list[LevelRaise] = getattr(row, "waiting", [])
    return {
        "pk": row.pk,
        "url": reverse("settings:group", args=[row.pk]),
        "rank": row.rank if row.rank is not None else "last",
        "name": row.name,
        "rule": _rule(row),
        "devices": devices,
        "level_code": row.level,
        "level_label": level_label(row.level),
        "critical": row.critical,
        "access": ", ".join(sorted(people.name for people in row.access.all())) or "Everybody",
        "is_default": row.is_default,
        "to_confirm": real and not row.level_confirmed,
        "pending": _pending(raises[0], viewer) if raises else None,
    }


def whole_group(row: DeviceGroup, devices: int, *, viewer: User) -> Shown:
    waiting = row.pending_raise()
    seen = group(row, devices, viewer=viewer, real=ConnectorInstance.reaching().exists())
    return {
        **seen,
        "pending": _pending(waiting, viewer) if waiting else None,
        "revision": row.revision,
        "rules": [_rule_row(rule) for rule in row.rules.all()],
        "history": _history(row),
        "kept": _kept(row, to_confirm=seen["to_confirm"]),
    }


def _kept(row: DeviceGroup, *, to_confirm: bool) -> Shown | None:
    """When its level was last confirmed; None where nothing runs by itself."""
    if to_confirm:
        return {"since": "", "due": "", "is_due": True}
    if row.level <= AutomationLevel.SEMI_ALL:
        return None
    at = renewing.dated(DeviceGroup.objects.filter(pk=row.pk)).get().confirmed_at
    due = at + renewing.KEPT
    return {"since": f"{at:%d %b %Y}", "due": f"{due:%d %b %Y}", "is_due": due <= timezone.now()}


def sample_devices(row: DeviceGroup) -> list[Shown]:
    return [
        {"name": device.name, "os": device.os_platform, "critical": device.critical}
        for device in Device.objects.filter(group=row).order_by("name", "pk")[:SAMPLE]
    ]


def _rule(row: DeviceGroup) -> str:
    """OR inside a property, AND between properties."""
    if row.is_default:
        return "whatever no other group matches"
    values: dict[str, list[str]] = {}
    for rule in row.rules.all():
        values.setdefault(rule.property, []).append(f"{OPERATORS[rule.operator]} {rule.value}")
    parts = [f"{PROPERTIES[prop]} {' or '.join(texts)}" for prop, texts in values.items()]
    return ", and ".join(parts) or "matches nothing yet"


def _rule_row(rule: GroupRule) -> Shown:
    return {
        "field": PROPERTIES[rule.property],
        "operator": OPERATORS[rule.operator],
        "value": rule.value,
    }


def _pending(waiting: LevelRaise, viewer: User) -> Shown:
    is_admin = viewer.has_role(Role.ADMIN)
    return {
        "pk": waiting.pk,
        "level_code": waiting.new_level,
        "level_label": level_label(waiting.new_level),
        "by": waiting.requested_by_name,
        "at": when(waiting.requested_at),
        "at_iso": iso(waiting.requested_at),
        "effective": f"in {lasting(waiting.effective_at - timezone.now())}, or when another admin confirms it",
        "can_confirm": is_admin and waiting.requested_by_id != viewer.pk,
        "can_cancel": is_admin,
    }


def _history(row: DeviceGroup) -> list[Shown]:
    events = Event.objects.filter(stream=f"group:{row.pk}").order_by("-seq")[:HISTORY]
    return [
        {
            "at": when(event.at),
            "at_iso": iso(event.at),
            "who": event.actor_name,
            "text": _change(event),
            "comment": (event.detail or {}).get("comment", ""),
        }
        for event in events
    ]


def _change(event: Event) -> str:
    before, after = event.before or {}, event.after or {}
    if event.kind == Kind.GROUP_CHANGED and "rank" in after:
        return f"Rank changed from {before.get('rank')} to {after['rank']}"
    text = CHANGES.get(event.kind, event.kind)
    return text.format(before=_level_of(before), after=_level_of(after))


def _level_of(side: Mapping[str, Any]) -> str:
    name = str(side.get("level"))
    return LEVEL_LABELS[AutomationLevel[name]] if name in AutomationLevel.__members__ else "?"
