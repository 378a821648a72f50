"""Runners that are killed and frozen at any moment while they carry out work of every shape."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from actioncenter.actions.execution.failpoints import Point
from actioncenter.web.clock import database_now
from tests.faults.harness import (
    Delivery,
    Verdict,
    Watch,
    decided,
    decided_cluster,
    estate_of,
    is_quiet,
    judged,
    until_quiet,
)
from tests.faults.harness_nursery import Nursery, Runner

LEASE = 2.0
FILES, CLUSTERS, MESSAGES = 24, 2, 12


@dataclass
class Storm:
    """Keeps `size` runners going. Some are killed or frozen from outside, some die by themselves at a point."""

    nursery: Nursery
    size: int
    rng: random.Random
    deaths: int
    freezes: int
    alive: list[Runner] = field(default_factory=list)
    frozen: dict[int, float] = field(default_factory=dict)
    """Pid -> when it wakes up."""
    died: int = 0
    slept: int = 0
    watch: Watch = field(default_factory=Watch)

    def blow(self) -> None:
        """Until it has done its worst, or there is nothing left to do."""
        while not self.is_over and not is_quiet():
            self._replace_the_dead()
            self._strike()
            time.sleep(self.rng.uniform(0.05, 0.4))
            self._wake_sleepers()
        for runner in self.alive:
            runner.thaw()
        self.alive.append(self.nursery.start(threads=4))
        self.watch.since = database_now()
        until_quiet(self.watch)
        for runner in self.alive:
            runner.stop()

    @property
    def is_over(self) -> bool:
        return self.died >= self.deaths and self.slept >= self.freezes

    def _replace_the_dead(self) -> None:
        dead = [runner for runner in self.alive if runner.has_ended]
        for runner in dead:
            runner.ended()
            self.alive.remove(runner)
            self.died += 1
        while len(self.alive) < self.size:
            self.alive.append(self.nursery.start(threads=4, failpoint=self._some_point()))

    def _some_point(self) -> str:
        if self.died >= self.deaths or self.rng.random() < 0.5:
            return ""
        return f"kill:{self.rng.choice(list(Point))}:{self.rng.randint(1, 6)}"

    def _strike(self) -> None:
        victim = self.rng.choice(self.alive)
        if victim.pid in self.frozen:
            return
        if self.slept < self.freezes and self.rng.random() < 0.5:
            victim.freeze()
            self.frozen[victim.pid] = time.monotonic() + LEASE * self.rng.uniform(1.2, 2)
            self.slept += 1
        elif self.died < self.deaths and self.rng.random() < 0.5:
            victim.kill()
            self.alive.remove(victim)
            self.died += 1

    def _wake_sleepers(self) -> None:
        now = time.monotonic()
        for runner in self.alive:
            if self.frozen.get(runner.pid, now) < now:
                runner.thaw()
                del self.frozen[runner.pid]


def storm(
    url: str, folder: Path, delivery: Delivery, *, runners: int, deaths: int, freezes: int, files: int = FILES,
    clusters: int = CLUSTERS, seed: int | None = None,
) -> tuple[Verdict, Storm]:  # fmt: skip
    estate = estate_of(folder, delivery, slow=0.2)
    decided(files)
    for _ in range(clusters):
        decided_cluster(MESSAGES)
    seed = random.randrange(10**6) if seed is None else seed
    with Nursery(url, lease=LEASE) as nursery:
        blown = Storm(nursery, runners, random.Random(seed), deaths, freezes)
        blown.blow()
    return judged(estate, delivery=delivery, watch=blown.watch), blown
