"""Requests as a runner makes them, and what they came to."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Connector, Done, Request, Result, Target
from tests.connectors.harness import Notes


def request(kind: ActionType, pin: str, facts: Mapping[str, Any] | None = None, **parameters: Any) -> Request:
    target = Target("t1", CATALOGUE[kind].kind, pin, facts or {})
    return Request(str(uuid.uuid4()), kind, [target], clean_parameters(kind, parameters))


def isolation(pin: str, mode: str = "full") -> Request:
    return request(ActionType.ISOLATE_DEVICE, pin, isolation=mode)


def quarantine(pin: str, path: str, sha256: str = "", **facts: Any) -> Request:
    return request(ActionType.QUARANTINE_FILE, pin, {"path": path, "sha256": sha256, **facts})


def done(connector: Connector, of: Request) -> Result:
    answer = connector.step(of, None, Notes())
    assert isinstance(answer, Done)
    (result,) = answer.results
    return result


def undo(of: Request, result: Result) -> Request:
    inverse = CATALOGUE[of.type].inverse
    assert inverse is not None
    targets = [replace(of.targets[0], before=result.before)]
    return replace(of, id=str(uuid.uuid4()), type=inverse, targets=targets, parameters={})


def in_force(connector: Connector, of: Request) -> bool | None:
    return connector.verify(of).in_force["t1"]


def killing(pin: str, **facts: Any) -> Request:
    return request(ActionType.KILL_PROCESS, pin, facts)
