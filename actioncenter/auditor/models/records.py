"""What auditors' pages keep of their own: who looked at what, and verifications that were asked for.

Neither is part of the log. Who and what are text, as there, so that they outlive what they name.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.auditor.enums import RunResult, RunState

LEASE: Final = timedelta(minutes=5)
"""Longer than the longest statement of a verification, between whose answers it is renewed."""
SUBJECT: Final = "audit"


class Overtaken(Exception):
    """Somebody else carries the verification out by now."""


class PageView(models.Model):
    """Somebody looked at a page or took a file. Written in batches (auditor/looking.py), never changed."""

    at = models.DateTimeField()
    actor = models.TextField()
    actor_name = models.TextField()
    page = models.TextField()
    """Name of the address, such as `actions:detail`."""
    subject = models.TextField(blank=True)
    """What it is about, such as `action:1042`; empty for lists."""
    address = models.TextField()
    """Path and query, cut off where it is long."""
    request_id = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["at", "id"], name="auditor_view_at"),
            models.Index(fields=["actor", "at", "id"], name="auditor_view_actor"),
            models.Index(fields=["subject", "at", "id"], name="auditor_view_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.page} {self.subject}".rstrip()


class VerificationRun(models.Model):
    """A verification of the whole log that somebody asked for, carried out beside a runner."""

    state = models.PositiveSmallIntegerField(default=RunState.WAITING)
    result = models.PositiveSmallIntegerField(null=True)
    open = models.BooleanField(null=True, default=True, unique=True)
    """True until it has ended, then null: there is one at a time."""
    requested_by = models.TextField()
    requested_by_name = models.TextField()
    requested_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    holder = models.TextField(blank=True)
    token = models.PositiveIntegerField(default=0)
    """Rises with each claim: who was overtaken writes nothing more."""
    lease_until = models.DateTimeField(null=True)
    expected = models.BigIntegerField(default=0)
    """About so many events there were when it began."""
    counts = models.JSONField(default=dict)
    """What was looked at so far, by name."""
    first_bad = models.JSONField(null=True)
    """The first thing that is wrong: fault, message, event and where it stands."""
    trouble = models.TextField(blank=True)
    """Why it couldn't be carried out."""

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state=RunState.FINISHED, result__isnull=False, open__isnull=True)
                | Q(~Q(state=RunState.FINISHED), result__isnull=True, open=True),
                name="auditor_run_ends_once",
            )
        ]

    def __str__(self) -> str:
        return f"Verification {self.pk}"

    @classmethod
    def request(cls, *, by: Actor) -> "tuple[VerificationRun, bool]":
        """A new one, or the one that is open already; and whether it is new."""
        try:
            with transaction.atomic():
                run = cls.objects.create(requested_by=by.ref, requested_by_name=by.name)
                log.record(Kind.AUDIT_VERIFICATION_REQUESTED, by=by, subject=SUBJECT, detail={"run": run.pk})
        except IntegrityError:
            return cls.objects.get(open=True), False
        return run, True

    @classmethod
    def is_due(cls) -> bool:
        return cls._free().exists()

    @classmethod
    def claim(cls, holder: str, *, expected: int) -> "VerificationRun | None":
        """The one that waits, or whose holder is gone; None when there is none. It begins from the start."""
        taken = cls._free().update(
            state=RunState.RUNNING, started_at=Now(), holder=holder, token=F("token") + 1,
            lease_until=Now() + LEASE, expected=expected, counts={},
        )  # fmt: skip
        return cls.objects.filter(open=True, holder=holder).first() if taken else None

    @classmethod
    def _free(cls) -> "models.QuerySet[VerificationRun]":
        gone = Q(lease_until__lte=Now()) | Q(lease_until__gt=Now() + 2 * LEASE)
        return cls.objects.filter(Q(state=RunState.WAITING) | Q(gone, state=RunState.RUNNING), open=True)

    def progress(self, counts: Mapping[str, int]) -> None:
        """Say how far it is, and keep it. Raises Overtaken."""
        self._write(counts=dict(counts), lease_until=Now() + LEASE)

    def give_back(self) -> None:
        """Its holder ends: the next begins it anew. Raises Overtaken."""
        self._write(state=RunState.WAITING, started_at=None, holder="", lease_until=None, counts={})

    def finish(
        self,
        result: RunResult,
        *,
        by: Actor,
        counts: Mapping[str, int],
        first_bad: Mapping[str, Any] | None = None,
        trouble: str = "",
    ) -> None:
        """Raises Overtaken."""
        with transaction.atomic():
            self._write(
                state=RunState.FINISHED, result=result, open=None, finished_at=Now(), lease_until=None,
                counts=dict(counts), first_bad=first_bad, trouble=trouble,
            )  # fmt: skip
            log.record(
                Kind.AUDIT_VERIFIED, by=by, subject=SUBJECT,
                after={"result": result.name, "counts": dict(counts)},
                detail={"run": self.pk, "first_bad": first_bad, "trouble": trouble},
            )  # fmt: skip
        self.refresh_from_db()

    def _write(self, **values: Any) -> None:
        mine = VerificationRun.objects.filter(pk=self.pk, token=self.token, state=RunState.RUNNING)
        if not mine.update(**values):
            raise Overtaken
