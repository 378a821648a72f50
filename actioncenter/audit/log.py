"""Writing to the audit log, in the transaction of the change it tells of."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection

from actioncenter.audit import canonical
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.audit.triggers import TABLE

SYSTEM_STREAM: Final = "system"
_ROW_LOCKED: Final = "action:"
"""Streams whose writers hold the lock of the row they speak of, so need no other."""


class NotInTransaction(DatabaseError):
    """An event would outlive a change that is rolled back, or the other way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event before it has a place in its stream.

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
    (event,) = _chained([draft])
    event.save(force_insert=True)
    return event


def record_many(drafts: Sequence[Draft]) -> None:
    """Write up to 500 events in three statements, in the order given. Otherwise as `record`."""
    if drafts:
        _insert(_chained(drafts))


def _chained(drafts: Sequence[Draft]) -> list[Event]:
    if not connection.in_atomic_block:
        raise NotInTransaction("an audit event needs the transaction of the change it tells of")
    streams = sorted({draft.stream or draft.subject for draft in drafts})
    at = _lock_and_clock([name for name in streams if not name.startswith(_ROW_LOCKED)])
    heads = _heads(streams)
    events = []
    for draft in drafts:
        stream = draft.stream or draft.subject
        seq, previous = heads.get(stream, (0, ""))
        event = _event(draft, stream=stream, seq=seq + 1, at=at, previous=previous)
        heads[stream] = (event.seq, event.chain)
        events.append(event)
    return events


def _event(draft: Draft, *, stream: str, seq: int, at: datetime, previous: str) -> Event:
    values: dict[str, Any] = {
        "stream": stream,
        "seq": seq,
        "at": at,
        "kind": draft.kind.value,
        "actor": draft.by.ref,
        "actor_name": draft.by.name,
        "actor_via": draft.by.via.value,
        "subject": draft.subject,
        "subject_name": draft.subject_name,
        "area": draft.area,
        "group_id": draft.group_id,
        "request_id": draft.by.request_id,
        "before": draft.before,
        "after": draft.after,
        "detail": draft.detail,
    }
    text = canonical.render(values)
    return Event(
        **values,
        canonical=text,
        chain=canonical.link(settings.AUDIT_KEY, stream, previous, text),
    )


def _lock_and_clock(streams: Iterable[str]) -> datetime:
    """Take the streams' locks in order (PostgreSQL) and only then read the database's clock."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # The file has one writer at a time. SQLite's clock counts milliseconds.
            cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
            return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
        cursor.execute(
            "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key)"
            " SELECT count(*), clock_timestamp() FROM held",
            [sorted(_lock_key(stream) for stream in streams)],
        )
        at: datetime = cursor.fetchone()[1]
        return at.astimezone(UTC)


def _lock_key(stream: str) -> int:
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], signed=True)


def _heads(streams: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Stream -> number and chain value of its newest event; new streams are absent."""
    source = "json_each(%s)" if connection.vendor == "sqlite" else "jsonb_array_elements_text(%s::jsonb)"
    with connection.cursor() as cursor:
        # One index look-up per stream, however long it is.
        cursor.execute(
            f"SELECT head.stream, head.seq, head.chain FROM {source} AS wanted JOIN {TABLE} AS head ON head.id ="  # noqa: S608 - constants
            f" (SELECT id FROM {TABLE} WHERE stream = wanted.value ORDER BY seq DESC LIMIT 1)",
            [json.dumps(streams)],
        )
        return {stream: (seq, chain) for stream, seq, chain in cursor.fetchall()}


def _insert(events: Sequence[Event]) -> None:
    if connection.vendor != "sqlite":
        Event.objects.bulk_create(events)
        return
    # Django cuts a bulk insert on SQLite at 999 parameters, 45 events.
    fields = [field for field in Event._meta.concrete_fields if field.name not in {"id", "xid"}]
    columns = ", ".join(str(field.column) for field in fields)
    marks = ", ".join("%s" for _ in fields)
    rows = [
        [field.get_db_prep_save(getattr(event, field.attname), connection) for field in fields]
        for event in events
    ]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {TABLE} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - constants
