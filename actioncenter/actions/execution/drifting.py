"""Reading back what is in force: asked for from time to time, spread over time, a few at once per connector."""

import contextlib
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from actioncenter.accounts.models import User
from actioncenter.accounts.notices import admins, notify
from actioncenter.actions.enums import JobKind, JobState, SurpriseKind
from actioncenter.actions.execution import outside, surprising
from actioncenter.actions.models import Action, ActionTarget, ConnectorJob, drifting
from actioncenter.actions.models.drifting import Reading
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base
from actioncenter.settings.models import ConnectorInstance, Safeguards
from actioncenter.web.clock import database_now

AT_ONCE: Final = 4
"""Readings of one instance that wait or run at a time."""
TARGETS: Final = 50
"""Targets of one reading."""
SECONDS: Final = 60.0
NAMED: Final = 5
"""Targets that a surprise names."""
STILL: Final = timedelta(days=3)
"""After so long, and again after as long, people are asked whether a device still has to be held."""


def due() -> "QuerySet[ActionTarget]":
    """In force, and not looked at for as long as the safeguards say."""
    pause = timedelta(minutes=Safeguards.current().read_back_minutes)
    return ActionTarget.objects.filter(
        in_force=True, checked_at__lte=Now() - pause, instance__enabled=True
    ).order_by("checked_at", "id")


def waiting() -> bool:
    return due().exists() or drifting.moot(Action).exists()


def ask(by: Actor) -> int:
    """Have the oldest looked at again; returns how many readings were asked for."""
    ended = drifting.end_moot(Action, by=by)
    instances = ConnectorInstance.objects.filter(enabled=True).order_by("pk")
    return ended + sum(_ask(instance, by=by) for instance in instances)


def _ask(instance: ConnectorInstance, *, by: Actor) -> int:
    readings = ConnectorJob.objects.filter(kind=JobKind.VERIFY, instance=instance)
    room = AT_ONCE - readings.filter(state__lte=JobState.RUNNING).count()
    if room <= 0:
        return 0
    with transaction.atomic():
        rows = due().filter(instance=instance)
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        oldest = list(rows.select_related("action")[: room * TARGETS])
        asked = [some[:TARGETS] for some in _by_action(oldest)][:room]
        taken = [target for some in asked for target in some]
        ActionTarget.objects.filter(pk__in=[target.pk for target in taken]).update(checked_at=Now())
        # What was read before has been noted; only the newest reading of an action is kept.
        done = readings.filter(action__in={target.action_id for target in taken}, state__gt=JobState.RUNNING)
        done.delete()
        ConnectorJob.objects.bulk_create(_job(instance, some, by=by) for some in asked)
        _ask_whether_still(taken)
    return len(asked)


def _by_action(targets: Iterable[ActionTarget]) -> list[list[ActionTarget]]:
    """In the order of the oldest of each."""
    found: dict[int, list[ActionTarget]] = {}
    for target in targets:
        found.setdefault(target.action_id, []).append(target)
    return list(found.values())


def _job(instance: ConnectorInstance, targets: Sequence[ActionTarget], *, by: Actor) -> ConnectorJob:
    action = targets[0].action
    return ConnectorJob(
        kind=JobKind.VERIFY, instance=instance, action=action, requested_by_name=by.name, area=action.area,
        group_id=action.group_id, request={"targets": [target.pk for target in targets]},
    )  # fmt: skip


# The reading itself


def look(job: ConnectorJob, action: Action, connector: base.Connector, by: Actor) -> dict[str, Any]:
    """Read the targets a reading was asked for, and note what differs."""
    asked_at = database_now()
    wanted = [number for number in job.request.get("targets", []) if isinstance(number, int)]
    targets = list(action.targets.filter(pk__in=wanted, in_force=True).order_by("pk"))
    readings = _read(connector, action, targets) if targets else {}
    with transaction.atomic():
        gone = drifting.note(action, readings, asked_at=asked_at, by=by)
        if gone:
            said = f"No longer so: {', '.join(target.name for target in gone[:NAMED])}"
            surprising.found(action, SurpriseKind.OUTSIDE, by=by, said=said, instance_id=job.instance_id)
    return {"in_force": {str(number): reading.holds for number, reading in readings.items()}}


def _read(connector: base.Connector, action: Action, targets: Sequence[ActionTarget]) -> dict[int, Reading]:
    """One that is offline must not hide the others. What can't be read now is no difference."""
    try:
        return _observed(connector, action, targets)
    except base.Transient:
        if len(targets) == 1:
            raise
    found: dict[int, Reading] = {}
    for target in targets:
        with contextlib.suppress(base.ConnectorError):
            found |= _observed(connector, action, [target])
    return found


def _observed(
    connector: base.Connector, action: Action, targets: Sequence[ActionTarget]
) -> dict[int, Reading]:
    request = outside.preview_request(action, targets, deadline=time.time() + SECONDS)
    seen = connector.verify(request)
    return {
        target.pk: Reading(
            seen.in_force.get(str(target.pk)), outside.cleaned(seen.detail.get(str(target.pk), {}))
        )
        for target in targets
    }


# Held for long


def _ask_whether_still(targets: Sequence[ActionTarget]) -> None:
    """Once for every three days that a device is held without an end."""
    now = database_now()
    long = [target for target in targets if _has_become_long(target, now)]
    for _, some in groupby(sorted(long, key=lambda each: each.action_id), key=lambda each: each.action_id):
        target = next(iter(some))
        action, days = target.action, (now - target.changed_at).days
        asked = User.objects.filter(pk__in=[action.requested_by_id or 0, action.decided_by_id or 0])
        notify(
            admins() | asked.filter(is_active=True),
            "action.still_held",
            title=f"{action.label} has held {action.on_name or action.target_name} for {days} days. Is it still needed?",
            params={"action": action.pk},
            url=f"/action-center/actions/{action.pk}",
        )


def _has_become_long(target: ActionTarget, now: datetime) -> bool:
    action, before = target.action, target.checked_at or target.changed_at
    if not action.entry.device_wide or action.ends_at is not None:
        return False
    return (now - target.changed_at) // STILL > (before - target.changed_at) // STILL
