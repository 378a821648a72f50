"""Recomputing the log: every row against its own text, every text against the one before it.

What it can't see without checkpoints: a stream whose end was cut off, or a log emptied or
restored as a whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from actioncenter.audit import canonical
from actioncenter.audit.models import Event

CHUNK: Final = 2000
Rows = QuerySet[Event]
_COLUMNS: Final = ("id", "chain", "canonical", *canonical.FIELDS)


class Fault(StrEnum):
    EDITED = "edited"
    """The columns and the canonical text disagree."""
    DELETED = "deleted"
    """Rows before this one are gone."""
    REORDERED = "reordered"
    """It stands elsewhere than its text says, or was written out of turn."""
    INSERTED = "inserted"
    """Not written with this installation's key after the row before it: inserted, or edited whole."""


@dataclass(frozen=True, slots=True)
class BadRow:
    fault: Fault
    id: int
    stream: str
    seq: int
    message: str


class Written(NamedTuple):
    """An event as it stands; `values` in the order of canonical.FIELDS."""

    id: int
    stream: str
    seq: int
    chain: str
    text: str
    values: Sequence[Any]


@dataclass(slots=True)
class Verification:
    """Counts up while `bad_rows` is being consumed."""

    events: int = 0
    streams: int = 0

    def bad_rows(self, rows: Rows | None = None) -> Iterator[BadRow]:
        """Stream by stream, in order, with memory for one chunk; at most one bad row per stream."""
        previous: Written | None = None
        spoilt = ""
        rows = Event.objects.order_by("stream", "seq") if rows is None else rows
        # Plain values: making an object of each would take as long as looking at it.
        for pk, chain, text, *values in rows.values_list(*_COLUMNS).iterator(chunk_size=CHUNK):
            event = Written(pk, values[0], values[1], chain, text, values)
            if previous is None or previous.stream != event.stream:
                previous, spoilt = None, ""
                self.streams += 1
            self.events += 1
            # What follows a bad row of the same chain says nothing new.
            if not spoilt and (bad := _examine(event, previous)):
                spoilt = event.stream
                yield bad
            previous = event


def first_bad_row() -> BadRow | None:
    return next(Verification().bad_rows(), None)


def bad_rows_of(streams: Iterable[str]) -> list[BadRow]:
    """The first bad row of each, and none for those that are whole. A stream that has no rows has none that is bad."""
    rows = Event.objects.filter(stream__in=set(streams)).order_by("stream", "seq")
    return list(Verification().bad_rows(rows))


def _examine(event: Written, previous: Written | None) -> BadRow | None:
    """What is wrong with a row; `previous` is the one before it in its stream, already good."""
    found = _columns_fault(event) or _place_fault(event, previous) or _chain_fault(event, previous)
    if found is None:
        return None
    fault, message = found
    return BadRow(fault, event.id, event.stream, event.seq, message)


def _columns_fault(event: Written) -> tuple[Fault, str] | None:
    try:
        if canonical.render_in_order(event.values) == event.text:
            return None
        text = canonical.read(event.text)
    except (TypeError, ValueError) as error:
        return Fault.EDITED, f"not readable: {error}"
    columns = dict(zip(canonical.FIELDS, event.values, strict=True))
    wrong = [name for name in canonical.FIELDS if columns[name] != text[name]]
    if wrong and set(wrong) <= {"stream", "seq"}:
        return Fault.REORDERED, f"written as {text['stream']} number {text['seq']}"
    return Fault.EDITED, f"columns differ from the text: {', '.join(wrong) or 'its form'}"


def _place_fault(event: Written, previous: Written | None) -> tuple[Fault, str] | None:
    expected = previous.seq + 1 if previous else 1
    if event.seq != expected:
        gone = f"{expected}" if event.seq == expected + 1 else f"{expected} to {event.seq - 1}"
        return Fault.DELETED, f"number {gone} missing before it"
    if previous is not None and event.id < previous.id:
        return Fault.REORDERED, f"its id is lower than that of number {previous.seq}"
    return None


def _chain_fault(event: Written, previous: Written | None) -> tuple[Fault, str] | None:
    link = canonical.link(settings.AUDIT_KEY, event.stream, previous.chain if previous else "", event.text)
    if link == event.chain:
        return None
    return Fault.INSERTED, "its chain value doesn't follow from the row before it and the key"
