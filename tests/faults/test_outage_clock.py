"""A clock that is an hour wrong, or jumps: the database's counts, and where that jumps nothing is doubled or lost."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import Attempt, attempting
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from tests.actions.conftest import RUNNER, estate
from tests.actions.stopping import decided

__all__ = ["estate"]
pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "backward"])


@contextmanager
def database_clock(jump: timedelta) -> Iterator[None]:
    """SQLite asks the host for the time: as if that had jumped. PostgreSQL's server is another's host."""
    if connection.vendor != "sqlite":
        pytest.skip("the host's clock is not this database's")

    # Another SQLite says what the host's time is: Python's own may be travelling.
    host = sqlite3.connect(":memory:", check_same_thread=False)

    def strftime(jump: timedelta) -> Callable[..., str]:
        def told(form: str, moment: str, *more: Any) -> str:
            assert (moment.lower(), more) == ("now", ()), "another use than Now()"
            seconds = f"{jump.total_seconds()} seconds"
            now: str = host.execute("SELECT strftime(?, 'now', ?)", [form, seconds]).fetchone()[0]
            return now

        return told

    connection.ensure_connection()
    connection.connection.create_function("strftime", -1, strftime(jump))
    try:
        yield
    finally:
        # It can't be taken away again, only be right.
        connection.connection.create_function("strftime", -1, strftime(timedelta()))


@JUMPS
@pytest.mark.parametrize("step", ["not begun", "sent"])
def test_a_runner_whose_own_clock_is_wrong_does_the_work(estate: Estate, jump: timedelta, step: str) -> None:
    """Deadlines and patience are counted by the database, also of what another host has begun."""
    (action,) = decided(1)
    if step == "sent":
        attempt = claiming.claim_one(action.pk, "gone", by=RUNNER)
        assert attempt is not None
        attempting.mark_sent(attempt)
        Attempt.objects.update(lease_until=attempt.started_at)
    with time_machine.travel(datetime.now(UTC) + jump):
        loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, sum(estate.effects().values())) == (Execution.SUCCEEDED, 1)


@JUMPS
@pytest.mark.samples
def test_a_jump_in_the_middle_of_the_work_doubles_nothing(
    estate: Estate, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward every lease is over at once: another takes it, and the first finds that it isn't its own."""
    (action,) = decided(1)
    attempt = claiming.claim_one(action.pk, "first", by=RUNNER)
    assert attempt is not None
    step = Simulator.step

    def jumping(*given: Any) -> Any:
        monkeypatch.undo()
        answer = step(*given)
        with database_clock(jump):
            loop.drain(by=RUNNER)
        return answer

    monkeypatch.setattr(Simulator, "step", jumping)
    stepping.work(attempt, by=RUNNER)
    with database_clock(jump):
        loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, sum(estate.effects().values())) == (Execution.SUCCEEDED, 1)


@JUMPS
@pytest.mark.samples
def test_what_a_dead_runner_left_is_not_held_for_another_hour(estate: Estate, jump: timedelta) -> None:
    (action,) = decided(1)
    assert claiming.claim_one(action.pk, "dead", by=RUNNER) is not None
    with database_clock(jump):
        loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, sum(estate.effects().values())) == (Execution.SUCCEEDED, 1)


@JUMPS
@pytest.mark.samples
def test_duties_go_on(jump: timedelta) -> None:
    done: list[str] = []
    chore = housekeeping.Chore("trial", 5.0, lambda: True, lambda by: len(done.append("done") or []))
    housekeeping.run_due(by=RUNNER, chores=[chore])
    housekeeping.run_due(by=RUNNER, chores=[chore])
    assert done == ["done"]
    with database_clock(jump):
        housekeeping.run_due(by=RUNNER, chores=[chore])
    assert done == ["done"] * 2
