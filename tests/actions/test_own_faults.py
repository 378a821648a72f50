"""Slow answers and our own mistakes: neither loses what is known, and neither goes on for ever."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution, TargetState
from actioncenter.actions.execution import claiming, gates, loop, stepping
from actioncenter.actions.models import Action, ActionTarget, Attempt, attempting
from actioncenter.actions.models.conflicts import IllegalMove
from actioncenter.audit.models import Event
from actioncenter.connectors import base
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db


def approved() -> Action:
    return factories.waiting_action().approve(by=factories.person("mira").actor())


def due() -> None:
    """What waits for a moment, or for a runner that is gone."""
    Attempt.objects.filter(ended_at=None, next_poll_at__isnull=False).update(next_poll_at=Now())
    Attempt.objects.filter(ended_at=None, lease_until__isnull=False).update(lease_until=Now())


# An answer that took its time


def aged(monkeypatch: pytest.MonkeyPatch, *, overtaken: bool = False) -> list[object]:
    """The answer comes when the lease is nearly over; another runner looks while it is read back."""
    step, verify, stolen = Simulator.step, Simulator.verify, []

    def slow_step(*given: Any) -> Any:
        answer = step(*given)
        Attempt.objects.update(lease_until=Now())
        if overtaken:
            assert loop.take_due("quick") is not None
        return answer

    def slow_verify(connector: Simulator, request: base.Request) -> Any:
        stolen.append(loop.take_due("quick"))
        return verify(connector, request)

    monkeypatch.setattr(Simulator, "step", slow_step)
    monkeypatch.setattr(Simulator, "verify", slow_verify)
    return stolen


def test_the_lease_is_renewed_before_reading_back(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    ConnectorInstance.objects.update(settings={"pace": 0, "delivery": "blind"})
    action, stolen = approved(), aged(monkeypatch)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert stolen == [None]
    assert (action.execution, sum(estate.effects().values())) == (Execution.SUCCEEDED, 1)


def test_a_lease_that_was_lost_is_not_renewed(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    action, read = approved(), aged(monkeypatch, overtaken=True)
    stepping.work(claimed(action), by=RUNNER)
    attempt = action.attempts.get()
    assert (read, attempt.runner, attempt.ended_at) == ([], "quick", None)


# A move that the table doesn't have


def claimed(action: Action) -> Attempt:
    attempt = claiming.claim_one(action.pk, "r", by=RUNNER)
    assert attempt is not None
    return attempt


def called(action: Action, state: Execution) -> None:
    """The row says something that can't be, with a target still under way."""
    Action.objects.filter(pk=action.pk).update(execution=state, history_at=Now(), finished_at=Now())


def fails(*_: object) -> None:
    raise base.Permanent("refused", "It will not.")


def times_out(*_: object) -> None:
    raise base.Unknown("No answer came.")


def ended_before(action: Action, monkeypatch: pytest.MonkeyPatch, step: Callable[..., None]) -> Attempt:
    factories.person("noa")
    attempt = claimed(action)
    called(action, Execution.SUCCEEDED)
    monkeypatch.setattr(Simulator, "step", step)
    stepping.work(attempt, by=RUNNER)
    return action.attempts.get()


@pytest.mark.parametrize("step", [fails, times_out])
def test_an_impossible_end_is_told_once_and_never_taken_up_again(
    step: Callable[..., None], estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    attempt = ended_before(action, monkeypatch, step)
    assert attempt.ended_at is not None
    assert (attempt.error_class, attempt.lease_until) == ("contradicted", None)
    due()
    assert loop.take_due("next") is None
    action.refresh_from_db()
    assert (action.execution, action.unknown_count) == (Execution.SUCCEEDED, 1)
    assert action.targets.get().state == TargetState.UNKNOWN
    (event,) = Event.objects.filter(stream=f"action:{action.pk}", kind="action.refused")
    assert event.detail["code"] == "contradicted"
    assert Notice.objects.get(kind="contradicted", user__username="noa").severity == Severity.URGENT


def test_whoever_looked_frees_its_target(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    action = approved()
    ended_before(action, monkeypatch, fails)
    action.refresh_from_db()
    action.resolve_unknown(by=factories.person("mira").actor(), happened=False, comment="Nothing was done.")
    assert (action.execution, action.unknown_count, action.failed_count) == (Execution.SUCCEEDED, 0, 1)
    assert not attempting.open_in_lanes().exists()


def test_a_fault_in_the_middle_still_becomes_unknown_where_that_is_possible(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    attempt = claimed(action)
    monkeypatch.setattr(attempting, "finish", _impossible)
    monkeypatch.setattr(attempting, "keep_unknown", _impossible)
    stepping.work(attempt, by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code) == (Execution.OUTCOME_UNKNOWN, "contradicted")
    assert not Attempt.objects.filter(ended_at=None).exists()


def _impossible(*_: object, **__: object) -> None:
    raise IllegalMove("It can't go from there to here.")


def test_one_that_can_not_be_claimed_does_not_hold_up_the_others(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = approved(), approved()
    judge = gates.judge

    def judged(action: Action, **more: Any) -> Any:
        if action.pk == broken.pk:
            _impossible()
        return judge(action, **more)

    monkeypatch.setattr(gates, "judge", judged)
    loop.drain(by=RUNNER)
    good.refresh_from_db()
    assert good.execution == Execution.SUCCEEDED
    assert ActionTarget.objects.get(action=broken).state == TargetState.QUEUED


def test_a_lease_is_longer_than_a_call_may_take() -> None:
    assert timedelta(seconds=30) * 2 <= claiming.LEASE
