"""CPU time of this process and the database process that works for it, taken in turns.

Wall time measures the neighbours. Every variant runs once per round in a new order, so that what
the machine does meanwhile hits all of them alike; medians are compared.
"""

import gc
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

from django.db import connection

NANO_IN_MILLI = 1_000_000


class CpuClock:
    """Nanoseconds on a CPU since the processes began."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        # What clock_getcpuclockid(3) returns: the kernel's exact clock of another process.
        self.clocks = [(~pid << 3) | 2 for pid in pids]

    @classmethod
    def with_backends(cls, pids: Sequence[int]) -> Self:
        """Include those PostgreSQL processes; ones on another machine can't be read and count nothing."""
        return cls([pid for pid in pids if _is_postgres(pid)])

    def now(self) -> int:
        return time.process_time_ns() + sum(map(time.clock_gettime_ns, self.clocks))


def backend_of_django() -> list[int]:
    """The process id of the default connection's PostgreSQL backend; none on SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return [int(cursor.fetchone()[0])]


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("postgres")
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs `times` in every `every`th round: quick ones are repeated, slow ones spared."""

    case: str
    who: str
    run: Callable[[], object]
    times: int = 1
    every: int = 1

    @property
    def key(self) -> tuple[str, str]:
        return self.case, self.who


Times = Mapping[tuple[str, str], float]
"""Median CPU milliseconds by case and who."""


def interleave(variants: Sequence[Variant], clock: CpuClock, *, rounds: int, rng: random.Random) -> Times:
    taken: dict[tuple[str, str], list[int]] = {variant.key: [] for variant in variants}
    for variant in variants:
        variant.run()
    gc.collect()
    gc.freeze()
    for turn in range(rounds):
        for variant in rng.sample(list(variants), len(variants)):
            if turn % variant.every == 0:
                taken[variant.key] += [cost(variant.run, clock) for _ in range(variant.times)]
    gc.unfreeze()
    return {key: median(values) / NANO_IN_MILLI for key, values in taken.items()}


def cost(run: Callable[[], object], clock: CpuClock) -> int:
    """CPU nanoseconds of one call."""
    before = clock.now()
    run()
    return clock.now() - before


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values don't exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
