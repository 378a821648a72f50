"""What the benchmark `chaos` would call an error, lost or doubled: each of them is planted once."""

from collections import Counter
from pathlib import Path

import pytest

from actioncenter.actions.enums import Decision
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action
from actioncenter.bench.chaos import intakes, judging
from actioncenter.bench.chaos.journal import Journal, Restart, Told, wrong
from actioncenter.bench.chaos.load import Load
from actioncenter.bench.chaos.sources import Sources
from actioncenter.bench.chaos.usage import growth
from actioncenter.bench.report import Report
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import simulated

RESTART = Restart("the database", 10.0, 13.0)


@pytest.mark.parametrize(
    ("status", "retry_after", "at", "is_wrong"),
    [
        (200, "", 5.0, False),
        (409, "", 5.0, False),
        (503, "5", 5.0, True),
        (503, "5", 11.0, False),
        (503, "5", 13.5, False),
        (503, "5", 15.0, True),
        (503, "", 11.0, True),
        (500, "5", 11.0, True),
        (404, "", 5.0, True),
        (0, "", 11.0, True),
    ],
)
def test_only_a_calm_answer_while_something_is_restarted_is_no_error(
    status: int, retry_after: str, at: float, is_wrong: bool
) -> None:
    told = Told("view", at, at + 0.2, status, retry_after)
    assert wrong([told], [RESTART]) == ([told] if is_wrong else [])


def test_what_was_begun_before_a_restart_may_end_in_it() -> None:
    assert wrong([Told("view", 8.0, 10.5, 503, "5")], [RESTART]) == []


@pytest.fixture
def load(db: None, tmp_path: Path) -> Load:
    """Five reports: the first four approved and carried out, the last one rejected."""
    estate = simulated(tmp_path)
    intakes.set_level()
    load = Load([], Sources(), Journal(), 1)
    by = factories.person("mira").actor()
    for number in range(1, 6):
        told, waiting = intakes.report(number, began=0.0)
        assert told.status == 200
        assert waiting
        load.reported.add(number)
        decide = (
            Action.objects.get(pk=waiting[0]).reject
            if number == 5
            else Action.objects.get(pk=waiting[0]).approve
        )
        load.decided[waiting[0]] = Decision(decide(by=by, comment="chaos").decision)
    loop.drain(by=RUNNER)
    load.estate = estate  # type: ignore[attr-defined]
    return load


def effects(load: Load) -> Counter[str]:
    return judging.effects_of(load.estate)  # type: ignore[attr-defined]


def test_a_good_run_has_lost_and_doubled_nothing(load: Load) -> None:
    assert len(effects(load)) == 4
    assert judging.lost(load, effects(load)) == []
    assert judging.doubled(effects(load)) == []


def test_what_is_lost_is_named(load: Load) -> None:
    found = effects(load)
    first, *_, last = sorted(load.decided)
    load.reported.add(99)
    load.decided[last] = Decision.APPROVED
    found.pop(str(Action.objects.get(pk=first).targets.get().pk))
    assert judging.lost(load, found) == [
        "report 99 has no action",
        f"A-{last} is not APPROVED",
        f"A-{first} is said to have succeeded without an effect",
    ]


def test_what_never_ended_is_lost(load: Load) -> None:
    (waiting,) = factories.waiting_actions(1)
    pk = waiting.approve(by=factories.person("noa").actor()).pk
    assert judging.lost(load, effects(load)) == [f"A-{pk} ended as QUEUED"]


def test_what_is_doubled_is_named(load: Load) -> None:
    found = effects(load)
    first, *_, last = sorted(load.decided)
    twice = str(Action.objects.get(pk=first).targets.get().pk)
    rejected = str(Action.objects.get(pk=last).targets.get().pk)
    found[twice] += 1
    found[rejected] += 1
    assert judging.doubled(found) == [
        f"target {twice} was acted on 2 times",
        f"target {rejected} was acted on, but nobody allowed it",
    ]


def test_memory_grows_as_much_as_the_worst_process() -> None:
    assert growth({"web": (100.0, 105.0), "worker": (100.0, 120.0)}) == pytest.approx(0.2)
    assert growth({"web": (0.0, 50.0)}) == 0.0


def test_targets_hold_for_any_length_but_those_of_memory_and_load() -> None:
    ratios = {
        "errors_outside_restarts": 0,
        "lost": 0,
        "doubled": 0,
        "memory_growth": 0.05,
        "load_reached": 1.0,
    }
    assert Report("chaos", 2, "postgres", ratios).held is True
    assert Report("chaos", 30, "postgres", ratios).held is True
    for worse in ({"memory_growth": 0.5}, {"load_reached": 0.4}):
        assert Report("chaos", 2, "postgres", {**ratios, **worse}).held is True
        assert Report("chaos", 30, "postgres", {**ratios, **worse}).held is False
    assert Report("chaos", 2, "postgres", {**ratios, "lost": 1}).held is False
