"""The threads of a runner, and how they are shared out so that one slow connector delays no other."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LOOKS: Final = 6
"""How often a call is seen at work at least before it is let go."""


@dataclass(eq=False)
class Task:
    """A claimed piece of work for a connector instance; `leave` says whether it is waited for no longer."""

    instance_id: int | None
    do: Callable[[], None]
    leave: Callable[[], bool]
    is_new: bool = False
    waited: float = 0.0
    """Seconds for which it has been seen at work: a runner that was frozen itself blames nobody."""
    left: bool = False

    def __call__(self) -> None:
        self.do()


class Crew:
    """Who works at what. Safe over threads.

    No instance holds more threads than are free. Of sixteen one gets eight, a second one four, so that
    calls that hang leave room for others, and what is left behind takes no more than as many again.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._tasks: set[Task] = set()
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._tasks)

    @property
    def free(self) -> int:
        with self._lock:
            return self._free()

    def busy(self) -> frozenset[int]:
        """Instances that get no further thread now."""
        with self._lock:
            held = Counter(task.instance_id for task in self._tasks)
            return frozenset(pk for pk, number in held.items() if pk is not None and number >= self._free())

    def add(self, task: Task) -> None:
        with self._lock:
            self._tasks.add(task)

    def remove(self, task: Task) -> None:
        with self._lock:
            self._tasks.discard(task)

    def leave_what_hangs(self, seconds: float) -> None:
        """Let go of calls that have been at work that long, if their leases are over."""
        with self._lock:
            now = time.monotonic()
            passed = min(now - self._looked, max(seconds, 0.0) / LOOKS)
            self._looked = now
            for task in self._tasks:
                task.waited += passed
            old = [task for task in self._tasks if not task.left and task.waited > seconds]
            room = self.threads - sum(task.left for task in self._tasks)
        for task in old[: max(room, 0)]:
            if task.leave():
                task.left = True

    def _free(self) -> int:
        return self.threads - sum(not task.left for task in self._tasks)
