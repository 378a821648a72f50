"""Work by the clock: so many a second, however long each takes."""

import itertools
import threading
import time
from multiprocessing.synchronize import Event
from typing import Final

HANDS: Final = 8
"""Threads for each stream."""
AGAIN: Final = 1.0
"""Seconds after which something refused is sent again."""


class Tickets:
    """Numbers from 1, each when its time has come; what is late comes at once."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.started = time.monotonic()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def next(self, over: threading.Event | Event) -> int | None:
        """None when it is over."""
        with self._lock:
            number = next(self._numbers)
        due = self.started + number / self.rate
        return None if over.wait(max(0.0, due - time.monotonic())) else number
