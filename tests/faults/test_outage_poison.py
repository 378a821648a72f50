"""An action that makes the code raise: a few tries, one clear end with its reason, and nobody waits for it."""

from collections.abc import Callable
from typing import Any

import pytest

from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming, gates, loop, outside, stepping, stumbling
from actioncenter.actions.models import Action, Attempt
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import RUNNER, estate
from tests.actions.stopping import decided

__all__ = ["estate"]
pytestmark = pytest.mark.django_db
PLACES: dict[str, tuple[Any, str, Execution]] = {
    "at the gate": (gates, "judge", Execution.FAILED),
    "at the claim": (claiming, "_expand", Execution.FAILED),
    "before sending": (outside, "request_for", Execution.FAILED),
    "while sending": (Simulator, "step", Execution.OUTCOME_UNKNOWN),
    "while recording": (stepping, "_take", Execution.OUTCOME_UNKNOWN),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stumbling, "AGAIN", 0.0)
    monkeypatch.setattr(stepping, "ASK_AGAIN", 0.0)


def poisoned(bad: Action, place: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The code raises there for this action; gives the list of its tries."""
    owner, name, _ = PLACES[place]
    work, tries = getattr(owner, name), []

    def raises(*given: Any, **more: Any) -> Any:
        if any(_is_about(value, bad) for value in given):
            tries.append(bad.pk)
            raise ZeroDivisionError
        return work(*given, **more)

    monkeypatch.setattr(owner, name, raises)
    return tries


def _is_about(value: Any, action: Action) -> bool:
    if isinstance(value, Attempt):
        return value.action_id == action.pk
    if hasattr(value, "plan_digest"):
        keys = [int(target.key) for target in value.targets]
        return action.targets.filter(pk__in=keys).exists()
    return value == action


@pytest.mark.parametrize("place", PLACES)
def test_it_ends_after_five_tries_and_the_next_one_runs(
    place: str, estate: Estate, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = decided(2)
    tries = poisoned(bad, place, monkeypatch)
    for _ in range(2 * stumbling.TRIES):
        loop.drain(by=RUNNER)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.execution, good.execution) == (PLACES[place][2], Execution.SUCCEEDED)
    assert 1 <= len(tries) <= stumbling.TRIES
    told = bad.targets.get()
    assert "Internal error: ZeroDivisionError" in told.error
    if bad.execution == Execution.FAILED:
        assert (bad.code, bad.status_detail) == ("internal", told.error)
        assert len(tries) == stumbling.TRIES
    else:
        assert Action.objects.needs_a_look().filter(pk=bad.pk).exists()
    assert loop.drain(by=RUNNER) == 0
    assert len(tries) <= stumbling.TRIES


@pytest.mark.parametrize("place", ["at the gate", "before sending"])
def test_it_is_not_tried_again_at_once(place: str, estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    (bad,) = decided(1)
    tries = poisoned(bad, place, monkeypatch)
    for _ in range(10):
        loop.drain(by=RUNNER)
    assert len(tries) == 1
    assert bad.targets.get().not_before is not None


def test_one_that_cannot_be_written_to_is_left_alone_for_a_while(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = decided(2)
    tries = poisoned(bad, "at the gate", monkeypatch)

    def impossible(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stumbling, "_note", impossible)
    monkeypatch.setattr(stumbling, "_aside", {})
    for _ in range(10):
        loop.drain(by=RUNNER)
    good.refresh_from_db()
    assert (len(tries), good.execution) == (1, Execution.SUCCEEDED)
    monkeypatch.setattr(stumbling.time, "monotonic", _later(stumbling.time.monotonic))
    assert not stumbling.is_aside(bad.pk)


def _later(clock: Callable[[], float]) -> Callable[[], float]:
    return lambda: clock() + stumbling.ASIDE


def test_a_person_may_try_it_again(estate: Estate, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (bad,) = decided(1)
    with monkeypatch.context() as patch:
        poisoned(bad, "before sending", patch)
        loop.drain(by=RUNNER)
    bad.refresh_from_db()
    bad.retry(by=factories.person("mira").actor())
    loop.drain(by=RUNNER)
    bad.refresh_from_db()
    assert (bad.execution, sum(estate.effects().values())) == (Execution.SUCCEEDED, 1)
