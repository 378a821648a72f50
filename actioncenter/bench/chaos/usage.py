"""Memory of each process from early in a run to its end, and the CPU time that each part took."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from actioncenter.bench.processes import cpu_seconds, family, memory_of

EVERY: Final = 2.0
EARLY: Final = (0.1, 0.25)
LATE: Final = (0.85, 1.0)
"""Shares of the run: after everything was used once, and its end."""
Held = Mapping[str, tuple[float, float]]
"""Bytes by process, early and late."""
Roots = Callable[[], Mapping[str, int]]
"""The process of each part now; a part that isn't there is left out."""


@dataclass
class Usage:
    """Of each part with everything it started."""

    roots: Roots
    now: Callable[[], float]
    samples: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    _cpu: dict[tuple[str, int], float] = field(default_factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(EVERY):
            for name, root in self.roots().items():
                pids = list(family(root))
                for pid in pids:
                    spent = cpu_seconds(pid)
                    self._cpu[name, pid] = max(spent, self._cpu.get((name, pid), 0.0))
                self.samples[name].append((self.now(), memory_of(pids)))

    def memory(self, length: float) -> Held:
        """Median bytes of each part, early and late."""
        return {
            name: (_between(held, EARLY, length), _between(held, LATE, length))
            for name, held in sorted(self.samples.items())
        }

    def cpu_seconds(self) -> Mapping[str, float]:
        """What each part took, but for the last moments of what was killed."""
        spent: dict[str, float] = defaultdict(float)
        for (name, _), seconds in self._cpu.items():
            spent[name] += seconds
        return spent


def growth(table: Held) -> float:
    """Of the process that grew most, as a share of what it held."""
    grown = [late / early - 1 for early, late in table.values() if early and late]
    return max(grown, default=0.0)


def _between(samples: Sequence[tuple[float, int]], shares: tuple[float, float], length: float) -> float:
    low, high = (share * length for share in shares)
    return median([held for at, held in samples if held and low <= at <= high] or [0])
