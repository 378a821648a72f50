"""The reporting sources: a process of its own, so that a busy client holds up no transaction."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from django.db import connections

from actioncenter.bench.chaos import intakes
from actioncenter.bench.chaos.journal import Told
from actioncenter.bench.chaos.tickets import AGAIN, HANDS, Tickets

PER_SECOND: Final = 5
FORK: Final = multiprocessing.get_context("fork")


class Reported(NamedTuple):
    """One try. `number` is that of the report once it was acknowledged; `waiting` are its actions."""

    told: Told
    number: int
    waiting: list[int]


class Sources:
    """Begin before any thread is started, and before the clock: `go` starts both."""

    def __init__(self) -> None:
        self._reports = FORK.SimpleQueue()
        self._began = FORK.Value("d", 0.0)
        self._go, self._over = FORK.Event(), FORK.Event()

    @contextmanager
    def ready(self) -> Iterator[None]:
        # Nothing open may be shared with the new process.
        connections.close_all()
        process = FORK.Process(target=self._work)
        process.start()
        try:
            yield
        finally:
            self._over.set()
            self._go.set()
            process.join()

    def go(self, began: float) -> None:
        self._began.value = began
        self._go.set()

    def stop(self) -> None:
        self._over.set()

    def heard(self) -> Iterator[Reported]:
        """Until the process has ended everything it was at."""
        while (reported := self._reports.get()) is not None:
            yield reported

    def _work(self) -> None:
        self._go.wait()
        tickets = Tickets(PER_SECOND)
        hands = [threading.Thread(target=self._report, args=(tickets,)) for _ in range(HANDS)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        self._reports.put(None)

    def _report(self, tickets: Tickets) -> None:
        while (number := tickets.next(self._over)) is not None:
            while not self._sent(number) and not self._over.wait(AGAIN):
                pass
        connections.close_all()

    def _sent(self, number: int) -> bool:
        told, waiting = intakes.report(number, began=self._began.value)
        taken = waiting is not None
        self._reports.put(Reported(told, number if taken else 0, waiting or []))
        return taken
