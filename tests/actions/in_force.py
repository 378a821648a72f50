"""What is in force in tests: the time that passes over it, the look at it, and who changes it there."""

from datetime import timedelta

from django.db.models import F

from actioncenter.actions.execution import drifting as reading
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from investigations.models import Device
from tests.actions.conftest import RUNNER

HOUR = timedelta(hours=1)


def time_passes(hours: float = 2) -> None:
    """Since anything was done or looked at."""
    ActionTarget.objects.update(
        checked_at=F("checked_at") - hours * HOUR, changed_at=F("changed_at") - hours * HOUR
    )


def look(*actions: Action, hours: float = 2) -> None:
    """What a runner does when it is time again."""
    time_passes(hours)
    reading.ask(RUNNER)
    loop.drain(by=RUNNER)
    for action in actions:
        action.refresh_from_db()


def events(action: Action, kind: str) -> list[Event]:
    return list(Event.objects.filter(stream=f"action:{action.pk}", kind=kind).order_by("seq"))


def set_free(estate: Estate, device: Device) -> None:
    """Somebody at the device."""
    estate.change("device", device.bindings.get().remote, isolation="none")


def isolate_there(estate: Estate, device: Device) -> None:
    estate.change("device", device.bindings.get().remote, isolation="full")
