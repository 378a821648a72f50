"""What is blocked, for how long, and which version of the list says so.

A block is one reason: two actions that block the same URL are two of them, and it stays blocked until
neither holds. One that is over by its own time counts as gone from that moment, whether or not anybody has
written that down; the version that consumers are told counts it too, so that it only ever rises.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Final, Self

from django.db import connection, models, transaction
from django.db.models import Count, F, Q, Subquery
from django.db.models.functions import Coalesce, Now

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.feeds.canonical import Address, digest
from actioncenter.feeds.enums import EntryKind

AT_ONCE: Final = 500
"""Blocks whose time is over that one change of the list writes down."""
THE_ONE: Final = 1
CLOCK: Final = Actor.system("block list")
_OPEN: Final = Q(released_at__isnull=True)


class BlockQuerySet(models.QuerySet["Block"]):
    def published(self) -> Self:
        """What consumers get, and what a click is stopped by."""
        return self.filter(_OPEN & (Q(expires_at__isnull=True) | Q(expires_at__gt=Now())))

    def run_out(self) -> Self:
        """Over, and not written down yet."""
        return self.filter(_OPEN, expires_at__lte=Now())


class BlockList(models.Model):
    """One row: the version that every change raises."""

    version = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"version {self.version}"

    @classmethod
    def current(cls) -> int:
        """The version that consumers are told, read in one statement."""
        gone = (
            Block.objects.run_out()
            .annotate(one=F("pk") * 0)
            .values("one")
            .annotate(n=Count("pk"))
            .values("n")
        )
        told = F("version") + Coalesce(Subquery(gone), 0)
        return cls.objects.filter(pk=THE_ONE).annotate(told=told).values_list("told", flat=True).first() or 0

    @classmethod
    def locked(cls) -> Self:
        """For a change, in the caller's transaction; what has run out is written down first."""
        cls.objects.get_or_create(pk=THE_ONE)
        row = cls.objects.select_for_update().get(pk=THE_ONE)
        for block in Block.objects.run_out().order_by("expires_at", "pk")[:AT_ONCE]:
            block.end(row, at=F("expires_at"), ref="", by=CLOCK)
        return row

    def step(self) -> int:
        """The next version. The caller holds the row."""
        self.version += 1
        self.save(update_fields=["version"])
        return self.version


class Block(models.Model):
    """One reason why something is blocked. `key` names it for whoever placed it, once and for all."""

    key = models.CharField(max_length=80, unique=True)
    kind = models.PositiveSmallIntegerField()
    expression = models.TextField()
    digest = models.CharField(max_length=64)
    placed_by = models.CharField(max_length=80)
    """The request that placed it: asked again, it is answered the same."""
    placed_at = models.DateTimeField(db_default=Now())
    version = models.PositiveBigIntegerField()
    """Of the list, from which on it is there."""
    expires_at = models.DateTimeField(null=True)
    released_by = models.CharField(max_length=80, blank=True)
    released_at = models.DateTimeField(null=True)
    released_version = models.PositiveBigIntegerField(null=True)
    """Of the list, from which on it isn't there any more."""

    objects = BlockQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["digest"], name="block_open", condition=Q(released_at__isnull=True)),
            models.Index(
                fields=["expires_at"],
                name="block_ending",
                condition=Q(released_at__isnull=True, expires_at__isnull=False),
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(released_at__isnull=True, released_version__isnull=True)
                | Q(released_at__isnull=False, released_version__isnull=False),
                name="block_released_whole",
            )
        ]

    def __str__(self) -> str:
        return self.expression

    @classmethod
    def place(cls, key: str, address: Address, *, days: int, ref: str, by: Actor) -> "Block":
        """Block it from now on, for so many days or (0) without end; what `key` has placed before stays as it is."""
        with transaction.atomic():
            listed = BlockList.locked()
            found = cls.objects.filter(key=key).first()
            if found is not None:
                return found
            made = cls.objects.create(
                key=key,
                kind=address.kind,
                expression=address.expression,
                digest=digest(address.expression),
                placed_by=ref,
                version=listed.step(),
                expires_at=Now() + timedelta(days=days) if days else None,
            )
            made.refresh_from_db()
            made._record(Kind.URL_BLOCKED, by=by, version=made.version)
        return made

    def release(self, *, ref: str, by: Actor) -> Self:
        """No longer a reason; what was over before stays as it ended. Returns it as it is now."""
        with transaction.atomic():
            listed = BlockList.locked()
            now = type(self).objects.get(pk=self.pk)
            if now.released_at is None:
                now.end(listed, at=Now(), ref=ref, by=by)
                now.refresh_from_db()
        return now

    def end(self, listed: BlockList, *, at: "Now | F", ref: str, by: Actor) -> None:
        """The caller holds the list."""
        version = listed.step()
        type(self).objects.filter(pk=self.pk).update(
            released_at=at, released_by=ref, released_version=version
        )
        self._record(Kind.URL_UNBLOCKED, by=by, version=version)

    def _record(self, kind: Kind, *, by: Actor, version: int) -> None:
        until = self.expires_at.isoformat() if self.expires_at else ""
        log.record(
            kind,
            by=by,
            subject=f"block:{self.pk}",
            subject_name=self.expression[:300],
            detail={"key": self.key, "kind": EntryKind(self.kind).name, "version": version, "until": until},
        )


def is_blocked(digests: Sequence[str]) -> bool:
    """Whether any of these is on the list now. By hand: a click page asks this for every click."""
    if not digests:
        return False
    places = ",".join(["%s"] * len(digests))
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor].format(places), list(digests))
        return cursor.fetchone() is not None


_FIND: Final = {
    vendor: "SELECT 1 FROM feeds_block WHERE released_at IS NULL AND digest IN ({})"  # noqa: S608 - placeholders
    f" AND (expires_at IS NULL OR expires_at > {now}) LIMIT 1"
    for vendor, now in {
        "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
        "postgresql": "STATEMENT_TIMESTAMP()",
    }.items()
}
"""Times as Django's Now() writes them for each database."""
