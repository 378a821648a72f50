"""Which runners are known, and which of them have not been heard of."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.actions.models import RunnerBeat

SILENT_AFTER: Final = timedelta(seconds=5)
FORGOTTEN_AFTER: Final = timedelta(days=1)
"""A runner that was lost without a word is shown, and counts, that long."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner as the database knows it; `acknowledged` is the number of the newest stop it has read."""

    name: str
    seen_at: datetime
    in_flight: int
    acknowledged: int
    unfit: str
    """Why it begins nothing, although it lives."""
    silent: bool


def known() -> list[Runner]:
    """Those that have not said goodbye."""
    silent = ExpressionWrapper(Q(seen_at__lt=Now() - SILENT_AFTER), output_field=BooleanField())
    rows = present().annotate(silent=silent).order_by("name")
    return [
        Runner(*row)
        for row in rows.values_list("name", "seen_at", "in_flight", "acknowledged", "unfit", "silent")
    ]


def present() -> "QuerySet[RunnerBeat]":
    return RunnerBeat.objects.filter(ended_at__isnull=True, seen_at__gt=Now() - FORGOTTEN_AFTER)


def silent() -> "QuerySet[RunnerBeat]":
    return present().filter(seen_at__lt=Now() - SILENT_AFTER)


def heard() -> "QuerySet[RunnerBeat]":
    return present().filter(seen_at__gte=Now() - SILENT_AFTER)


@dataclass(frozen=True, slots=True)
class RollCall:
    """Names of runners by what they have said about one stop."""

    acknowledged: tuple[str, ...]
    waited_for: tuple[str, ...]
    """Alive, but they have not read it yet."""
    silent: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.waited_for and not self.silent


def roll_call(stop: int, runners: Iterable[Runner]) -> RollCall:
    """Who has read the stop with this number. A runner that fell silent afterwards counts as silent."""
    rows = list(runners)
    heard = [row for row in rows if not row.silent]
    return RollCall(
        acknowledged=tuple(row.name for row in heard if row.acknowledged >= stop),
        waited_for=tuple(row.name for row in heard if row.acknowledged < stop),
        silent=tuple(row.name for row in rows if row.silent),
    )
