"""What keeps findings from being handled is looked at again, or stops doing so."""

from datetime import datetime, timedelta
from typing import ClassVar, Final, Self, TypeVar

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.authority import may_change
from actioncenter.settings.models.safeguards import Safeguards

NOTICE_BEFORE: Final = timedelta(days=3)
PAGE: Final = "/settings/safeguards#suppressions"


class ReviewError(Exception):
    """A renewal that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Row = TypeVar("Row", bound="Reviewed")


class ReviewedQuerySet(models.QuerySet[Row]):
    """Rows whose review is due at a moment are those not looked at within the period before it."""

    def suppressing(self) -> Self:
        """Those because of which a finding isn't handled."""
        return self.filter(self.model.SUPPRESSES)

    def in_force(self, figures: Safeguards) -> Self:
        """All but suppressions that are past their review."""
        if not figures.suppression_days or _since(figures, timezone.now()):
            return self
        late = Q(reviewed_at__lte=timezone.now() - timedelta(days=figures.suppression_days))
        return self.exclude(self.model.SUPPRESSES & late)

    def lapsed(self, figures: Safeguards) -> Self:
        """Suppressions that no longer suppress."""
        return self.due(figures, at=timezone.now())

    def due(self, figures: Safeguards, *, at: datetime) -> Self:
        """Suppressions whose review is over at that moment."""
        if not figures.suppression_days or _since(figures, at):
            return self.none()
        return self.suppressing().filter(reviewed_at__lte=at - timedelta(days=figures.suppression_days))


def _since(figures: Safeguards, at: datetime) -> bool:
    """Whether the period itself is younger than its own length."""
    began = figures.suppressing_since
    return began is not None and began > at - timedelta(days=figures.suppression_days)


class Reviewed(models.Model):
    """With `Safeguards.suppression_days` set, it suppresses only until so long after its last review."""

    SUBJECT: ClassVar[str]
    SUPPRESSES: ClassVar[Q] = Q()

    reviewed_at = models.DateTimeField(db_default=Now())
    reviewed_by_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    reminded_at = models.DateTimeField(null=True)
    lapsed_at = models.DateTimeField(null=True)

    objects = ReviewedQuerySet.as_manager()

    class Meta:
        abstract = True

    def review_by(self, figures: Safeguards) -> datetime | None:
        """When it stops suppressing unless somebody renews it; None is never."""
        if not figures.suppression_days:
            return None
        return max(self.reviewed_at, figures.suppressing_since or self.reviewed_at) + timedelta(
            days=figures.suppression_days
        )

    def renew(self, *, by: Actor, comment: str = "") -> None:
        """Somebody looked and it is still wanted. Raises ReviewError."""
        with fence.exclusive():
            if not may_change(by):
                raise ReviewError("role", "Only an admin renews what keeps findings from being handled.")
            rows = type(self).objects.filter(pk=self.pk)
            if not rows.update(reviewed_at=Now(), reviewed_by_name=by.name, reminded_at=None, lapsed_at=None):
                raise ReviewError("gone", "It was removed meanwhile.")
            before = self.reviewed_at.isoformat()
            self.refresh_from_db()
            after = self.reviewed_at.isoformat()
            self._record(
                Kind.SUPPRESSION_RENEWED, by=by, before=before, after=after, detail={"comment": comment}
            )

    def _record(
        self, kind: Kind, *, by: Actor, before: str, after: str, detail: dict[str, str] | None = None
    ) -> None:
        log.record(
            kind,
            by=by,
            subject=f"{self.SUBJECT}:{self.pk}",
            subject_name=str(self)[:300],
            before={"reviewed_at": before},
            after={"reviewed_at": after},
            detail=detail,
        )

    @classmethod
    def to_tell(cls, figures: Safeguards) -> "tuple[ReviewedQuerySet[Self], ReviewedQuerySet[Self]]":
        """(soon, over): what admins haven't been told of since the last review."""
        now = timezone.now()
        over = cls.objects.lapsed(figures)
        soon = cls.objects.due(figures, at=now + NOTICE_BEFORE).exclude(pk__in=over.values("pk"))
        began = figures.suppressing_since
        return (
            soon.filter(_untold("reminded_at", began)),  # type: ignore[return-value]
            over.filter(_untold("lapsed_at", began)),
        )

    @classmethod
    def tell(cls, figures: Safeguards, *, by: Actor) -> int:
        """Remind admins of what will lapse, and say what has."""
        with transaction.atomic():
            soon, over = cls.to_tell(figures)
            told = [row._say(soon, "will stop", "reminded_at", Severity.WARNING) for row in list(soon)]
            for row in list(over):
                lapsed = row._say(over, "no longer works", "lapsed_at", Severity.URGENT)
                if lapsed:
                    at = row.reviewed_at.isoformat()
                    row._record(Kind.SUPPRESSION_LAPSED, by=by, before=at, after=at)
                told.append(lapsed)
        return sum(told)

    def _say(self, rows: "ReviewedQuerySet[Self]", what: str, mark: str, severity: Severity) -> bool:
        """False where another runner has said it or somebody renewed it: it is one of these rows no more."""
        if not rows.filter(pk=self.pk).update(**{mark: Now()}):
            return False
        title = f"{self.SUBJECT.capitalize()} {self}: its review is due, it {what}"
        notify_admins(f"suppression_{mark[:-3]}", title=title, url=PAGE, severity=severity)
        return True


def _untold(mark: str, began: datetime | None) -> Q:
    untold = Q(**{f"{mark}__isnull": True})
    return untold | Q(**{f"{mark}__lt": began}) if began else untold
