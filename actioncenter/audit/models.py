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
            # The pages of the log go along these; its words have a table of their own (audit/indexing.py).
            models.Index(fields=["at", "id"], name="audit_event_at"),
            models.Index(fields=["kind", "at", "id"], name="audit_event_kind"),
            models.Index(fields=["actor", "at", "id"], name="audit_event_actor"),
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
        indexes: ClassVar = [
            models.Index(fields=["last_event", "first_event"], name="audit_seal_events"),
            models.Index(fields=["at"], name="audit_seal_at"),
        ]

    def __str__(self) -> str:
        return f"Seal {self.number}"


class Purge(models.Model):
    """Says that seals and events up to here were dropped by rule (audit/purges.py). The triggers let go of these."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    last_seal = models.PositiveBigIntegerField()
    last_event = models.BigIntegerField()
    """No event at or below this id is left."""
    actions = models.TextField()
    """`,5,7,`: numbers of the actions that went with it."""
    text = models.TextField()
    """The truth; the columns above are read from it."""
    digest = models.TextField()
    key_id = models.TextField()
    signature = models.TextField()

    def __str__(self) -> str:
        return f"Purge {self.number}"


class Lexemes(models.TextField):  # type: ignore[type-arg]  # takes none at run time
    """What PostgreSQL searches for words; SQLite has nothing of the kind and leaves it empty."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "tsvector" if connection.vendor == "postgresql" else "text"


class EventWords(models.Model):
    """The words of an event, for finding it only. Written by `indexing` alone, and only on PostgreSQL."""

    event = models.BigIntegerField(primary_key=True)
    words = Lexemes()

    def __str__(self) -> str:
        return f"Words of {self.event}"


class Reach(models.Model):
    """The one row that says up to which seal somebody has gone through the events (audit/following.py)."""

    seal = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"Up to seal {self.seal}"


class WordsReach(Reach):
    """Whose words are in `EventWords`."""


class Redaction(models.Model):
    """Says that text was taken out of an event (audit/redactions.py). The triggers let the event become just that."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    event = models.BigIntegerField(db_index=True)
    """Its id. Where it was redacted again, the highest number counts."""
    stream = models.TextField()
    actor = models.TextField()
    """Of the event: triggers of other tables look here, since SQLite rebuilds no table that a trigger of another names."""
    subject_name = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    detail = models.JSONField(null=True)
    canonical = models.TextField()
    """With the columns above, what the event is from then on."""
    text = models.TextField()
    """The truth; number, time and event are read from it."""
    digest = models.TextField()
    key_id = models.TextField()
    signature = models.TextField()

    def __str__(self) -> str:
        return f"Redaction {self.number}"
