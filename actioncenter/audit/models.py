"""The audit log: one append-only row per change, and the seals that put many of them in one order.

Nothing here refers to another table, so that an event outlives whatever it speaks of. The
columns are final: triggers forbid filling a new one later.
"""

from typing import Any, ClassVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class TransactionId(models.Func):
    """The writing transaction's id on PostgreSQL, NULL on SQLite, which commits in id order.

    A reader that follows row ids loses events, because ids are taken before the commit.
    """

    template = "(pg_current_xact_id()::text::bigint)"
    output_field = models.BigIntegerField(null=True)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        return "NULL", ()


class Event(models.Model):
    stream = models.TextField()
    """What is chained together: `action:1042`, `group:3`, `user:5`, `system`."""
    seq = models.PositiveIntegerField()
    """1, 2, 3 ... within the stream, without gaps."""
    xid = models.BigIntegerField(null=True, editable=False, db_default=TransactionId())
    at = models.DateTimeField()
    kind = models.TextField()
    actor = models.TextField()
    actor_name = models.TextField()
    actor_via = models.TextField()
    subject = models.TextField()
    subject_name = models.TextField(blank=True)
    area = models.PositiveSmallIntegerField(null=True)
    group_id = models.BigIntegerField(null=True)
    request_id = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    detail = models.JSONField(null=True)
    canonical = models.TextField()
    """The truth; the columns above are read from it (audit/canonical.py)."""
    chain = models.TextField()
    """Hex of the keyed hash over the event before it in the stream and `canonical`."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "seq"], name="audit_event_stream_seq"),
        ]
        indexes: ClassVar = [
            # The sealer follows it. On SQLite it is never filled in, and the index is empty.
            models.Index(fields=["xid"], name="audit_event_xid", condition=models.Q(xid__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.kind}"


class Seal(models.Model):
    """A signed batch of events (audit/seals.py). Written by `sealing` alone."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    first_event = models.BigIntegerField()
    """Lowest id that it holds, and the highest; 0 when it holds none."""
    last_event = models.BigIntegerField()
    watermark = models.BigIntegerField()
    """What lies below it is sealed: on PostgreSQL a transaction id, on SQLite and while `since` is set the id
    of an event."""
    cluster = models.TextField(blank=True)
    """The PostgreSQL cluster whose transaction ids these are; another one counts anew."""
    floor = models.BigIntegerField(default=0)
    """Highest event when this cluster was first met, and a transaction id that nobody had by then (`until`):
    what was there already and has a higher one got it elsewhere."""
    until = models.BigIntegerField(default=0)
    since = models.BigIntegerField(null=True)
    """Set while what was there is gone through by id: the oldest transaction open when that began."""
    text = models.TextField()
    """The truth; number and time are read from it."""
    digest = models.TextField()
    key_id = models.TextField()
    signature = models.TextField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["last_event", "first_event"], name="audit_seal_events")]

    def __str__(self) -> str:
        return f"Seal {self.number}"
