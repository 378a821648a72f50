"""How often and how many at once a connector is called, over all runners; and that it is believed when it asks for patience."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import ActionType, AttemptState, Execution, JobKind, JobState
from actioncenter.actions.execution import claiming, jobs, loop, stepping
from actioncenter.actions.models import Action, Attempt, ConnectorJob, ConnectorState, attempting, pacing
from actioncenter.audit.models import Event
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.connecting import connector, decided, effects, estate_of, fresh, now_due, state
from tests.services.database import as_default

pytestmark = pytest.mark.django_db


@pytest.fixture
def slow(tmp_path: Path) -> ConnectorInstance:
    return connector(tmp_path, max_parallel=2)


@pytest.fixture
def paced(tmp_path: Path) -> ConnectorInstance:
    return connector(tmp_path, per_minute=30)


@pytest.fixture
def busy(tmp_path: Path) -> ConnectorInstance:
    """Asks for patience for a minute and a half."""
    made = connector(tmp_path)
    estate_of(made).behave("throttle", 90)
    return made


def claim() -> Attempt | None:
    return claiming.claim_next("r", by=RUNNER)


def claimed() -> Attempt:
    attempt = claim()
    assert attempt is not None
    return attempt


def untouched(actions: list[Action]) -> bool:
    """Queued, and no runner ever had one of them."""
    rows = fresh(actions)
    return all(row.execution == Execution.QUEUED and not row.attempts.exists() for row in rows)


# How many at once


def test_no_more_calls_run_at_once_than_it_takes(slow: ConnectorInstance) -> None:
    actions = decided(slow, 4)
    first, _second = claimed(), claimed()
    assert claim() is None
    assert untouched(actions[2:])

    stepping.work(first, by=RUNNER)

    assert claimed().action_id == actions[2].pk
    assert claim() is None


def test_a_full_connector_does_not_hold_up_another(slow: ConnectorInstance, tmp_path: Path) -> None:
    decided(slow, 4)
    claimed(), claimed()
    (other,) = decided(connector(tmp_path, "Third"))
    assert claimed().action_id == other.pk


def test_reads_take_a_place_too(slow: ConnectorInstance) -> None:
    for _ in range(3):
        ConnectorJob.objects.create(kind=JobKind.CHECK, instance=slow, requested_by_name="tests")
    first = jobs.claim_next()
    assert first is not None
    decided(slow, 2)
    assert claimed()
    assert claim() is None
    assert jobs.claim_next() is None

    jobs.work(first, by=RUNNER)

    assert claim() is not None


def test_a_poll_waits_for_a_place(slow: ConnectorInstance) -> None:
    scan, *_ = decided(slow, kind=ActionType.ANTIVIRUS_SCAN)
    ConnectorInstance.objects.filter(pk=slow.pk).update(settings={**slow.settings, "pace": 60})
    loop.drain(by=RUNNER)
    assert scan.attempts.get().state == AttemptState.POLLING
    decided(slow, 2)
    first, _second = claimed(), claimed()
    now_due()
    assert loop.take_due("r") is None

    stepping.work(first, by=RUNNER)

    taken = loop.take_due("r")
    assert taken is not None
    assert taken.action_id == scan.pk


def test_a_dead_runner_keeps_its_places_no_longer_than_its_lease(slow: ConnectorInstance) -> None:
    decided(slow, 4)
    claimed(), claimed()
    assert claim() is None
    Attempt.objects.update(lease_until=Now())
    assert claim() is not None


# How fast


def test_calls_begin_no_faster_than_it_takes(paced: ConnectorInstance) -> None:
    actions = decided(paced, 3)
    first = claimed()
    until = state(paced).paced_until
    assert until is not None
    assert abs(until - first.started_at - timedelta(seconds=2)) < timedelta(seconds=1)
    assert claim() is None
    assert untouched(actions[1:])

    ConnectorState.objects.update(paced_until=Now())
    assert claimed().action_id == actions[1].pk
    assert claim() is None


def test_what_was_not_used_is_not_caught_up_on(paced: ConnectorInstance) -> None:
    """However long nothing was sent: in no minute are there more calls than allowed."""
    decided(paced, 3)
    ConnectorState.objects.create(instance=paced, paced_until=Now() - timedelta(hours=1))
    assert claim() is not None
    assert claim() is None


@pytest.mark.parametrize("per_minute", [0, 60_000])
def test_without_a_limit_nothing_waits(paced: ConnectorInstance, per_minute: int) -> None:
    ConnectorInstance.objects.filter(pk=paced.pk).update(per_minute=per_minute)
    for _ in decided(paced, 5):
        ConnectorState.objects.filter(paced_until__isnull=False).update(paced_until=Now())
        assert claim() is not None


def test_new_work_and_what_is_under_way_take_turns(paced: ConnectorInstance) -> None:
    """Neither may use up the whole of a narrow limit."""
    decided(paced, 2, kind=ActionType.ANTIVIRUS_SCAN)
    ConnectorInstance.objects.filter(pk=paced.pk).update(settings={**paced.settings, "pace": 600})
    seen, new_first = [], False
    for _ in range(4):
        task = loop.next_task("r", by=RUNNER, new_first=new_first)
        assert task is not None
        task()
        seen.append(task.is_new)
        new_first = not task.is_new
        now_due()
        ConnectorState.objects.update(paced_until=Now())
    assert seen == [True, False, True, False]


# When it asks for patience


def test_it_is_believed(busy: ConnectorInstance) -> None:
    first, *others = decided(busy, 3)
    loop.drain(by=RUNNER)
    now = state(busy)
    assert now.held_until is not None
    assert now.held_reason == "Too many requests."
    assert now.failures == 0
    (tried,) = fresh([first])
    assert tried.execution == Execution.QUEUED
    target = tried.targets.get()
    assert (target.error_class, target.error) == ("throttled", "Too many requests.")
    assert tried.attempts.count() == 1
    assert untouched(others)

    estate_of(busy).behave_normally()
    now_due()
    loop.drain(by=RUNNER)
    assert effects(busy) == 0, "not before the time is over"

    ConnectorState.objects.update(held_until=Now())
    loop.drain(by=RUNNER)
    assert {action.execution for action in fresh([first, *others])} == {Execution.SUCCEEDED}
    assert effects(busy) == 3


def test_for_as_long_as_it_asked(busy: ConnectorInstance) -> None:
    (action,) = decided(busy)
    loop.drain(by=RUNNER)
    attempt = action.attempts.get()
    assert attempt.ended_at is not None
    until, target = state(busy).held_until, action.targets.get()
    assert until is not None
    assert target.not_before is not None
    for moment in (until, target.not_before):
        assert abs(moment - attempt.ended_at - timedelta(seconds=90)) < timedelta(seconds=10)


def test_for_an_hour_at_most(busy: ConnectorInstance) -> None:
    estate_of(busy).behave("throttle", 10**9)
    (action,) = decided(busy)
    loop.drain(by=RUNNER)
    limit = Now() + pacing.HELD_AT_MOST
    assert ConnectorState.objects.filter(held_until__lte=limit, held_until__gt=Now()).exists()
    assert action.targets.filter(not_before__lte=limit).exists()


def test_others_are_not_held(busy: ConnectorInstance, tmp_path: Path) -> None:
    decided(busy)
    loop.drain(by=RUNNER)
    other = connector(tmp_path, "Third")
    (action,) = decided(other)
    loop.drain(by=RUNNER)
    assert fresh([action])[0].execution == Execution.SUCCEEDED


def test_an_action_for_two_connectors_goes_on_with_the_free_one(
    busy: ConnectorInstance, tmp_path: Path
) -> None:
    other = connector(tmp_path, "Third")
    (action,) = decided(busy)
    pacing.hold(busy.pk, 90, "Too many requests.", by=RUNNER)
    target = action.targets.get()
    target.pk, target.lane, target.instance = None, "proc:elsewhere", other
    target.save(force_insert=True)
    # Past the gates, which would see that a target was added.
    attempt = attempting.claim(fresh([action])[0], runner="r", lease=claiming.LEASE, by=RUNNER)
    assert attempt is not None
    assert attempt.instance_id == other.pk
    assert attempt.targets.get().pk == target.pk


def test_what_runs_there_is_not_asked_for_meanwhile(busy: ConnectorInstance) -> None:
    estate_of(busy).behave_normally()
    ConnectorInstance.objects.filter(pk=busy.pk).update(settings={**busy.settings, "pace": 60})
    (scan,) = decided(busy, kind=ActionType.ANTIVIRUS_SCAN)
    loop.drain(by=RUNNER)
    estate_of(busy).behave("throttle", 90)
    now_due()
    loop.drain(by=RUNNER)
    attempt = scan.attempts.get()
    assert (attempt.state, attempt.message) == (AttemptState.POLLING, "Too many requests.")
    assert fresh([scan])[0].execution == Execution.IN_PROGRESS
    now_due()
    assert loop.take_due("r") is None

    estate_of(busy).behave_normally()
    ConnectorState.objects.update(held_until=Now())
    assert loop.take_due("r") is not None


def test_reads_are_held_too(busy: ConnectorInstance) -> None:
    pacing.hold(busy.pk, 90, "Too many requests.", by=RUNNER)
    ConnectorJob.objects.create(kind=JobKind.CHECK, instance=busy, requested_by_name="tests")
    assert jobs.claim_next() is None
    ConnectorState.objects.update(held_until=Now())
    assert jobs.claim_next() is not None


def test_a_read_that_hears_it_holds_everything(busy: ConnectorInstance) -> None:
    job = ConnectorJob.objects.create(kind=JobKind.CAPABILITIES, instance=busy, requested_by_name="tests")
    busy.bindings.create(device=factories.device(), remote="pc-1")
    loop.drain(by=RUNNER)
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "Too many requests.")
    actions = decided(busy)
    loop.drain(by=RUNNER)
    assert untouched(actions)


def test_it_is_told_once(busy: ConnectorInstance) -> None:
    factories.person("noa")
    for _ in range(3):
        pacing.hold(busy.pk, 90, "Too many requests.", by=RUNNER)
    (event,) = Event.objects.filter(kind="connector.held")
    assert event.stream == f"connector:{busy.pk}"
    assert (event.detail["seconds"], event.detail["reason"]) == (90, "Too many requests.")
    assert not Notice.objects.filter(kind="connector_held").exists(), "short ones are nobody's business"

    ConnectorState.objects.update(held_until=Now())
    pacing.hold(busy.pk, 1200, "Too many requests.", by=RUNNER)
    assert Event.objects.filter(kind="connector.held").count() == 2
    assert "asked for patience until" in Notice.objects.get(kind="connector_held").title


def test_a_shorter_wish_does_not_end_a_longer_one(busy: ConnectorInstance) -> None:
    pacing.hold(busy.pk, 90, "Wait.", by=RUNNER)
    until = state(busy).held_until
    pacing.hold(busy.pk, 5, "Wait a little.", by=RUNNER)
    assert (state(busy).held_until, state(busy).held_reason) == (until, "Wait.")


def test_what_nobody_wants_any_more_is_cancelled_all_the_same(busy: ConnectorInstance) -> None:
    pacing.hold(busy.pk, 3600, "Wait.", by=RUNNER)
    (action,) = decided(busy)
    action.request_cancel(by=factories.person("mira").actor(), comment="On second thought")
    loop.drain(by=RUNNER)
    assert fresh([action])[0].execution == Execution.CANCELLED


# Over all runners


@pytest.mark.postgres
@pytest.mark.parametrize("planted", [False, True], ids=["as it is", "with a check and then a claim"])
def test_racing_runners_keep_to_it(
    on_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    instance = connector(tmp_path, max_parallel=2, per_minute=0)
    decided(instance, 8)
    start = threading.Barrier(4)
    if planted:
        monkeypatch.setattr(pacing, "book", _looks_first(start))

    def run() -> None:
        with as_default(on_postgres):
            start.wait()
            for _ in range(1 if planted else 5):
                claiming.claim_next("r", by=RUNNER)

    _all(run, 4)
    under_way = Attempt.objects.filter(instance=instance).count()
    assert (under_way > 2) is planted, under_way


def _looks_first(everybody: threading.Barrier) -> Callable[..., bool]:
    def book(instance_id: int, **_: Any) -> bool:
        free = not pacing.closed().filter(pk=instance_id).exists()
        everybody.wait(timeout=60)
        return free

    return book


def _all(run: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
