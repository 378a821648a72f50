"""One file on many devices: where somebody may see it, where it is quarantined, and what may be done to all of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat

from actioncenter.actions.by_hand import Intent
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import ActionTarget
from actioncenter.settings.access import Scope, devices_within, within
from investigations.models import Device, Evidence

Q = ActionType.QUARANTINE_FILE


def evidence_of(sha256: str, scope: Scope) -> QuerySet[Evidence]:
    return within(Evidence.objects.filter(sha256=sha256), scope)


def seen_on(sha256: str, scope: Scope, *, held: bool | None = None) -> QuerySet[Device]:
    """Devices in scope where evidence has the file; `held` for those where our quarantine of it is in force, or isn't."""
    there = evidence_of(sha256, scope).filter(device__isnull=False).values("device")
    devices = devices_within(Device.objects.filter(pk__in=there), scope)
    if held is None:
        return devices
    own = Cast(OuterRef("pk"), CharField())
    lane = Concat(Value(f"{CATALOGUE[Q].lane}:"), own, Value(f":{sha256}"), output_field=CharField())
    ours = Exists(ActionTarget.objects.filter(in_force=True, lane=lane, action__type=Q))
    return devices.filter(ours if held else ~ours)


def more_than(target: ActionTarget, scope: Scope) -> int:
    """On how many other devices the same file is quarantined still."""
    others = seen_on(target.entity, scope, held=True)
    return others.exclude(pk=target.device_id or 0).count()


def holding(sha256: str, devices: Iterable[Device]) -> dict[int, ActionTarget]:
    """Device -> the newest quarantine of the file in force there."""
    lanes = [f"{CATALOGUE[Q].lane}:{device.pk}:{sha256}" for device in devices]
    rows = ActionTarget.objects.filter(in_force=True, lane__in=lanes, action__type=Q)
    ordered = rows.select_related("action__undone_by").order_by("action_id", "pk")
    return {row.device_id or 0: row for row in ordered}


def found_on(sha256: str, devices: Iterable[Device], scope: Scope) -> dict[int, list[Evidence]]:
    """Device -> its evidence of the file, newest first."""
    found: dict[int, list[Evidence]] = defaultdict(list)
    rows = evidence_of(sha256, scope).filter(device__in=[device.pk for device in devices])
    for row in rows.select_related("device", "mailbox").order_by("-pk"):
        found[row.device_id or 0].append(row)
    return found


def intents(kind: ActionType, sha256: str, devices: Sequence[Device], scope: Scope) -> list[Intent]:
    """Quarantine or release, one for each device. A release that has nothing to take back holds nothing."""
    if CATALOGUE[kind].is_inverse:
        held = holding(sha256, devices)
        return [Intent(kind, device, holds=held.get(device.pk)) for device in devices]
    found = found_on(sha256, devices, scope)
    return [Intent(kind, device, evidence=found[device.pk]) for device in devices if found.get(device.pk)]
