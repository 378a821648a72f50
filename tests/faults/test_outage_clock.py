"""A clock that is an hour wrong, or jumps: the database's counts, and where that jumps nothing is doubled or lost."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.signals import connection_created

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming, loop, stepping, timekeeping
from actioncenter.actions.execution.timekeeping import Timekeeper
from actioncenter.actions.models import Attempt, attempting
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.running import Run
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import StopError
from actioncenter.web.clock import database_now
from tests import factories
from tests.actions.conftest import RUNNER, estate
from tests.actions.stopping import decided
from tests.faults.harness import PATIENCE, Delivery, effects, estate_of, until

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


def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Every connection from now on tells a time that is off by so many `seconds`."""
    off, host, lock = {"seconds": 0.0}, sqlite3.connect(":memory:", check_same_thread=False), Lock()

    def told(form: str, moment: str, *more: Any) -> str:
        with lock:
            asked = host.execute("SELECT strftime(?, 'now', ?)", [form, f"{off['seconds']} seconds"])
            return str(asked.fetchone()[0])

    def made(connection: Any, **_: Any) -> None:
        connection.connection.create_function("strftime", -1, told)

    monkeypatch.setattr(connection_created, "receivers", [*connection_created.receivers])
    connection_created.connect(made, weak=False)
    return off


def held_on_its_way(monkeypatch: pytest.MonkeyPatch) -> tuple[Event, Event]:
    """The first call stops between its last look at its lease and the effect; `begun`, and `may_go_on`."""
    begun, may_go_on, carry_out = Event(), Event(), Run._carry_out

    def carried(run: Run, *given: Any) -> Any:
        real = run.journal.intent

        def intent(keys: Any) -> None:
            real(keys)
            if not begun.is_set():
                begun.set()
                assert may_go_on.wait(PATIENCE)

        monkeypatch.setattr(run.journal, "intent", intent)
        return carry_out(run, *given)

    monkeypatch.setattr(Run, "_carry_out", carried)
    return begun, may_go_on


def looks_for_lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each look for what a dead runner has left."""
    looks: list[str] = []
    take_over = attempting.take_over

    def counted(runner: str, **more: Any) -> Attempt | None:
        looks.append(runner)
        return take_over(runner, **more)

    monkeypatch.setattr(attempting, "take_over", counted)
    return looks


def under_way_while_it_jumps(folder: Path, monkeypatch: pytest.MonkeyPatch, jump: timedelta) -> int:
    """How often the target was acted on."""
    monkeypatch.setitem(connections.settings["default"], "NAME", connection.settings_dict["NAME"])
    estate = estate_of(folder, Delivery.QUERYABLE)
    (action,) = decided(1)
    off, looks = jumping_clock(monkeypatch), looks_for_lost(monkeypatch)
    begun, may_go_on = held_on_its_way(monkeypatch)
    runner = loop.Runner(by=RUNNER, threads=4)
    thread = Thread(target=runner.run)
    thread.start()
    try:
        assert begun.wait(PATIENCE)
        off["seconds"], seen = jump.total_seconds(), len(looks)
        until(lambda: len(looks) > seen + 3, "the runner looked for nothing")
    finally:
        may_go_on.set()
        until(lambda: not runner.in_flight(), "the call never came back")
        runner.stop()
        thread.join()
    action.refresh_from_db()
    assert action.execution == Execution.SUCCEEDED
    return sum(effects(estate).values())


ON_SQLITE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)


@ON_SQLITE
@pytest.mark.parametrize("jump", [-HOUR, timedelta(minutes=50)], ids=["backward", "forward"])
def test_what_is_under_way_while_it_jumps_is_not_sent_again(
    shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    """Such a target shows no effect yet, so asking it is no proof that nothing was sent."""
    assert under_way_while_it_jumps(tmp_path, monkeypatch, jump) == 1


@ON_SQLITE
def test_a_runner_that_believes_every_lease_is_seen(
    shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timekeeper, "is_steady", lambda _: True)
    assert under_way_while_it_jumps(tmp_path, monkeypatch, -HOUR) == 2


def test_a_jump_counts_for_as_long_as_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, said = [100.0], [datetime(2026, 1, 1, tzinfo=UTC)]
    monkeypatch.setattr(timekeeping.time, "monotonic", lambda: passed[0])
    clock = Timekeeper(timedelta(seconds=60), now=lambda: said[0])

    def after(seconds: float, *, jumped: float = 0.0) -> bool:
        passed[0] += seconds
        said[0] += timedelta(seconds=seconds + jumped)
        return clock.is_steady()

    assert after(5)
    assert after(30, jumped=3), "a little is put right all the time"
    assert not after(5, jumped=-3600)
    assert not after(59)
    assert after(2)
    assert not after(1, jumped=60)


@JUMPS
def test_a_pause_from_a_host_whose_clock_is_wrong_lasts_as_long_as_it_says(jump: timedelta) -> None:
    told, by = StringIO(), factories.person("noa").actor()
    with time_machine.travel(datetime.now(UTC) + jump):
        call_command("stop", "--pause", "--minutes", "30", "--reason", "patching", stdout=told)
    paused = Stop.objects.in_force().get()
    assert paused.until is not None
    left = paused.until - database_now()
    assert timedelta(minutes=25) < left <= timedelta(minutes=30)
    with time_machine.travel(datetime.now(UTC) + jump), pytest.raises(StopError, match="in the future"):
        Stop.pull(StopKind.PAUSE, StopScope.ALL, by=by, until=database_now() - timedelta(minutes=1))
