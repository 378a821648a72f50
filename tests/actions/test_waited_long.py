"""What waited long: no edit of a row, no pause and no outage may stretch or shorten what that means."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from actioncenter.actions import planning
from actioncenter.actions.enums import ActionType, Decision, Execution, Risk
from actioncenter.actions.execution import claiming, outside
from actioncenter.actions.models import Action, Attempt, attempting
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind
from actioncenter.settings.models import RailUse
from tests.actions import poisoned
from tests.actions.conftest import RUNNER
from tests.actions.test_gates import ago, approved, automatic, effects
from tests.actions.test_stale_approvals import LIMITS, stop

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
MINUTE = timedelta(minutes=1)


def test_a_lower_risk_in_the_row_buys_no_time(run: Run, estate: Estate) -> None:
    action = approved()
    assert action.risk == Risk.MEDIUM
    ago(LIMITS[Risk.MEDIUM] + 1, action=action, risk=Risk.LOW)
    run(action)
    assert (action.code, effects(estate)) == ("stale_approval", 0)


@pytest.mark.parametrize("held", [True, False])
def test_a_pause_longer_than_its_patience_costs_it_nothing(held: bool, run: Run) -> None:
    action = approved()
    days = timedelta(days=4)
    assert days.total_seconds() > outside.patience(action)
    # Begun once, so that only patience counts.
    ago(days / MINUTE, action=action, started_at=F("decided_at"))
    if held:
        stop(action, days / MINUTE, 1, kind=StopKind.PAUSE)
    run(action)
    assert action.execution == (Execution.SUCCEEDED if held else Execution.TIMED_OUT)


def test_an_offline_device_is_tried_ever_more_seldom_until_patience_ends(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says all the while what it waits for, and in the end that it ran out of time: nothing was sent."""
    action, waits, requeue = approved(), list[float](), attempting.requeue

    def noted(attempt: Attempt, *, after: float, **more: Any) -> None:
        waits.append(after)
        requeue(attempt, after=after, **more)

    monkeypatch.setattr(attempting, "requeue", noted)
    estate.behave("offline", True)
    for _ in range(9):
        run(action)
        assert (action.execution, action.code) == (Execution.QUEUED, "device_offline")
        assert not claiming.claim_next("another:1", by=RUNNER)
        action.targets.update(not_before=None)
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    ago(timedelta(days=4) / MINUTE, action=action, started_at=F("decided_at"))
    run(action)
    assert (action.execution, action.code, effects(estate)) == (Execution.TIMED_OUT, "patience_ended", 0)


def test_what_was_planned_while_nothing_ran_has_no_more_than_one_hour_s_cap(run: Run) -> None:
    group = poisoned.fleet("kiosk", 60)
    for _ in range(3):
        planning.plan(poisoned.verdicts(group, 1)[:8])
        RailUse.objects.update(minute=F("minute") - timedelta(hours=2))
        Action.objects.update(queued_at=F("queued_at") - timedelta(hours=2))
    isolations = Action.objects.filter(type=ActionType.ISOLATE_DEVICE)
    planned = isolations.filter(decision=Decision.NOT_REQUIRED)
    assert planned.count() == 15
    run()
    assert planned.filter(execution=Execution.CANCELLED, code="stale_automatic").count() == 15
    assert planned.filter(started_at__isnull=False).count() == 5
    assert isolations.filter(decision=Decision.PENDING, reason_code="rail_reached", round=2).count() == 10


@pytest.mark.parametrize("minutes", [59, 61])
def test_what_stops_held_is_judged_again_as_well(minutes: int, run: Run) -> None:
    action = automatic()
    ago(minutes, action=action)
    stop(action, minutes, 0)
    run(action)
    assert (action.code == "stale_automatic") == (minutes > 60)
    done = Action.objects.get(execution=Execution.SUCCEEDED)
    assert (done.pk == action.pk, done.proposal_key) == (minutes < 60, action.proposal_key)


def test_what_was_begun_in_time_goes_on(run: Run, estate: Estate) -> None:
    action = automatic()
    estate.behave("offline", True)
    run(action)
    two = timedelta(hours=2)
    Action.objects.update(queued_at=F("queued_at") - two, started_at=F("started_at") - two)
    estate.behave_normally()
    action.targets.update(not_before=None)
    run(action)
    assert action.execution == Execution.SUCCEEDED
