"""One file on many devices: where somebody may see it, where it is quarantined, and what may be done to all of it."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from actioncenter.actions.by_hand import Intent
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import RUNNING, ActionType, Source, TargetState
from actioncenter.actions.models import Action, ActionEvidence, ActionTarget
from actioncenter.actions.models.settling import NOT_TAKEN_BACK
from actioncenter.actions.models.undoing import UNDOABLE
from actioncenter.settings.access import Scope, devices_within, within
from investigations.models import Device, Evidence

QUARANTINE: Final = ActionType.QUARANTINE_FILE
ENTRY: Final = CATALOGUE[QUARANTINE]
SHA256: Final = re.compile(r"[0-9a-f]{64}")


def evidence_of(sha256: str, scope: Scope) -> QuerySet[Evidence]:
    return within(Evidence.objects.filter(sha256=sha256), scope)


def seen_on(sha256: str, scope: Scope, *, held: bool | None = None) -> QuerySet[Device]:
    """Devices in scope where evidence has the file; `held` for those where our quarantine of it is in force, or isn't."""
    there = evidence_of(sha256, scope).filter(device__isnull=False).values("device")
    devices = devices_within(Device.objects.filter(pk__in=there), scope)
    if held is None:
        return devices
    own = Cast(OuterRef("pk"), CharField())
    lane = Concat(Value(f"{ENTRY.lane}:"), own, Value(f":{sha256}"), output_field=CharField())
    ours = Exists(ActionTarget.objects.filter(in_force=True, lane=lane, action__type=QUARANTINE))
    return devices.filter(ours if held else ~ours)


def file_of(action: Action, targets: Iterable[ActionTarget]) -> str:
    """The SHA-256 of the one file that it quarantines; empty for anything else."""
    entities = {target.entity for target in targets} if action.type == QUARANTINE else set()
    only = entities.pop() if len(entities) == 1 else ""
    return only if SHA256.fullmatch(only) else ""


def undoable_beside(action: Action, sha256: str, scope: Scope) -> QuerySet[Action]:
    """Other quarantines of the file that somebody with this scope could undo now, oldest first (domain §6.5).

    Of rows what `undoing.undo` asks of one; that asks again.
    """
    links = ActionEvidence.objects.filter(evidence__sha256=sha256)
    found = Action.objects.filter(
        pk__in=links.values("action"), type=QUARANTINE, execution__in=sorted(UNDOABLE)
    )
    found = found.filter(Q(undone_by=None) | Q(undone_by__execution__in=sorted(NOT_TAKEN_BACK)))
    if ENTRY.undo_days:
        earliest = timezone.now() - timedelta(days=ENTRY.undo_days)
        found = found.filter(Q(finished_at=None) | Q(finished_at__gte=earliest))
    running = ActionTarget.objects.filter(
        lane=OuterRef("lane"), state__lte=TargetState.UNKNOWN, action__execution__in=sorted(RUNNING)
    ).exclude(action=OuterRef("action"))
    done = ActionTarget.objects.filter(action=OuterRef("pk"), state=TargetState.SUCCEEDED)
    held = done.filter(~Exists(running), in_force=True, entity=sha256)
    found = found.filter(Exists(held), ~Exists(done.exclude(entity=sha256)))
    found = found.exclude(pk=action.pk).exclude(source=Source.MANUAL_LIVE_RESPONSE)
    return within(found, scope).order_by("pk")


def more_than(target: ActionTarget, scope: Scope) -> int:
    """On how many other devices the same file is quarantined still."""
    others = seen_on(target.entity, scope, held=True)
    return others.exclude(pk=target.device_id or 0).count()


def holding(sha256: str, devices: Iterable[Device]) -> dict[int, ActionTarget]:
    """Device -> the newest quarantine of the file in force there."""
    lanes = [f"{ENTRY.lane}:{device.pk}:{sha256}" for device in devices]
    rows = ActionTarget.objects.filter(in_force=True, lane__in=lanes, action__type=QUARANTINE)
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
