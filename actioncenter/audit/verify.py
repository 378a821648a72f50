"""Recomputing the log: every row against its own text, every text against the one before it.

What it can't see without checkpoints: a stream whose end was cut off, or a log emptied or
restored as a whole. Where the oldest events were dropped by rule, a signed purge says where each stream goes on.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from actioncenter.audit import borders, canonical, log, redacted
from actioncenter.audit.chaining import ChainKeys
from actioncenter.audit.models import Event
from actioncenter.audit.trust import Trust

CHUNK: Final = 2000
Rows = QuerySet[Event]
_RAW: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": ("at", *log.JSON_COLUMNS),
    "postgresql": log.JSON_COLUMNS,
}
"""Columns that Django would make objects of."""
_AT: Final = tuple(canonical.FIELDS).index("at")


class Fault(StrEnum):
    EDITED = "edited"
    """The columns and the canonical text disagree."""
    DELETED = "deleted"
    """Rows before this one are gone."""
    REORDERED = "reordered"
    """It stands elsewhere than its text says, or was written out of turn."""
    INSERTED = "inserted"
    """Not written with a key of this installation after the row before it: inserted, or edited whole."""


@dataclass(frozen=True, slots=True)
class BadRow:
    fault: Fault
    id: int
    stream: str
    seq: int
    message: str


class Written(NamedTuple):
    """An event as it stands; `values` in the order of canonical.FIELDS, as `canonical.says` takes them."""

    id: int
    stream: str
    seq: int
    chain: str
    text: str
    values: Sequence[Any]


class Head(NamedTuple):
    """What the next event of a stream follows: the one before it, or what a purge says was the last one dropped."""

    seq: int
    chain: str
    id: int = 0


NOTHING: Final = Head(0, "")


@dataclass(slots=True)
class Verification:
    """Counts up while `bad_rows` is being consumed; `beat` is called now and then, and may end it by raising.

    Purges and redactions count that `trust` vouches for; ours unless given.
    """

    trust: Trust | None = None
    events: int = 0
    streams: int = 0
    beat: Callable[[], None] | None = None
    keys: ChainKeys = field(default_factory=ChainKeys)

    def bad_rows(self, rows: Rows | None = None) -> Iterator[BadRow]:
        """Stream by stream, in order, with memory for one chunk; at most one bad row per stream."""
        previous: Head = NOTHING
        stream = spoilt = ""
        border = borders.border(self.trust)
        heads = border.heads if border else {}
        rows = Event.objects.order_by("stream", "seq") if rows is None else rows
        for event in _written(rows):
            if stream != event.stream:
                stream, spoilt = event.stream, ""
                previous = Head(*heads.get(stream, (0, "")))
                self.streams += 1
            self.events += 1
            if self.beat and self.events % CHUNK == 0:
                self.beat()
            # What follows a bad row of the same chain says nothing new.
            if not spoilt and (bad := _examine(event, previous, self.keys, self.trust)):
                spoilt = event.stream
                yield bad
            previous = Head(event.seq, event.chain, event.id)


def _written(rows: Rows) -> Iterator[Written]:
    """As the database has them: making objects of them would take as long as looking at them."""
    raw = {f"raw_{name}": Cast(name, TextField()) for name in _RAW[connection.vendor]}
    columns = [f"raw_{name}" if f"raw_{name}" in raw else name for name in canonical.FIELDS]
    found = rows.annotate(**raw).values_list("id", "chain", "canonical", *columns)
    for pk, chain, text, *values in found.iterator(chunk_size=CHUNK):
        values[_AT] = _microseconds(values[_AT])
        yield Written(pk, values[0], values[1], chain, text, values)


def _microseconds(at: Any) -> Any:
    """Of a time as the driver gives it; what is none stays as it is, and is no number."""
    try:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at
        return canonical.microseconds(moment)
    except (AttributeError, ValueError):
        return at


def first_bad_row() -> BadRow | None:
    return next(Verification().bad_rows(), None)


def bad_rows_of(streams: Iterable[str]) -> list[BadRow]:
    """The first bad row of each, and none for those that are whole. A stream that has no rows has none that is bad."""
    rows = Event.objects.filter(stream__in=set(streams)).order_by("stream", "seq")
    return list(Verification().bad_rows(rows))


def _examine(event: Written, previous: Head, keys: ChainKeys, trust: Trust | None) -> BadRow | None:
    """What is wrong with a row; `previous` is the one before it in its stream, already good."""
    found = (
        _columns_fault(event) or _place_fault(event, previous) or _chain_fault(event, previous, keys, trust)
    )
    if found is None:
        return None
    fault, message = found
    return BadRow(fault, event.id, event.stream, event.seq, message)


def _columns_fault(event: Written) -> tuple[Fault, str] | None:
    try:
        if canonical.says(event.text, event.values):
            return None
        text, columns = canonical.read(event.text), _columns(event)
    except (TypeError, ValueError) as error:
        return Fault.EDITED, f"not readable: {error}"
    wrong = [name for name in canonical.FIELDS if columns[name] != text[name]]
    if wrong and set(wrong) <= {"stream", "seq"}:
        return Fault.REORDERED, f"written as {text['stream']} number {text['seq']}"
    return Fault.EDITED, f"columns differ from the text: {', '.join(wrong) or 'its form'}"


def _columns(event: Written) -> dict[str, Any]:
    """The values as `canonical.read` gives them."""
    columns = dict(zip(canonical.FIELDS, event.values, strict=True))
    jsons = {name: None if columns[name] is None else json.loads(columns[name]) for name in log.JSON_COLUMNS}
    return {**columns, **jsons, "at": canonical.moment(columns["at"])}


def _place_fault(event: Written, previous: Head) -> tuple[Fault, str] | None:
    expected = previous.seq + 1
    if event.seq != expected:
        gone = f"{expected}" if event.seq == expected + 1 else f"{expected} to {event.seq - 1}"
        return Fault.DELETED, f"number {gone} missing before it"
    if event.id < previous.id:
        return Fault.REORDERED, f"its id is lower than that of number {previous.seq}"
    return None


def _chain_fault(
    event: Written, previous: Head, keys: ChainKeys, trust: Trust | None
) -> tuple[Fault, str] | None:
    message = keys.objection(event.id, event.stream, previous.chain, event.text, event.chain)
    if not message or redacted.leaf(event.id, event.chain, event.text, trust):
        return None
    return Fault.INSERTED, message
