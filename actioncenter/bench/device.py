"""A connector that takes its time and does nothing else: what is measured is the way to it."""

import time
from collections.abc import Mapping
from typing import Any, Final

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.bench import stamps
from actioncenter.connectors.base import (
    Capability,
    Delivery,
    Done,
    Health,
    Journal,
    Json,
    Observed,
    Outcome,
    Page,
    Plan,
    Request,
    Result,
    Support,
)
from actioncenter.connectors.simulator import SETTINGS_SCHEMA

KIND: Final = "simulator"
LABEL: Final = "Benchmark"
SIMULATED: Final = True
__all__ = ["KIND", "LABEL", "SETTINGS_SCHEMA", "SIMULATED", "build"]


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> "Device":
    return Device(float(settings.get("pace", 0.0)))


class Device:
    """`pace`: seconds that a call takes; reading back takes as long again."""

    kind = KIND

    def __init__(self, pace: float) -> None:
        self.pace = pace

    def check(self) -> Health:
        return Health(ok=True, detail="")

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]:
        able = Capability(Support.SUPPORTED, undoable=True, delivery=Delivery.KEYED)
        return dict.fromkeys(ActionType, able)

    def preview(self, request: Request) -> Plan:
        return Plan({}, [], digest="bench")

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done:
        keys = [target.key for target in request.targets]
        journal.intent(keys)
        journal.touching()
        stamps.put("called", ",".join(keys))
        time.sleep(self.pace)
        return Done([Result(key, Outcome.SUCCEEDED) for key in keys])

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        return False

    def verify(self, request: Request) -> Observed:
        time.sleep(self.pace)
        return Observed({target.key: True for target in request.targets})

    def lookup(self, request: Request) -> Done | None:
        return None

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
        return Page([], complete=True)
