"""Several workers planning poisoned findings at the same time, each in a process of its own.

Reads {"ways": [...], "rounds": [[[evidence, ...], ...], ...]}: in every round each worker plans its
own list. All begin a round together.
"""

import json
import multiprocessing
import sys
from collections.abc import Iterable
from copy import deepcopy
from multiprocessing.synchronize import Barrier
from unittest import mock

from django.db import OperationalError, connections

from actioncenter.actions import planning
from actioncenter.settings.models import Rail, RailKey, RailUse
from actioncenter.settings.models.rails import Window

PATIENCE = 60
PART = 50
TRIES = 20


def plan(evidence: list[int], gate: Barrier) -> None:
    gate.wait(PATIENCE)
    in_parts(evidence)


def in_parts(evidence: list[int]) -> None:
    """As reports come in: a few findings at a time, again if SQLite gave others all the turns."""
    for start in range(0, len(evidence), PART):
        for left in reversed(range(TRIES)):
            try:
                planning.plan(evidence[start : start + PART])
                break
            except OperationalError:
                if not left:
                    raise


def twice(evidence: list[int], gate: Barrier) -> None:
    """As a source that repeats itself does."""
    plan(evidence, gate)
    in_parts(evidence[::-1])


def naive(evidence: list[int], gate: Barrier) -> None:
    """Count, then insert, without a lock: the mistake that the tests must be able to see."""
    counted = RailUse.windows([rail.key for rail in Rail.objects.all()])
    gate.wait(PATIENCE)

    def unlocked(keys: Iterable[RailKey]) -> dict[RailKey, Rail]:
        wanted = set(keys)
        return {rail.key: rail for rail in Rail.objects.all() if rail.key in wanted}

    def as_counted(_: Iterable[RailKey]) -> dict[RailKey, Window]:
        return deepcopy(counted)

    with (
        mock.patch.object(Rail, "hold", unlocked),
        mock.patch.object(RailUse, "windows", as_counted),
        mock.patch.object(Rail, "remember"),
    ):
        planning.plan(evidence)


WAYS = {"plan": plan, "twice": twice, "naive": naive}


def main() -> None:
    spec = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(len(spec["ways"]))

    def work(at: int, way: str) -> None:
        for batches in spec["rounds"]:
            WAYS[way](batches[at], gate)
        connections.close_all()

    # Each process opens a connection of its own: none is open before the fork.
    workers = [fork.Process(target=work, args=pair) for pair in enumerate(spec["ways"])]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    sys.stdout.write(json.dumps([each.exitcode for each in workers]))
