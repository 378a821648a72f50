"""How actions were decided and what became of them, in figures: what ended in a period, for whoever may see it.

Everything is counted by the database in one statement, over what ended last, up to so many. A percentile is the
nearest rank: the shortest span that so many in a hundred didn't exceed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    DateTimeField,
    F,
    Func,
    Q,
    QuerySet,
    SmallIntegerField,
    Value,
    When,
)
from django.db.models.sql.compiler import SQLCompiler

from actioncenter.actions.enums import Decision, Execution, Source
from actioncenter.actions.models import Action
from actioncenter.actions.queries.criteria import UNDONE
from actioncenter.actions.queries.raw import stamp
from actioncenter.settings.access import Scope, within
from actioncenter.web.keyset import compiled
from actioncenter.web.statements import rows_of

COUNTED: Final = 100_000
"""Actions at most. A report looks at no more, and says so."""
REGRET: Final = timedelta(days=7)
OTHERS: Final = 0
"""The key of everybody else where somebody may not see the figures of single people."""
DONE: Final = (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)
BY_PEOPLE: Final = Q(decision__in=[Decision.APPROVED, Decision.REJECTED])
MOST_STEPS: Final = 31
UTC: Final = ZoneInfo("UTC")
AUTOMATIC: Final = 0
"""In the column `how`, which else is the decision: nobody was asked, and nobody asked for it."""
HOWS: Final = (
    AUTOMATIC, Decision.NOT_REQUIRED, Decision.APPROVED, Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN,
)  # fmt: skip


class By(StrEnum):
    """What figures can be split by."""

    TYPE = "type"
    GROUP = "group"
    PERSON = "person"
    STEP = "time"
    """Parts of the period, all of one length, by their number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What ended from `since` until just before `until`. `me` is told apart; everybody is with `each_person`."""

    scope: Scope
    since: datetime
    until: datetime
    me: int
    each_person: bool = False
    group: int | None = None
    zone: ZoneInfo = UTC

    @property
    def step(self) -> timedelta:
        """Whole days, so that about thirty make up the period."""
        return timedelta(days=max(1, ceil((self.until - self.since) / MOST_STEPS / timedelta(days=1))))

    @property
    def steps(self) -> int:
        return ceil((self.until - self.since) / self.step)

    def narrowed(self, since: datetime) -> QuerySet[Action]:
        """What ended, the newest first. What takes something back counts with what it took back."""
        rows = Action.objects.filter(history_at__gte=since, history_at__lt=self.until, undo_of__isnull=True)
        if self.group is not None:
            rows = rows.filter(group=self.group)
        return within(rows, self.scope).exclude(source=Source.TIMER).order_by("-history_at", "-id")


class Times(NamedTuple):
    """Seconds; None where nothing was measured."""

    half: int | None
    most: int | None
    """What 95 in a hundred didn't exceed."""


class Counts(NamedTuple):
    """`automatic` and `by_hand` ran without anybody being asked; the last three are among what was done."""

    ended: int
    automatic: int
    by_hand: int
    approved: int
    rejected: int
    expired: int
    withdrawn: int
    done: int
    undone: int
    regretted: int

    @property
    def waited(self) -> int:
        """For a person's decision, in vain or not."""
        return self.approved + self.rejected + self.expired + self.withdrawn

    @property
    def decided(self) -> int:
        return self.approved + self.rejected


@dataclass(frozen=True, slots=True)
class Figures:
    """Of everything (`by` is None), or of one type, group or person: the number in `key`, 0 for none."""

    by: By | None
    key: int
    name: str
    counts: Counts
    decide: Times
    remedy: Times
    oldest: datetime | None

    @property
    def capped(self) -> bool:
        return self.counts.ended >= COUNTED


class Seconds(Func):
    """Whole seconds from one moment to another."""

    def __init__(self, begin: Any, end: Any) -> None:
        super().__init__(begin, end, output_field=BigIntegerField())

    def as_sql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        end, begin, params = self._compiled(compiler)
        return f"CAST(ROUND((JULIANDAY({end}) - JULIANDAY({begin})) * 86400) AS integer)", params

    def as_postgresql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        end, begin, params = self._compiled(compiler)
        return f"ROUND(EXTRACT(EPOCH FROM {end} - {begin}))::bigint", params

    def _compiled(self, compiler: SQLCompiler) -> tuple[str, str, tuple[Any, ...]]:
        (begin, first), (end, last) = map(compiler.compile, self.get_source_expressions())
        return end, begin, (*last, *first)


def flag(condition: Q) -> Case:
    """1 where that holds, else 0."""
    return Case(When(condition, then=Value(1)), default=Value(0), output_field=SmallIntegerField())


def _span(begin: str, end: str, condition: Q) -> Case:
    return Case(When(condition, then=Seconds(F(begin), F(end))), output_field=BigIntegerField())


