"""People who decide at the same time, each in a process of their own."""

import multiprocessing
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any, Final

from django.db import DatabaseError, connections

from actioncenter.accounts.models import User
from actioncenter.actions.models import Action, Conflict
from actioncenter.bench.decide.bulk import AT_ONCE
from actioncenter.bench.visiting import Visitor

PATIENCE: Final = 120
"""Seconds until somebody who doesn't come breaks up the meeting."""
BESIDE_LIST: Final = "aside#pane"
Answer = tuple[int, int, float]
"""Number of the action, status, milliseconds."""


def overlapping(numbers: Sequence[int], people: Sequence[User], rng: random.Random) -> tuple[int, int]:
    """How many chunks were aborted, and how many actions approved other than once, of those touched."""
    share = len(numbers) // AT_ONCE or 1
    size = min(AT_ONCE, len(numbers))
    drawn = [[rng.sample(numbers, size) for _ in range(share)] for _ in people]

    def approve(at: int, gate: Barrier) -> Iterator[tuple[int, int]]:
        by = people[at].actor()
        for chunk in drawn[at]:
            gate.wait(PATIENCE)
            try:
                told = Action.objects.approve_many(chunk, by=by, comment="bench")
            except (DatabaseError, Conflict):
                yield 0, 1
            else:
                yield from ((row.number, 0) for row in told if row.ok)

    told = at_once(approve, len(people))
    touched = {number for chosen in drawn for chunk in chosen for number in chunk}
    won = Counter(number for number, _ in told if number)
    return sum(aborted for _, aborted in told), sum(won[number] != 1 for number in touched)


def hold_contest(numbers: Sequence[int], people: Sequence[User]) -> list[Answer]:
    """Everybody approves each action at the same moment."""
    visitors = [Visitor.signed_in(person) for person in people]
    for visitor in visitors:
        visitor.get("/action-center/pending")

    def approve(at: int, gate: Barrier) -> Iterator[Answer]:
        for number in numbers:
            fields = {
                "comment": "bench",
                "next": "/action-center/pending",
                "idempotency_key": f"{at}-{number}",
            }
            gate.wait(PATIENCE)
            began = time.perf_counter()
            address = f"/action-center/actions/{number}/approve"
            answer = visitors[at].post(address, fields, into=BESIDE_LIST)
            yield number, answer.status, (time.perf_counter() - began) * 1000

    return at_once(approve, len(people))


def at_once(play: Callable[[int, Barrier], Iterator[Any]], people: int) -> list[Any]:
    """What all of them gave. Raises RuntimeError when one of them broke."""
    fork = multiprocessing.get_context("fork")
    gate, results = fork.Barrier(people), fork.SimpleQueue()

    def work(at: int) -> None:
        try:
            results.put((list(play(at, gate)), ""))
        except Exception:  # noqa: BLE001 - whatever it is, nobody must wait for this one
            gate.abort()
            results.put(([], traceback.format_exc()))
        connections.close_all()

    # Each opens a connection of its own: none is open at the fork.
    connections.close_all()
    processes = [fork.Process(target=work, args=(at,)) for at in range(people)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    for _, broken in found:
        if broken:
            raise RuntimeError(broken)
    return [one for part, _ in found for one in part]
