"""So many of each a second, for so long: page views, decisions, reports."""

import itertools
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from actioncenter.actions.enums import Decision
from actioncenter.bench.chaos.journal import FINE, Journal
from actioncenter.bench.chaos.people import PANE, ROWS, Browser, Headers, Person, poll
from actioncenter.bench.chaos.sources import Sources
from actioncenter.bench.chaos.tickets import AGAIN, HANDS, Tickets

PER_SECOND: Final[Mapping[str, int]] = {"view": 20, "decision": 5}
THOUGHT: Final = 3.0
"""Seconds between a proposal and its decision."""
POLLED: Final = ("/action-center/pending", "/action-center/pending", "/action-center/history")


@dataclass
class Load:
    """`decided` and `reported` are what was acknowledged, and so must never be lost."""

    people: Sequence[Person]
    sources: Sources
    journal: Journal
    seed: int
    decided: dict[int, Decision] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)
    _waiting: "queue.Queue[tuple[float, int]]" = field(default_factory=queue.Queue)
    _newest: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going(self) -> Iterator[None]:
        threads = [*self._pollers(), *self._hands(), threading.Thread(target=self._listen)]
        self.sources.go(self.journal.started)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            self.sources.stop()
            for thread in threads:
                thread.join()

    def _pollers(self) -> Iterator[threading.Thread]:
        for person, address in zip(self.people, itertools.cycle(POLLED), strict=False):
            yield threading.Thread(target=poll, args=(person, address, self.journal, self._over))

    def _hands(self) -> Iterator[threading.Thread]:
        work = {"view": self._view, "decision": self._decide}
        for stream, rate in PER_SECOND.items():
            tickets = Tickets(rate)
            for at in range(HANDS):
                yield threading.Thread(target=self._work, args=(tickets, work[stream], at))

    def _work(self, tickets: Tickets, do: "Callable[[int, Hand], None]", at: int) -> None:
        hand = Hand(self, at)
        while (number := tickets.next(self._over)) is not None:
            do(number, hand)

    def _view(self, number: int, hand: "Hand") -> None:
        address, headers = hand.rng.choice(_pages(self._newest, hand.rng))
        hand.browser(hand.rng.randrange(len(self.people))).get("view", address, headers)

    def _listen(self) -> None:
        for told, number, waiting in self.sources.heard():
            self.journal.tell(told)
            if number:
                self.reported.add(number)
            for action in waiting:
                self._newest = max(self._newest, action)
                self._waiting.put((time.monotonic(), action))

    def _decide(self, number: int, hand: "Hand") -> None:
        try:
            since, action = self._waiting.get_nowait()
        except queue.Empty:
            return
        if self._over.wait(max(0.0, since + THOUGHT - time.monotonic())):
            return
        verb, decision = ("reject", Decision.REJECTED) if action % 10 == 0 else ("approve", Decision.APPROVED)
        fields = {"comment": "chaos", "next": "/action-center/pending", "idempotency_key": f"chaos-{action}"}
        browser = hand.browser(number)
        while browser.post("decision", f"/action-center/actions/{action}/{verb}", fields) not in FINE:
            if self._over.wait(AGAIN):
                return
        self.decided[action] = decision


class Hand:
    """One thread with a browser for each person it plays."""

    def __init__(self, load: Load, at: int) -> None:
        self.load = load
        self.rng = random.Random(load.seed * HANDS + at)  # noqa: S311 - which page is looked at
        self._browsers: dict[int, Browser] = {}

    def browser(self, number: int) -> Browser:
        at = number % len(self.load.people)
        if at not in self._browsers:
            self._browsers[at] = Browser(self.load.people[at], self.load.journal)
        return self._browsers[at]


def _pages(newest: int, rng: random.Random) -> Sequence[tuple[str, Headers]]:
    """What people look at; the lists most of all."""
    lists: list[tuple[str, Headers]] = [("/action-center/pending", {}), ("/action-center/history", {})]
    others: list[tuple[str, Headers]] = [
        ("/", {}),
        ("/investigations/", {}),
        ("/action-center/history", ROWS),
        ("/action-center/history?q=dropper-0000", {}),
    ]
    if newest:
        address = f"/action-center/actions/{rng.randint(max(1, newest - 500), newest)}"
        others += [(address, PANE), (address, {})]
    return [*lists, *lists, *others]
