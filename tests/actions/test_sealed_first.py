"""What is dangerous is sent only once the log of it is sealed: nobody can drop, unseen, who wanted it."""

from collections.abc import Callable
from typing import Any

import pytest

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.execution import journal
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.audit import sealing
from actioncenter.connectors.base import Request
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from investigations.models import Device
from tests.actions.directly import taken

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
ISOLATE, RELEASE = ActionType.ISOLATE_DEVICE, ActionType.RELEASE_DEVICE


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request that reached the far side, whether all that the log had told by then was sealed."""
    found: list[bool] = []
    real = Simulator.step

    def step(simulator: Simulator, request: Request, cursor: Any, port: Any) -> Any:
        answer = real(simulator, request, cursor, port)
        found.append(sealing.covers(f"action:{Action.objects.get().pk}"))
        return answer

    monkeypatch.setattr(Simulator, "step", step)
    return found


def test_an_isolation_is_sealed_before_it_is_sent(machine: Device, run: Run, sent: list[bool]) -> None:
    action = taken(ISOLATE, machine)
    run(action)

    assert action.execution == Execution.SUCCEEDED
    assert sent[0]


def test_what_cannot_be_sealed_waits_and_is_sent_afterwards(
    machine: Device, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = taken(ISOLATE, machine)
    with monkeypatch.context() as blocked:
        blocked.setattr(sealing, "seal_stream", lambda stream, *, patience: False)
        run(action)

    assert action.execution == Execution.QUEUED
    assert action.status_detail == "Its decision waits for its seal."
    assert estate.effects() == {}
    ActionTarget.objects.update(not_before=None)
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_what_is_harmless_waits_for_no_seal(
    machine: Device, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = taken(ISOLATE, machine)
    run(action)
    monkeypatch.setattr(sealing, "seal_stream", lambda stream, *, patience: False)
    release = taken(RELEASE, machine)
    run(release)

    assert release.execution == Execution.SUCCEEDED


def test_a_runner_that_does_not_wait_is_seen(
    machine: Device, run: Run, sent: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.Port, "_sealed", lambda port: None)
    run(taken(ISOLATE, machine))

    assert sent
    assert not sent[0]


def test_the_dangerous_ones_are_those_that_cut_off_or_end_something() -> None:
    dangerous = {kind for kind, entry in CATALOGUE.items() if entry.dangerous}
    assert ISOLATE in dangerous
    assert RELEASE not in dangerous
