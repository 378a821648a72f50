"""One slow connector delays no other, and what hangs is left, asked for later, and never called failed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings

from actioncenter.actions.enums import Execution, TargetState
from actioncenter.actions.execution.crew import Crew, Task
from actioncenter.actions.models import Action, Attempt
from tests.actions.connecting import connector, decided, effects, fresh
from tests.actions.hanging_runner import THREADS
from tests.actions.stopping import PATIENCE, beat_of, environment, until

LONG = 60.0


@contextmanager
def hanging(
    url: str, name: str, *, lease: float = LONG, plant: bool = False
) -> "Iterator[Callable[[], None]]":
    """A runner whose calls to that connector hang; gives what lets them go on."""
    start = "import django; django.setup(); from tests.actions.hanging_runner import main; main()"
    spec = json.dumps({"hangs": name, "lease": lease, "plant": plant})
    process = subprocess.Popen(
        [sys.executable, "-c", start, spec], env=environment(url), cwd=settings.BASE_DIR
    )
    try:
        until(lambda: beat_of(process) or process.poll() is not None)
        assert process.returncode is None, "the runner broke"
        yield lambda: process.send_signal(signal.SIGUSR1)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(PATIENCE)


def executions(actions: list[Action]) -> set[Execution]:
    return {Execution(action.execution) for action in fresh(actions)}


def test_work_for_another_connector_starts_at_once(shared_database: str, tmp_path: Path) -> None:
    slow, quick = connector(tmp_path, "Slow"), connector(tmp_path, "Quick")
    stuck = decided(slow, 2 * THREADS)
    with hanging(shared_database, "Slow") as let_go:
        until(lambda: Attempt.objects.filter(instance=slow).count() == THREADS // 2, "it never began")
        others = decided(quick, 3)
        until(lambda: executions(others) == {Execution.SUCCEEDED}, "a slow connector held up another")
        assert Attempt.objects.filter(instance=slow).count() == THREADS // 2
        assert effects(slow) == 0
        let_go()
        until(lambda: executions(stuck) == {Execution.SUCCEEDED}, "what hung was lost")
    assert effects(slow) == len(stuck)


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_first_come_first_served_is_seen_to_fail(shared_database: str, tmp_path: Path) -> None:
    slow, quick = connector(tmp_path, "Slow"), connector(tmp_path, "Quick")
    decided(slow, 2 * THREADS)
    others = decided(quick)
    with hanging(shared_database, "Slow", plant=True):
        until(lambda: Attempt.objects.filter(instance=slow).count() == THREADS, "it took fewer threads")
        assert executions(others) == {Execution.QUEUED}


def test_a_call_that_hangs_is_left_and_its_outcome_found_out(shared_database: str, tmp_path: Path) -> None:
    slow = connector(tmp_path, "Slow")
    (action,) = decided(slow)
    with hanging(shared_database, "Slow", lease=2.0) as let_go:
        until(lambda: executions([action]) == {Execution.OUTCOME_UNKNOWN}, "nobody left it")
        target = action.targets.get()
        assert (target.state, target.error) == (
            TargetState.UNKNOWN,
            "No answer came within the time of one call.",
        )
        assert action in Action.objects.needs_a_look()
        let_go()
        until(lambda: executions([action]) == {Execution.SUCCEEDED}, "it was never asked again")
    assert effects(slow) == 1
    assert action.attempts.count() == 1


# How threads are shared out


def task(instance: int, left: bool = False) -> Task:
    made = Task(instance, do=lambda: None, leave=lambda: True)
    made.left = left
    return made


def filled(crew: Crew, instance: int) -> int:
    """How many threads it gets."""
    number = 0
    while crew.free and instance not in crew.busy():
        crew.add(task(instance))
        number += 1
    return number


def test_no_connector_takes_the_last_threads() -> None:
    crew = Crew(16)
    assert [filled(crew, instance) for instance in range(1, 6)] == [8, 4, 2, 1, 1]
    assert crew.free == 0


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_somebody_always_works(threads: int) -> None:
    assert filled(Crew(threads), 1) == (threads + 1) // 2


def test_what_was_left_frees_its_thread_but_counts_for_its_connector() -> None:
    crew = Crew(4)
    assert filled(crew, 1) == 2
    crew.leave_what_hangs(seconds=-1)
    assert crew.free == 4
    assert filled(crew, 2) == 2
    assert 1 in crew.busy()


def test_what_still_has_time_is_not_left() -> None:
    crew = Crew(4)
    crew.add(task(1))
    crew.leave_what_hangs(seconds=60)
    assert crew.free == 3
    crew.add(Task(1, do=lambda: None, leave=lambda: False))
    crew.leave_what_hangs(seconds=-1)
    assert crew.free == 3


def test_a_runner_that_was_frozen_itself_blames_nobody() -> None:
    """However much time has passed, it was not there to see a call hang."""
    crew = Crew(4)
    crew.add(task(1))
    crew._looked -= 3600
    for _ in range(5):
        crew.leave_what_hangs(seconds=60)
        assert crew.free == 3
        crew._looked -= 3600
    crew.leave_what_hangs(seconds=60)
    crew._looked -= 3600
    crew.leave_what_hangs(seconds=60)
    assert crew.free == 4


def test_no_more_is_left_behind_than_there_are_threads() -> None:
    crew = Crew(2)
    for instance in range(6):
        crew.add(task(instance, left=instance < 2))
    assert crew.free == -2
    crew.leave_what_hangs(seconds=-1)
    assert crew.free == -2


def test_who_is_done_makes_room() -> None:
    crew, first = Crew(2), task(1)
    crew.add(first)
    assert len(crew) == 1
    crew.remove(first)
    assert (len(crew), crew.free) == (0, 2)
