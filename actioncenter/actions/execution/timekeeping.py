"""Whether the database's clock has jumped lately: then no lease tells whether somebody is still at work."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from actioncenter.web.clock import database_now

OFTEN: Final = 1.0
"""Seconds between two looks when nobody asks."""


class Timekeeper:
    """Compares the database's clock with one that never jumps. Safe over threads.

    A call that was sent before a jump ends within a lease of real time, as every call does. Until then
    nobody may take it for lost: what a target can only be asked about would be sent twice.
    """

    def __init__(self, lease: timedelta, *, now: Callable[[], datetime] = database_now) -> None:
        self._lease = lease.total_seconds()
        self._now = now
        self._seen: tuple[float, float] | None = None
        self._looked = self._jumped = float("-inf")
        self._lock = threading.Lock()

    def look(self) -> None:
        """Now and then, so that a jump is measured from shortly before it."""
        if time.monotonic() - self._looked >= OFTEN:
            self.is_steady()

    def is_steady(self) -> bool:
        """Whether it has gone evenly for as long as a lease lasts; asks the database."""
        with self._lock:
            before = time.monotonic()
            said = self._now().timestamp()
            self._looked = after = time.monotonic()
            # How far apart both are, at least and at most: the answer may have taken long.
            least, most = said - after, said - before
            if self._seen is not None:
                was_least, was_most = self._seen
                if max(least - was_most, was_least - most) > self._lease / 10:
                    self._jumped = after
            self._seen = least, most
            return after - self._jumped > self._lease
