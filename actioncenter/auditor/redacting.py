"""Carrying out what two people agreed to take out of the log, as the owner of the tables."""

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from actioncenter.actions.models.redacting import forget
from actioncenter.audit import indexing
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.redactions import MARK, TAKEN
from actioncenter.audit.roles import as_owner
from actioncenter.auditor.models import RedactionRequest

ACTION: Final = "action:"


def may_change() -> bool:
    """Whether this process's own role may; where a role of its own owns the tables, its address is needed."""
    if connection.vendor == "sqlite" or settings.DATABASE_OWNER:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, 'UPDATE')", [Event._meta.db_table])
        return bool(cursor.fetchone()[0])


def approve(row: RedactionRequest, *, by: Actor) -> Redaction:
    """The event, and what rows of its action say in the same words. Not within a transaction. Raises RedactionError."""
    with as_owner():
        _leave_nothing_behind("PRAGMA secure_delete = ON")
        with transaction.atomic():
            before = Event.objects.filter(pk=row.event).first()
            done = row.approve(by=by)
            indexing.renew(Q(pk=row.event))
            if before is not None and before.stream.startswith(ACTION):
                _forget(before, done)
        _leave_nothing_behind("PRAGMA wal_checkpoint(TRUNCATE)")
    return done


def _forget(event: Event, done: Redaction) -> None:
    number = event.stream.removeprefix(ACTION)
    if number.isascii() and number.isdigit():
        texts = {text for name in TAKEN for text in _taken(getattr(event, name), getattr(done, name))}
        forget(int(number), texts, actor=event.actor, kind=event.kind)


def _taken(before: Any, after: Any) -> Iterator[str]:
    """The texts in whose place there is a mark."""
    if isinstance(before, str):
        if after == MARK != before:
            yield before
    elif isinstance(before, dict | list):
        for name in before if isinstance(before, dict) else range(len(before)):
            yield from _taken(before[name], after[name])


def _leave_nothing_behind(pragma: str) -> None:
    """SQLite keeps what was overwritten in free pages and beside its file. PostgreSQL's VACUUM is its operator's."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(pragma)
