"""How long what happened is kept, and what is kept longer because somebody said so."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change

SUBJECT: Final = "retention"
WIDEST_PRESET: Final = 180
"""Days that the pages offer at once (domain Q22); nothing they offer may be gone."""
HELD: Final = re.compile(r"(?:action|investigation):[1-9][0-9]{0,17}")
LABELLED: Final = re.compile(r"(A|INV)-([1-9][0-9]{0,17})", re.ASCII)
PRESETS: Final = (180, 365, 730, 1095, 1825, 2555)


class RetentionError(Exception):
    """A change that isn't allowed; `code` is `role`, `reauthenticate`, `range`, `unchanged`, `reason`, `unknown`,
    `held`, `free`, `same` (person) or `ended`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Retention(models.Model):
    """One row. Days; actions, evidence and their part of the log go together."""

    days = models.PositiveIntegerField(
        default=730, validators=[MinValueValidator(WIDEST_PRESET), MaxValueValidator(36_500)]
    )
    artefact_days = models.PositiveIntegerField(
        default=30, validators=[MinValueValidator(1), MaxValueValidator(36_500)]
    )
    click_days = models.PositiveIntegerField(
        default=180, db_default=180, validators=[MinValueValidator(1), MaxValueValidator(36_500)]
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="retention_one_row", condition=models.Q(id=1)),
            models.CheckConstraint(
                name="retention_not_shorter_than_pages", condition=models.Q(days__gte=WIDEST_PRESET)
            ),
        ]

    def __str__(self) -> str:
        return f"Retention: {self.worded}"

    @property
    def worded(self) -> str:
        return f"{self.days} days, files {self.artefact_days} days, clicks {self.click_days} days"

    @classmethod
    def current(cls) -> "Retention":
        """The row, or the defaults while nobody has changed any."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    @property
    def figures(self) -> dict[str, int]:
        return {"days": self.days, "artefact_days": self.artefact_days, "click_days": self.click_days}

    def shortened_by(self, figures: Mapping[str, int]) -> bool:
        return any(value < getattr(self, name) for name, value in figures.items())

    @classmethod
    def change(cls, *, by: Actor, comment: str = "", **figures: int) -> "Shortening | None":
        """What lets go of something waits for another person and is returned; all else holds at once, instead of
        what waits. Raises RetentionError.
        """
        with fence.exclusive():
            _check_right(by)
            row = cls.current()
            wanted = row._with(figures)
            if row.shortened_by(wanted):
                return Shortening.ask(wanted, by=by, comment=comment)
            Shortening.end_waiting(by=by)
            row._apply(wanted, by=by, comment=comment)
        return None

    def _with(self, figures: Mapping[str, int]) -> dict[str, int]:
        """All figures, these among them. Raises RetentionError."""
        wanted = Retention(pk=1, **{**self.figures, **figures})
        try:
            wanted.clean_fields()
        except ValidationError as error:
            name, said = next(iter(error.message_dict.items()))
            raise RetentionError("range", f"{name.replace('_', ' ')}: {' '.join(said)}") from error
        if wanted.figures == self.figures:
            raise RetentionError("unchanged", "Nothing was changed.")
        return wanted.figures

    def _apply(self, figures: Mapping[str, int], *, by: Actor, comment: str, **asked: str) -> None:
        """Under the exclusive fence."""
        before = self.figures
        for name, value in figures.items():
            setattr(self, name, value)
        self.save()
        log.record(
            Kind.SETTING_CHANGED, by=by, subject=SUBJECT, subject_name="Retention", before=before,
            after=self.figures, detail={**({"comment": comment} if comment else {}), **asked} or None,
        )  # fmt: skip


class Shortening(models.Model):
    """Somebody wants to keep less. It holds once another person has agreed: what is let go of doesn't come back
    (NIST SP 800-53 AU-9(5)).
    """

    figures = models.JSONField()
    """All of the rule as it would be."""
    comment = models.TextField(blank=True)
    asked_by = models.CharField(max_length=200)
    asked_by_name = models.CharField(max_length=200)
    asked_at = models.DateTimeField(db_default=Now())
    ended_by_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                models.Value(1), name="shortening_waits_once", condition=models.Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return Retention(**self.figures).worded

    @classmethod
    def waiting(cls) -> "Shortening | None":
        return cls.objects.filter(ended_at=None).first()

    @classmethod
    def ask(cls, figures: Mapping[str, int], *, by: Actor, comment: str) -> Self:
        """Instead of what waits. Under the exclusive fence, with the right checked."""
        cls.end_waiting(by=by)
        row = cls.objects.create(
            figures=dict(figures), comment=comment, asked_by=by.ref, asked_by_name=by.name
        )
        row._tell(Kind.RETENTION_SHORTENING_ASKED, by=by, comment=comment)
        notify_admins(
            "retention", title=f"{by.name} wants to keep less: {row}. Another admin has to agree",
            url="/audit/retention", severity=Severity.WARNING,
        )  # fmt: skip
        return row

    @classmethod
    def end_waiting(cls, *, by: Actor) -> None:
        """Under the exclusive fence."""
        if row := cls.waiting():
            row._end(by)
            row._tell(Kind.RETENTION_SHORTENING_DROPPED, by=by)

    def agree(self, *, by: Actor) -> Retention:
        """By another person than asked for it. Raises RetentionError."""
        with fence.exclusive():
            _check_right(by)
            self._require_waiting()
            if by.ref == self.asked_by:
                raise RetentionError("same", "Another admin has to agree.")
            self._end(by)
            rule = Retention.current()
            rule._apply(
                self.figures, by=by, comment=self.comment, asked_by=self.asked_by, asked_by_name=self.asked_by_name
            )  # fmt: skip
        return rule

    def drop(self, *, by: Actor) -> None:
        """Raises RetentionError."""
        with fence.exclusive():
            _check_right(by)
            self._require_waiting()
            self._end(by)
            self._tell(Kind.RETENTION_SHORTENING_DROPPED, by=by)

    def _require_waiting(self) -> None:
        if not type(self).objects.filter(pk=self.pk, ended_at=None).exists():
            raise RetentionError("ended", "That was answered already.")

    def _end(self, by: Actor) -> None:
        type(self).objects.filter(pk=self.pk).update(ended_at=Now(), ended_by_name=by.name)

    def _tell(self, kind: Kind, *, by: Actor, comment: str = "") -> None:
        log.record(
            kind, by=by, subject=SUBJECT, subject_name="Retention", before=Retention.current().figures,
            after=self.figures, detail={"comment": comment} if comment else None,
        )  # fmt: skip


class LegalHold(models.Model):
    """`subject` (`action:5`, `investigation:7`) is kept, whatever its age, until somebody lets go of it."""

    subject = models.CharField(max_length=60)
    reason = models.TextField()
    placed_by_name = models.CharField(max_length=200)
    placed_at = models.DateTimeField(db_default=Now())
    released_by_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject"], name="legal_hold_once", condition=models.Q(released_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"hold on {self.subject}"

    @classmethod
    def place(cls, subject: str, *, by: Actor, reason: str) -> Self:
        """Raises RetentionError."""
        if not HELD.fullmatch(subject):
            raise RetentionError("unknown", f"{subject!a} is neither an action nor an investigation.")
        with fence.exclusive():
            _check_right(by)
            _check_reason(reason)
            if cls.in_force().filter(subject=subject).exists():
                raise RetentionError("held", f"{subject} is held already.")
            row = cls.objects.create(subject=subject, reason=reason.strip(), placed_by_name=by.name)
            row._tell(Kind.HOLD_PLACED, by=by, reason=reason)
        return row

    @classmethod
    def release(cls, subject: str, *, by: Actor, reason: str) -> None:
        """Raises RetentionError."""
        with fence.exclusive():
            _check_right(by)
            _check_reason(reason)
            row = cls.in_force().filter(subject=subject).first()
            if row is None:
                raise RetentionError("free", f"{subject} isn't held.")
            cls.objects.filter(pk=row.pk).update(released_at=Now(), released_by_name=by.name)
            row._tell(Kind.HOLD_RELEASED, by=by, reason=reason)

    @classmethod
    def in_force(cls) -> "models.QuerySet[LegalHold]":
        return cls.objects.filter(released_at=None)

    @classmethod
    def numbers(cls, of: str) -> set[int]:
        """Numbers held of `action` or `investigation`."""
        held = cls.in_force().filter(subject__startswith=f"{of}:").values_list("subject", flat=True)
        return {int(subject.partition(":")[2]) for subject in held}

    def _tell(self, kind: Kind, *, by: Actor, reason: str) -> None:
        stream: dict[str, Any] = {"subject": SUBJECT, "subject_name": self.subject}
        placed = kind is Kind.HOLD_PLACED
        log.record(
            kind, by=by, before={"on_hold": not placed}, after={"on_hold": placed},
            detail={"held": self.subject, "comment": reason.strip()}, **stream,
        )  # fmt: skip


def subject_of(text: str) -> str:
    """`A-5` or `INV-7` as the log calls them. Raises RetentionError."""
    match = LABELLED.fullmatch(text)
    if match is None:
        raise RetentionError("unknown", f"{text} is neither an action (A-5) nor an investigation (INV-7)")
    return f"{'action' if match[1] == 'A' else 'investigation'}:{match[2]}"


def _check_right(by: Actor) -> None:
    if not may_change(by):
        raise RetentionError("role", "Only an admin changes what is kept.")
    if not has_proved(by):
        raise RetentionError("reauthenticate", PROOF_NEEDED)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise RetentionError("reason", "A reason is required.")
