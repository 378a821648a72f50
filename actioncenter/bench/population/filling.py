"""The empty, migrated database becomes the one that is measured."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.bench.population.actions import Story
from actioncenter.bench.population.loading import analyse, load
from actioncenter.bench.population.world import World, build

REPORTED_EVERY = 100_000
EVENTS, AT_ONCE = 1_000, 500
"""Audit events of the newest actions: pages only ever look at the newest few hundred."""


@dataclass(frozen=True, slots=True)
class Filled:
    world: World
    rows: int
    now: datetime
    """The newest moment of the data, in the past when pages are read."""


def fill(rows: int, *, seed: int, now: datetime, say: Callable[[str], None]) -> Filled:
    """The same rows for the same `rows`, `seed` and `now`, on either database."""
    rng = random.Random(seed)  # noqa: S311 - data, not secrets

    def progress(done: int) -> None:
        if done % REPORTED_EVERY == 0:
            say(f"  {done:,} of {rows:,} actions")

    world = build(rows, rng, now)
    load(Action, Story(world, rows, rng, now).rows(), progress)
    running = Action.objects.filter(execution=Execution.IN_PROGRESS).order_by("pk")
    Attempt.objects.bulk_create(
        Attempt(action_id=pk, runner="bench", done=pk % 10, total=10)
        for pk in running.values_list("pk", flat=True)
    )
    _note(rows)
    analyse()
    connection.close()
    return Filled(world, rows, now)


def _note(rows: int) -> None:
    by = Actor.automation()
    for first in range(max(1, rows - EVENTS + 1), rows + 1, AT_ONCE):
        actions = Action.objects.filter(pk__range=(first, first + AT_ONCE - 1)).order_by("pk")
        with transaction.atomic():
            log.record_many([action.draft(Kind.ACTION_PROPOSED, by=by) for action in actions])
