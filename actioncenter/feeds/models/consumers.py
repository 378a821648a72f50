"""Who pulls the list, with a token of their own, and how far each has it."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now

from actioncenter.accounts import fence
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.feeds.enums import CARRIES, EntryKind, FeedFormat
from actioncenter.feeds.models.blocks import Block
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change

PREFIX: Final = "acf_"
"""So that whoever finds one lying about knows what it opens."""
MOST: Final = 200


class ConsumerError(Exception):
    """What can't be done to a consumer; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Consumer(models.Model):
    """A resolver, proxy or gateway. Of its token only a digest is kept: 32 random bytes need no salt."""

    name = models.CharField(max_length=80)
    format = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by_name = models.CharField(max_length=150)
    revoked_at = models.DateTimeField(null=True)
    pulled_at = models.DateTimeField(null=True)
    pulled_version = models.PositiveBigIntegerField(default=0)
    """The newest version that it was given whole, or said it has."""
    pulled_from = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint("name", condition=Q(revoked_at__isnull=True), name="consumer_name_unique")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        return f"consumer:{self.pk}"

    @classmethod
    def add(cls, name: str, format: FeedFormat, *, by: Actor) -> tuple[Self, str]:
        """Make one; returns it with its token, which nobody can show again. Raises ConsumerError."""
        name = name.strip()
        if not name or len(name) > 80:
            raise ConsumerError("name", "A name has 1 to 80 characters.")
        token = PREFIX + secrets.token_urlsafe(32)
        with fence.exclusive():
            _require(by)
            held = cls.objects.filter(revoked_at=None)
            if held.filter(name__iexact=name).exists():
                raise ConsumerError("name", "There is a consumer of this name.")
            if held.count() >= MOST:
                raise ConsumerError("many", f"There are at most {MOST} consumers.")
            made = cls.objects.create(
                name=name, format=format, digest=digest_of(token), created_by_name=by.name[:150]
            )
            made._record(Kind.TOKEN_CREATED, by=by)
        return made, token

    def revoke(self, *, by: Actor) -> bool:
        """Its token opens nothing any more; returns whether it did until now."""
        with fence.exclusive():
            _require(by)
            changed = type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())
            if changed:
                self._record(Kind.TOKEN_REVOKED, by=by)
        return bool(changed)

    @classmethod
    def of_token(cls, token: str) -> Self | None:
        if not token.startswith(PREFIX):
            return None
        return cls.objects.filter(digest=digest_of(token), revoked_at=None).first()

    def took(self, version: int, *, address: str) -> None:
        """It has this version. Another pull of it may have been quicker with a newer one."""
        newest = Greatest(F("pulled_version"), version, output_field=models.PositiveBigIntegerField())
        type(self).objects.filter(pk=self.pk).update(
            pulled_at=Now(), pulled_version=newest, pulled_from=address[:60]
        )

    def _record(self, kind: Kind, *, by: Actor) -> None:
        detail, created = {"format": FeedFormat(self.format).name}, kind is Kind.TOKEN_CREATED
        log.record(
            kind, by=by, subject=self.ref, subject_name=self.name, before={"opens": not created},
            after={"opens": created}, detail=detail,
        )  # fmt: skip


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Progress:
    """`able` consumers take what this is about; `deaf` ones take formats that can't say it."""

    have: int
    able: int
    deaf: int


def progress(blocks: Iterable[Block]) -> Progress:
    """How many consumers know what became of these blocks."""
    since: dict[EntryKind, int] = {}
    for block in blocks:
        kind, version = EntryKind(block.kind), block.released_version or block.version
        since[kind] = max(since.get(kind, 0), version)
    rows = Consumer.objects.filter(revoked_at=None).values_list("format", "pulled_version")
    asked = [
        ([since[kind] for kind in since if kind in CARRIES[FeedFormat(form)]], has) for form, has in rows
    ]
    able = [has >= max(versions) for versions, has in asked if versions]
    return Progress(have=sum(able), able=len(able), deaf=len(asked) - len(able))


def _require(by: Actor) -> None:
    if not may_change(by):
        raise ConsumerError("role", "Only an admin says who may pull the list.")
    if not has_proved(by):
        raise ConsumerError("reauthenticate", PROOF_NEEDED)
