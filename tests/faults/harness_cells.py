"""One point of the runner's work, over and over: it dies or freezes there, and others go on."""

import signal
from pathlib import Path

from actioncenter.actions.execution.failpoints import Point
from actioncenter.actions.models import Attempt
from actioncenter.web.clock import database_now
from tests.faults.harness import (
    CHUNK,
    Delivery,
    Verdict,
    Watch,
    decided,
    decided_cluster,
    estate_of,
    held_now,
    is_quiet,
    judged,
    until,
)
from tests.faults.harness_nursery import Nursery

TELLING = frozenset({Point.MARKED, Point.ANSWERED})
"""Where a blind target leaves the outcome unknown: it may have been sent, and no answer is recorded."""
LEASE = 3.0
SPARE = 2
"""Actions that nobody dies of."""


def deaths(
    url: str, folder: Path, delivery: Delivery, points: list[Point], *, times: int, plant: str = ""
) -> Verdict:
    """A runner kills itself at each point so many times; then one lives until all is done."""
    estate = estate_of(folder, delivery)
    decided(times * len(points) + SPARE)
    with Nursery(url, lease=LEASE) as nursery:
        for point in points:
            for _ in range(times):
                dying = nursery.start(failpoint=f"kill:{point}", plant=plant)
                assert dying.ended() == -signal.SIGKILL
        last = nursery.start(threads=4, plant=plant)
        watch = Watch()
        until(watch.sees_quiet, "it never became quiet")
        assert last.stop() == 0
    return judged(estate, delivery=delivery, watch=watch)


def freezes(
    url: str, folder: Path, delivery: Delivery, points: list[Point], *, rounds: int = 1, plant: str = ""
) -> Verdict:
    """Each round, one runner freezes at each point; another takes everything over; then they wake up."""
    estate, watch = estate_of(folder, delivery), Watch()
    with Nursery(url, lease=LEASE) as nursery:
        for _ in range(rounds):
            _one_round(nursery, points, plant, watch)
    return judged(estate, delivery=delivery, watch=watch)


def _one_round(nursery: Nursery, points: list[Point], plant: str, watch: Watch) -> None:
    decided(len(points))
    frozen = [nursery.start(failpoint=f"freeze:{point}", plant=plant) for point in points]
    for runner in frozen:
        runner.frozen()
    names = {f":{runner.pid}" for runner in frozen}
    other = nursery.start(threads=4)
    watch.since = database_now()
    until(lambda: watch.sees_quiet() and not held_by(names), "nobody took over what the frozen ones held")
    for runner in frozen:
        runner.thaw()
    # Whatever they were at is ended first, so anything that they would send is sent by now.
    assert [runner.stop() for runner in [*frozen, other]] == [0] * (len(frozen) + 1)


def held_by(names: set[str]) -> list[Attempt]:
    """Open attempts of runners whose names end so."""
    return [attempt for attempt in held_now() if attempt.runner[attempt.runner.rindex(":") :] in names]


def woken_in_between(url: str, folder: Path, *, plant: str = "") -> Verdict:
    """A runner sleeps on an answer about some of many messages, and wakes while another is further on."""
    estate = estate_of(folder, Delivery.QUERYABLE)
    decided_cluster(3 * CHUNK)
    with Nursery(url, lease=LEASE) as nursery:
        first = nursery.start(failpoint=f"freeze:{Point.ANSWERED}", plant=plant)
        first.frozen()
        # It asks what became of the first messages, then sends the next ones.
        second = nursery.start(failpoint=f"freeze:{Point.ANSWERED}:2", plant=plant)
        second.frozen()
        first.thaw()
        until(is_quiet, "it never became quiet")
        second.thaw()
        assert [first.stop(), second.stop()] == [0, 0]
    return judged(estate, delivery=Delivery.QUERYABLE)
