"""What happened when: every answer, and the seconds in which something was being restarted."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

GRACE: Final = 1.0
"""Seconds after a server answers again until the last old connection is gone."""
FINE: Final = frozenset({200, 302, 304, 409})
TIMED_OUT: Final = 0


@dataclass(frozen=True, slots=True)
class Told:
    """One request or intake. Moments are seconds of the run; `error` says what no status says."""

    stream: str
    began: float
    ended: float
    status: int
    retry_after: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    what: str
    began: float
    ended: float

    def touches(self, told: Told) -> bool:
        return told.ended >= self.began and told.began <= self.ended + GRACE


@dataclass
class Journal:
    """Written by many threads."""

    told: list[Told] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        return time.monotonic() - self.started

    def tell(self, told: Told) -> None:
        with self._lock:
            self.told.append(told)

    @contextmanager
    def restarting(self, what: str) -> Iterator[None]:
        began = self.now()
        yield
        self.restarts.append(Restart(what, began, self.now()))


def wrong(told: Sequence[Told], restarts: Sequence[Restart]) -> list[Told]:
    """What nobody should have been answered: during a restart only a calm 503 is allowed."""
    return [each for each in told if not _allowed(each, restarts)]


def _allowed(told: Told, restarts: Sequence[Restart]) -> bool:
    if told.status in FINE:
        return True
    calm = told.status == 503 and told.retry_after.isdecimal()
    return calm and any(restart.touches(told) for restart in restarts)
