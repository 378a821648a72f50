"""A wake-up names where work is. That spares a search, and gives nobody who sends one any power."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from actioncenter.actions import dispatch
from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.execution import candidates, claiming, loop
from actioncenter.actions.models import Action, Attempt, attempting
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.connecting import connector, decided, fresh, now_due

pytestmark = pytest.mark.django_db


class AtOnce:
    """Instead of a pool of threads, which would not see what a test has not committed."""

    def submit(self, _: Any, task: Callable[[], None]) -> "Future[None]":
        task()
        done: Future[None] = Future()
        done.set_result(None)
        return done


@pytest.fixture
def runner() -> loop.Runner:
    return loop.Runner(by=RUNNER)


def start(runner: loop.Runner) -> bool:
    return runner._start_one(AtOnce())  # type: ignore[arg-type]


def approved(number: int) -> list[Action]:
    by = factories.person("mira").actor()
    return [action.approve(by=by) for action in factories.waiting_actions(number)]


def order_of_attempts() -> list[int]:
    return list(Attempt.objects.order_by("pk").values_list("action", flat=True))


def test_what_is_named_is_done_without_a_search(
    runner: loop.Runner, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "next_task", lambda *_, **__: None)
    (action,) = approved(1)
    assert not start(runner), "nothing named it yet"
    runner.hint([action.pk])
    assert start(runner)
    action.refresh_from_db()
    assert action.execution == Execution.SUCCEEDED


def test_what_is_named_holds_up_nothing_older(runner: loop.Runner, estate: Estate) -> None:
    oldest, older, *named = [action.pk for action in approved(4)]
    runner.hint(named)
    while start(runner):
        pass
    assert order_of_attempts() == [named[0], oldest, named[1], older]


def test_what_is_named_twice_is_done_once(runner: loop.Runner, estate: Estate) -> None:
    (action,) = approved(1)
    runner.hint([action.pk] * 5)
    for _ in range(12):
        start(runner)
    assert order_of_attempts() == [action.pk]
    assert list(estate.effects().values()) == [1]


def test_what_is_under_way_ends_before_more_is_begun(runner: loop.Runner, tmp_path: Path) -> None:
    """A wake-up for many would otherwise begin them all, each waiting for the polls of the others."""
    scans = decided(connector(tmp_path), 12, ActionType.ANTIVIRUS_SCAN)
    runner.hint([scan.pk for scan in scans])
    most = 0
    while start(runner):
        now_due()
        most = max(most, Attempt.objects.filter(ended_at=None).count())
    assert {scan.execution for scan in fresh(scans)} == {Execution.SUCCEEDED}
    assert most <= loop.SHARE


def test_what_the_dead_held_goes_before_polls_that_are_due(tmp_path: Path) -> None:
    _scan, held = decided(connector(tmp_path), 2, ActionType.ANTIVIRUS_SCAN)
    loop.next_task("r", by=RUNNER)()  # type: ignore[misc]
    assert claiming.claim_one(held.pk, "dead", by=RUNNER)
    now_due()
    Attempt.objects.filter(runner="dead").update(lease_until=Now())
    taken = attempting.take_over("r", lease=claiming.LEASE)
    assert taken is not None
    assert taken.action_id == held.pk


def test_proposals_named_before_hold_up_nothing(
    runner: loop.Runner, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intake names everything that it proposes, and most of that waits for a person."""
    monkeypatch.setattr(loop, "next_task", lambda *_, **__: None)
    proposed, decided = factories.waiting_actions(5), approved(2)
    runner.hint([action.pk for action in [*proposed, *decided]])
    assert start(runner)
    assert not start(runner), "every other time it would search"
    assert start(runner)
    assert order_of_attempts() == [action.pk for action in decided]


def test_where_nothing_waits_one_question_is_enough(estate: Estate) -> None:
    factories.waiting_actions(2)
    with CaptureQueriesContext(connection) as asked:
        assert list(candidates.candidates()) == []
    assert len(asked) == 1


def test_one_question_finds_whatever_the_others_find(estate: Estate) -> None:
    plain, cancelled = approved(2)
    cancelled.request_cancel(by=factories.person("mira").actor(), comment="On second thought")
    with_a_wish = [plain.pk, cancelled.pk]
    assert sorted(candidates.candidates()) == sorted(candidates.of_these(with_a_wish)) == sorted(with_a_wish)


@pytest.mark.parametrize(
    "ids", ["nonsense", None, 7, {"a": 1}, [None, "1", 2.5, -1, 0, 2**63, 10**30], [10**12]]
)
def test_nonsense_is_no_hint(ids: object, runner: loop.Runner, estate: Estate) -> None:
    (action,) = approved(1)
    runner.hint(ids)
    while start(runner):
        pass
    assert order_of_attempts() == [action.pk]


def test_naming_what_nobody_allowed_does_nothing(runner: loop.Runner, estate: Estate) -> None:
    (action,) = factories.waiting_actions(1)
    runner.hint([action.pk])
    for _ in range(4):
        start(runner)
    action.refresh_from_db()
    assert (action.execution, estate.effects()) == (Execution.NONE, {})


@pytest.mark.parametrize(
    ("datagram", "named"),
    [(b"wake", []), (b"wake 7 8", [7, 8]), (b"\xff\x00 x 7", [7]), (b"", []), (b"-1 1e9 \xb2", [])],
)
def test_a_datagram_may_name_some(datagram: bytes, named: list[int]) -> None:
    assert dispatch.named_in(datagram) == named
