"""Approvals that came faster than anybody reads, counted for a team and for oneself, never for somebody else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat

from actioncenter.actions.enums import Choice
from actioncenter.actions.queries.reports import Asked, Seconds, flag
from actioncenter.auditor.models import PageView
from actioncenter.web.keyset import compiled
from actioncenter.web.statements import rows_of

COUNTED: Final = 20_000
"""Votes at most."""
KEPT: Final = timedelta(days=90)
"""Signals are about people: what is older isn't looked at."""
TEAM: Final = 5
"""People. Of fewer a figure would tell what single ones did."""
READING: Final = 10
"""Seconds that the shortest pane takes at ten words each, twice as many as fast readers manage."""
WAYS: Final = (
    "1",
    f"CASE WHEN opened_s < {READING} THEN 1 ELSE 0 END",
    "CASE WHEN opened_s IS NULL AND bulk = 0 THEN 1 ELSE 0 END",
    "CASE WHEN opened_s IS NULL AND bulk = 1 THEN 1 ELSE 0 END",
)


@dataclass(frozen=True, slots=True)
class Hasty:
    """Approvals by `people`, and which of them came faster than reading."""

    people: int = 0
    approvals: int = 0
    quick: int = 0
    """Less than READING after this person first opened it."""
    unopened: int = 0
    in_bulk: int = 0
    """Unopened too, but ticked in a list."""

    @property
    def total(self) -> int:
        return self.quick + self.unopened + self.in_bulk


def hasty(asked: Asked, now: datetime) -> tuple[Hasty, Hasty]:
    """The person's own approvals, and those of everybody together, of the last 90 days within the period."""
    cast = compiled(_approvals(asked, max(asked.since, now - KEPT)))
    if cast is None:
        return Hasty(), Hasty()
    sql, params = cast
    counts = ", ".join(f"SUM({way}), SUM(CASE WHEN mine = 1 THEN {way} ELSE 0 END)" for way in WAYS)
    statement = (
        f"WITH votes_cast (person, mine, bulk, opened_s) AS ({sql})"  # noqa: S608 - compiled by Django, or constants
        f" SELECT COUNT(DISTINCT person), MAX(mine), {counts} FROM votes_cast"
    )
    [(people, me, *numbers)] = rows_of((statement, params))
    team, mine = ([int(number or 0) for number in numbers[at::2]] for at in (0, 1))
    return Hasty(me or 0, *mine), Hasty(people, *team)


def _approvals(asked: Asked, since: datetime) -> QuerySet[Any, Any]:
    """Each with the seconds since this person first opened the action; null where that never happened."""
    rows = asked.narrowed(since).filter(votes__choice=Choice.APPROVE, votes__user__isnull=False)
    opened = PageView.objects.filter(
        subject=Concat(Value("action:"), Cast(OuterRef("pk"), TextField())),
        actor=OuterRef("votes__user_ref"),
        at__lte=OuterRef("votes__cast_at"),
    )
    first = Subquery(opened.order_by("at").values(ago=Seconds(F("at"), OuterRef("votes__cast_at")))[:1])
    marked = rows.annotate(
        out_person=F("votes__user_ref"),
        out_mine=flag(Q(votes__user_id=asked.me)),
        out_bulk=flag(Q(votes__mode="bulk")),
        out_opened=first,
    )
    return marked.values_list("out_person", "out_mine", "out_bulk", "out_opened")[:COUNTED]
