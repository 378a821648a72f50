"""Connector instances of a test, each with an estate of its own, and work for them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.db.models.functions import Now

from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action, ActionTarget, Attempt, ConnectorState
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding
from tests import factories
from tests.actions.directly import taken


def connector(folder: Path, name: str = "Second", **options: Any) -> ConnectorInstance:
    """Not enabled, so that nothing but what a test binds to it goes there."""
    more = {key: options.pop(key) for key in ("max_parallel", "per_minute") if key in options}
    return ConnectorInstance.objects.create(
        kind="simulator", name=name, simulated=True, **more,
        settings={"path": str(folder / f"{name}.sqlite3"), "pace": 0, **options},
    )  # fmt: skip


def estate_of(instance: ConnectorInstance) -> Estate:
    return Estate(Path(instance.settings["path"]))


def decided(
    instance: ConnectorInstance, number: int = 1, kind: ActionType = ActionType.KILL_PROCESS
) -> list[Action]:
    """Queued on as many devices that this connector reaches."""
    made = []
    for _ in range(number):
        machine = factories.device()
        Binding.objects.filter(device=machine).update(instance=instance)
        made.append(taken(kind, machine, {"pid": 7, "name": "tool.exe"}))
    return made


def effects(instance: ConnectorInstance) -> int:
    return sum(estate_of(instance).effects().values())


def state(instance: ConnectorInstance) -> ConnectorState:
    return ConnectorState.objects.get(pk=instance.pk)


def now_due() -> None:
    """Whatever waits for a moment of its own need wait no longer; holds of connectors stand."""
    ActionTarget.objects.update(not_before=None)
    Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=Now())


def fresh(actions: Iterable[Action]) -> list[Action]:
    return [Action.objects.get(pk=action.pk) for action in actions]
