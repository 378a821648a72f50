"""Telling people."""

from collections.abc import Iterable, Mapping
from typing import Any

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, RoleGrant, User
from actioncenter.settings.enums import Role


def notify(
    users: Iterable[User],
    kind: str,
    *,
    title: str,
    params: Mapping[str, Any] | None = None,
    url: str = "",
    severity: Severity = Severity.INFO,
) -> None:
    """One notice for each, in the caller's transaction. A title that is too long is cut."""
    Notice.objects.bulk_create(
        Notice(
            user=user,
            kind=kind,
            title=title[:300],
            params=dict(params or {}),
            url=url,
            severity=severity.value,
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
    admins = User.objects.filter(
        pk__in=RoleGrant.objects.in_force().filter(role=Role.ADMIN).values("user_id")
    )
    notify(admins, kind, title=title, params=params, url=url, severity=severity)
