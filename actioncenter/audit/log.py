"""Writing to the audit log, in the transaction of the change it tells of."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import psycopg
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.utils import CursorWrapper

from actioncenter.audit import canonical
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.audit.triggers import TABLE

SYSTEM_STREAM: Final = "system"
_ROW_LOCKED: Final = "action:"
"""Streams whose writers hold the lock of the row they speak of, so need no other."""
JSON_COLUMNS: Final = ("before", "after", "detail")
COLUMNS: Final[Mapping[str, str]] = {
    "stream": "text", "seq": "int", "at": "timestamptz", "kind": "text", "actor": "text", "actor_name": "text",
    "actor_via": "text", "subject": "text", "subject_name": "text", "area": "smallint", "group_id": "bigint",
    "request_id": "text", "before": "text", "after": "text", "detail": "text",
    "canonical": "text", "chain": "text",
}  # fmt: skip
"""What an insert names, with its type on PostgreSQL; the database fills in the rest."""

_AT: Final = [*COLUMNS].index("at")
_NEVER_SHARED: Final = ("stream", "seq")

Row = tuple[Any, ...]


class NotInTransaction(DatabaseError):
    """An event would outlive a change that is rolled back, or the other way round."""


class ForeignKey(OperationalError):
    """This process has another audit key than the installation: its events would look forged for good."""


_foreign: bytes = b""
"""The key that isn't the installation's, as this process last heard."""


def hold_back(key: bytes) -> None:
    """Write nothing while this is our key; with none, write again."""
    global _foreign
    _foreign = key


def is_held_back() -> bool:
    return bool(_foreign) and bytes(settings.AUDIT_KEY) == _foreign


@dataclass(slots=True, kw_only=True)
class Draft:
    """An event before it has a place in its stream. Not frozen: that makes it twice as dear.

    `before`, `after` and `detail` hold text, integers, booleans, null, lists and objects; no
    floats, no times.
    """

    kind: Kind
    by: Actor
    subject: str
    """`action:1042`, `group:3`, `user:5` ..."""
    subject_name: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    detail: Mapping[str, Any] | None = None
    area: int | None = None
    group_id: int | None = None
    stream: str = ""
    """What it is chained to; the subject unless given."""


def record(
    kind: Kind,
    *,
    by: Actor,
    subject: str,
    subject_name: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
    area: int | None = None,
    group_id: int | None = None,
    stream: str = "",
) -> Event:
    """Write one event. For `action:` streams the caller holds the action's row lock.

    Raises:
        NotInTransaction: outside of an atomic block.
        ForeignKey: the key isn't the installation's.
        TypeError, ValueError: a value has no canonical form.
    """
    draft = Draft(
        kind=kind,
        by=by,
        subject=subject,
        subject_name=subject_name,
        before=before,
        after=after,
        detail=detail,
        area=area,
        group_id=group_id,
        stream=stream,
    )
    (row,) = _chained([draft])
    event = Event(**dict(zip(COLUMNS, row, strict=True)))
    for name in JSON_COLUMNS:
        setattr(event, name, getattr(draft, name))
    event.save(force_insert=True)
    return event


class Heads(NamedTuple):
    """The database's time, and stream -> number and chain value of its newest event, if it has one."""

    at: datetime
    newest: dict[str, tuple[int, str]]


def record_many(drafts: Sequence[Draft], heads: Heads | None = None) -> None:
    """Write up to 500 events in three statements, in the order given; in two if all are of actions.

    In one if the caller brings the heads that it read when it locked the actions; where one has grown
    meanwhile, that raises IntegrityError. Otherwise as `record`.
    """
    if len(drafts) > 1 and connection.vendor == "postgresql":
        statement, values = insertion(drafts, heads)
        with beside() as cursor:
            cursor.execute(statement, values)
    elif drafts:
        rows = _chained(drafts, heads)
        if connection.vendor == "sqlite":
            rows = _for_sqlite(rows)
        with connection.cursor() as cursor:
            if len(rows) == 1:
                cursor.execute(_INSERT, rows[0])
            else:
                cursor.executemany(_INSERT, rows)


def _for_sqlite(rows: list[Row]) -> list[Row]:
    """With the time, which they share, as Django writes it: times are compared as text there."""
    at = connection.ops.adapt_datetimefield_value(rows[0][_AT])
    return [(*row[:_AT], at, *row[_AT + 1 :]) for row in rows]


def insertion(drafts: Sequence[Draft], heads: Heads | None = None) -> tuple[str, list[Any]]:
    """The one PostgreSQL statement that writes them, and what goes with it.

    For a caller that writes its own change in the same statement, over a cursor from `beside`. Otherwise as
    `record_many`.
    """
    rows = _chained(drafts, heads)
    common: dict[str, Any] = {}
    own: dict[str, list[Any]] = {}
    for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        if name not in _NEVER_SHARED and values.count(values[0]) == len(values):
            common[name] = values[0]
        else:
            own[name] = list(values)
    return _insertion(tuple(common), tuple(own)), [*common.values(), *own.values()]


