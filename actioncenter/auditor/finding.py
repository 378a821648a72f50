"""Finding events, newest first.

One criterion steers: an index holds the log in its order (everything, an actor, a kind, a stream), and the
time bounds it. The others sift what comes along. Words steer on PostgreSQL where few events have them: those
that the index of words names, and those of the newest that it doesn't know yet.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from actioncenter.audit import indexing, words
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, EventWords
from actioncenter.auditor.walking import Page, walk

FEW: Final = 10_000
PATIENCE: Final = "3s"
"""For finding out whether few events have a word."""
SHOWN: Final = (
    "at", "kind", "actor", "actor_name", "actor_via", "stream", "subject", "subject_name", "area", "group_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for; whatever is empty doesn't count. `words` as `audit.words.words_of` gives them."""

    stream: str = ""
    actor: str = ""
    kinds: tuple[Kind, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    via: str = ""
    area: int | None = None
    group: int | None = None
    not_kinds: frozenset[Kind] = frozenset()
    words: tuple[str, ...] = ()


def page(rows: QuerySet[Event], wanted: Wanted, position: Mapping[str, Any] | None = None) -> Page:
    """Of `rows`, which the caller limited to what the person may see. Raises BadToken."""
    found = _named(wanted.words)
    ways = _ways(rows.filter(_time(wanted)), wanted)
    if found.ids is not None:
        ways = [way.filter(pk__in=_among(found.ids)) for way in ways]
    sift = _sift(wanted, words_too=found.ids is None)
    shown = walk(Event.objects.only(*SHOWN), ways, sift, position, short=found.ids is not None)
    return replace(shown, behind=found.behind)


def _ways(rows: QuerySet[Event], wanted: Wanted) -> list[QuerySet[Event]]:
    """Each along one index."""
    if wanted.stream:
        return [rows.filter(stream=wanted.stream)]
    if wanted.actor:
        return [rows.filter(actor=wanted.actor)]
    if wanted.kinds is not None:
        return [rows.filter(kind=kind.value) for kind in wanted.kinds]
    return [rows]


def _time(wanted: Wanted) -> Q:
    found = Q()
    if wanted.since:
        found &= Q(at__gte=wanted.since)
    if wanted.until:
        found &= Q(at__lt=wanted.until)
    return found


def _sift(wanted: Wanted, *, words_too: bool) -> Q:
    found = Q()
    if wanted.stream and wanted.actor:
        found &= Q(actor=wanted.actor)
    if (wanted.stream or wanted.actor) and wanted.kinds is not None:
        found &= Q(kind__in=[kind.value for kind in wanted.kinds])
    if wanted.not_kinds:
        found &= ~Q(kind__in=sorted(wanted.not_kinds))
    for column, value in (("actor_via", wanted.via), ("area", wanted.area), ("group_id", wanted.group)):
        if value:
            found &= Q(**{column: value})
    if wanted.words and words_too:
        found &= _having(list(wanted.words))
    return found


def _having(said: list[str]) -> Q:
    return Q(words.had(said)) if connection.vendor == "postgresql" else words.looked_through(said)


@dataclass(frozen=True, slots=True)
class _Named:
    """The events that have the words; None where they aren't few. `behind` as of a page."""

    ids: Sequence[int] | None = None
    behind: int = 0


def _named(said: Sequence[str]) -> _Named:
    if not said or connection.vendor == "sqlite":
        return _Named()
    tail = indexing.tail()
    if tail is None:
        return _Named(behind=indexing.TAIL + 1)
    rows = EventWords.objects.filter(words.indexed(list(said))).order_by().values_list("pk", flat=True)
    newest = Event.objects.filter(words.had(list(said)), pk__in=_among(tail)).values_list("pk", flat=True)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # The planner may take a search without an index for cheaper, as it can't know how far it gets.
            cursor.execute(f"SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = '{PATIENCE}'")
            found = {*rows[: FEW + 1], *(newest if tail else ())}
            cursor.execute("SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL statement_timeout TO DEFAULT")
    except OperationalError:
        return _Named(behind=len(tail))
    return _Named(sorted(found) if len(found) <= FEW else None, len(tail))


def _among(ids: Sequence[int]) -> RawSQL:
    return RawSQL(
        "SELECT value::bigint FROM json_array_elements_text(%s::json) AS value", [json.dumps(list(ids))]
    )
