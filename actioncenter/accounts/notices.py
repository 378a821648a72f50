"""Telling people."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, RoleGrant, User
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import Role

KEPT: Final = timedelta(days=90)
"""How long a notice is kept after it was read."""
AT_ONCE: Final = 1000


def notify(
    users: Iterable[User],
    kind: str,
    *,
    title: str,
    params: Mapping[str, Any] | None = None,
    url: str = "",
    severity: Severity = Severity.INFO,
) -> None:
    """One notice for each, in the caller's transaction. A title that is too long is cut.

    It is mailed too, to those who want that: at once, or with the others of the hour if it is INFO.
    """
    mail_after = _mail_after(severity)
    Notice.objects.bulk_create(
        Notice(
            user=user,
            kind=kind,
            title=title[:300],
            params=dict(params or {}),
            url=url,
            severity=severity.value,
            mail_after=mail_after if user.notices_by_mail and user.email else None,
        )
        for user in users
    )


def notify_admins(
    kind: str,
    *,
    title: str,
    params: Mapping[str, Any] | None = None,
    url: str = "",
    severity: Severity = Severity.INFO,
) -> None:
    """As `notify`, for everyone who is an admin now."""
    notify(admins(), kind, title=title, params=params, url=url, severity=severity)


def no_longer_urgent(kind: str, params: Mapping[str, Any]) -> None:
    """What they told of is over: unread ones stay in the list, and above no page any more."""
    told = Notice.objects.unread().filter(kind=kind, params=dict(params), severity=Severity.URGENT)
    told.update(severity=Severity.WARNING)


def admins() -> "QuerySet[User]":
    """Everyone who is an admin now."""
    return User.objects.filter(pk__in=RoleGrant.objects.in_force().filter(role=Role.ADMIN).values("user_id"))


def past_keeping() -> "QuerySet[Notice]":
    return Notice.objects.filter(read_at__lt=Now() - KEPT)


def purge(*, by: Actor) -> int:
    """Forget the oldest that are past keeping; returns how many."""
    with transaction.atomic():
        oldest = list(past_keeping().order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
        number, _ = Notice.objects.filter(pk__in=oldest).delete()
        if number:
            log.record(Kind.RETENTION_PURGED, by=by, subject="notices", detail={"notices": number})
    return number


def _mail_after(severity: Severity) -> datetime | Now | None:
    if not settings.MAIL_ON:
        return None
    if severity is not Severity.INFO:
        return Now()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(hours=1)