def beside() -> CursorWrapper:
    """A cursor of PostgreSQL that sends values beside the statement, so that lists need not be written out."""
    connection.ensure_connection()
    cursor: Any = psycopg.Cursor(connection.connection)
    return (
        connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)
    )


@cache
def _insertion(common: tuple[str, ...], own: tuple[str, ...]) -> str:
    values = [f"%s::{_cast(name)}" for name in common]
    values += [f"{name}::{_cast(name)}" for name in own]
    # In binary: the driver is quicker to write a list so, and the database to read it.
    lists = ", ".join(f"%b::{COLUMNS[name]}[]" for name in own)
    return (
        f"INSERT INTO {TABLE} ({', '.join([*common, *own])}) SELECT {', '.join(values)}"  # noqa: S608 - constants
        f" FROM unnest({lists}) AS e({', '.join(own)})"
    )


def _cast(name: str) -> str:
    return "jsonb" if name in JSON_COLUMNS else COLUMNS[name]


def _chained(drafts: Sequence[Draft], heads: Heads | None = None) -> list[Row]:
    if not connection.in_atomic_block:
        raise NotInTransaction("an audit event needs the transaction of the change it tells of")
    if is_held_back():
        raise ForeignKey("this host has another audit.key than the installation, so nothing is written here")
    at, newest = heads or _locked_heads(sorted({draft.stream or draft.subject for draft in drafts}))
    rows, jsons = [], Jsons()
    for draft in drafts:
        stream = draft.stream or draft.subject
        seq, previous = newest.get(stream, (0, ""))
        row = _row(draft, jsons, stream=stream, seq=seq + 1, at=at, previous=previous)
        newest[stream] = (seq + 1, row[-1])
        rows.append(row)
    return rows


class Jsons:
    """Canonical JSON of the values of many drafts; what several of them share is written once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}

    def text(self, value: object) -> str | None:
        if value is None:
            return None
        found = self._known.get(id(value))
        if found is None:
            # With the value itself: the id of one that is gone may be given to another.
            found = self._known[id(value)] = value, canonical.canonical_json(value)
        return found[1]


def _row(draft: Draft, jsons: Jsons, *, stream: str, seq: int, at: datetime, previous: str) -> Row:
    """The columns as they are stored; JSON as text."""
    by = draft.by
    row = (
        stream, seq, at, draft.kind.value, by.ref, by.name, by.via.value, draft.subject, draft.subject_name,
        draft.area, draft.group_id, by.request_id,
        jsons.text(draft.before), jsons.text(draft.after), jsons.text(draft.detail),
    )  # fmt: skip
    text = canonical.write(row)
    return (*row, text, canonical.link(settings.AUDIT_KEY, stream, previous, text))


def _lock(streams: Iterable[str]) -> None:
    """Take the streams' locks in order (PostgreSQL): whoever reads a head afterwards reads the last one."""
    if connection.vendor == "sqlite":
        # The file has one writer at a time.
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key)"
            " SELECT count(*) FROM held",
            [sorted(_lock_key(stream) for stream in streams)],
        )


def _lock_key(stream: str) -> int:
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], signed=True)


def _locked_heads(streams: Sequence[str]) -> Heads:
    """One index look-up per stream, however long it is."""
    shared = [name for name in streams if not name.startswith(_ROW_LOCKED)]
    if shared:
        _lock(shared)
    statement = _SQLITE_HEADS if connection.vendor == "sqlite" else _POSTGRES_HEADS
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(streams)])
        rows = cursor.fetchall()
    at = datetime.fromisoformat(rows[0][0])
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return Heads(at, {stream: (seq, chain) for _, stream, seq, chain in rows if seq is not None})


# SQLite's clock counts milliseconds.
_SQLITE_HEADS: Final = (
    "SELECT strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'), head.stream, head.seq, head.chain"  # noqa: S608 - constants
    f" FROM json_each(%s) AS wanted LEFT JOIN {TABLE} AS head"
    f" ON head.id = (SELECT id FROM {TABLE} WHERE stream = wanted.value ORDER BY seq DESC LIMIT 1)"
)
# Not as above: while the log is small, the planner would read all of it.
_POSTGRES_HEADS: Final = (
    "SELECT clock_timestamp()::text, wanted.value, head.seq, head.chain FROM json_array_elements_text(%s) AS wanted(value)"  # noqa: S608 - constants
    f" LEFT JOIN LATERAL (SELECT seq, chain FROM {TABLE} WHERE stream = wanted.value ORDER BY seq DESC LIMIT 1)"
    " AS head ON true"
)
_INSERT: Final = f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({', '.join('%s' for _ in COLUMNS)})"  # noqa: S608 - constants
