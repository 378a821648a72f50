"""Telling people about things: one row per person, shown in the product."""

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
    """Write one notice per person. `url` is a path inside the product."""
    Notice.objects.bulk_create(
        Notice(user=user, kind=kind, title=title[:300], params=dict(params or {}), url=url, severity=severity)
        for user in users
    )


def notify_admins(kind: str, *, title: str, url: str = "", severity: Severity = Severity.WARNING) -> None:
    """Tell everybody who holds the role Admin now."""
    admins = RoleGrant.objects.in_force().filter(role=Role.ADMIN).values("user_id")
    notify(User.objects.filter(pk__in=admins), kind, title=title, url=url, severity=severity)