WAS_DONE: Final = Q(execution__in=DONE)
UNDONE_BY_PEOPLE: Final = Q(undone_by__execution__in=UNDONE) & ~Q(undone_by__source=Source.TIMER) & WAS_DONE
COLUMNS: Final[Mapping[str, Any]] = {
    "type": F("type"),
    "grp": F("group_id"),
    "group_name": F("group_name"),
    "person": Case(When(BY_PEOPLE, then=F("decided_by_id"))),
    "person_name": Case(When(BY_PEOPLE, then=F("decided_by_name")), default=Value(""), output_field=CharField()),
    "how": Case(
        When(decision=Decision.NOT_REQUIRED, requested_by__isnull=True, then=Value(AUTOMATIC)),
        default=F("decision"), output_field=SmallIntegerField(),
    ),
    "done": flag(WAS_DONE),
    "undone": flag(UNDONE_BY_PEOPLE),
    "undo_s": _span("history_at", "undone_by__created_at", UNDONE_BY_PEOPLE),
    "decide_s": _span("created_at", "decided_at", BY_PEOPLE),
    "remedy_s": _span("created_at", "history_at", WAS_DONE),
    "ended": F("history_at"),
}  # fmt: skip
"""Of the rows that are counted. Deciding and doing are measured from when an action was proposed."""


def figures(asked: Asked, splits: Sequence[By]) -> list[Figures]:
    """Of everything first, then of each type, group and person that `splits` asks for; empty where nothing ended."""
    since = Seconds(Value(asked.since, output_field=DateTimeField()), F("history_at"))
    columns = {**COLUMNS, "since_s": since}
    rows = asked.narrowed(asked.since).annotate(**{f"out_{name}": made for name, made in columns.items()})
    ended = compiled(rows.values_list(*(f"out_{name}" for name in columns))[:COUNTED])
    if ended is None:
        return []
    sql, params = ended
    # What is joined is ours: compiled by Django, or constants and numbers.
    parts = [_part(None, "0", "''", "1 = 1"), *(_part(by, *_keys(by, asked)) for by in splits)]
    statement = f"WITH counted ({', '.join(columns)}) AS MATERIALIZED ({sql}) {' UNION ALL '.join(parts)}"
    found = [_figures(row) for row in rows_of((statement, params))]
    return [each for each in found if each.counts.ended]


def _keys(by: By, asked: Asked) -> tuple[str, str, str]:
    """Key, name and condition of the rows that count there."""
    if by is By.TYPE:
        return "type", "''", "1 = 1"
    if by is By.GROUP:
        return "COALESCE(grp, 0)", "MAX(CASE WHEN grp IS NULL THEN '' ELSE group_name END)", "1 = 1"
    if by is By.STEP:
        return f"since_s / {int(asked.step.total_seconds()):d}", "''", "1 = 1"
    if asked.each_person:
        return "COALESCE(person, 0)", "MAX(person_name)", "decide_s IS NOT NULL"
    return f"CASE person WHEN {asked.me:d} THEN {asked.me:d} ELSE {OTHERS} END", "''", "decide_s IS NOT NULL"


def _part(by: By | None, key: str, name: str, condition: str) -> str:
    """One row for each key."""
    hows = ", ".join(f"COUNT(CASE WHEN how = {how:d} THEN 1 END)" for how in HOWS)
    regret = int(REGRET.total_seconds())
    counts = (
        f"SELECT '{by or ''}' AS split, {key} AS k, {name}, COUNT(*), {hows}, SUM(done), SUM(undone),"  # noqa: S608 - constants
        f" COUNT(CASE WHEN undo_s <= {regret} THEN 1 END), CAST(MIN(ended) AS text)"
        f" FROM counted WHERE {condition}{f' GROUP BY {key}' if by else ''}"
    )
    return (
        f"SELECT c.*, d.half, d.most, r.half, r.most FROM ({counts}) AS c"  # noqa: S608 - constants
        f" LEFT JOIN ({_times('decide_s', key, condition)}) AS d ON d.k = c.k"
        f" LEFT JOIN ({_times('remedy_s', key, condition)}) AS r ON r.k = c.k"
    )


def _times(span: str, key: str, condition: str) -> str:
    """Half and most by key. CUME_DIST says how large a part didn't take longer."""
    ranked = (
        f"SELECT {key} AS k, {span} AS s, CUME_DIST() OVER (PARTITION BY {key} ORDER BY {span}) AS part"  # noqa: S608 - constants
        f" FROM counted WHERE {condition} AND {span} IS NOT NULL"
    )
    half, most = (f"MIN(CASE WHEN part >= {part} THEN s END)" for part in ("0.5", "0.95"))
    return f"SELECT k, {half} AS half, {most} AS most FROM ({ranked}) AS ranked GROUP BY k"  # noqa: S608


def _figures(row: Sequence[Any]) -> Figures:
    by, key, name, *numbers = row
    *counts, oldest, half, most, remedy_half, remedy_most = numbers
    return Figures(
        By(by) if by else None,
        key,
        name,
        Counts._make(int(count or 0) for count in counts),
        Times(half, most),
        Times(remedy_half, remedy_most),
        stamp(oldest),
    )
