"""What a person may see. The one predicate that every page, count, export and bulk goes through."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Exists, Q, QuerySet

from actioncenter.accounts.models import RoleGrant
from actioncenter.actions.enums import Area
from actioncenter.settings.enums import Role
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of

if TYPE_CHECKING:
    from actioncenter.accounts.models import User

Rows = TypeVar("Rows", bound="QuerySet[Any]")


@dataclass(frozen=True, slots=True)
class Scope:
    """`groups` is None for every group; `areas` may be empty (then nothing is visible)."""

    groups: frozenset[int] | None
    areas: frozenset[Area]


def scope_for(user: "User") -> Scope:
    """Domain §7.1 and §8.2: auditors and admins see all; others the groups open to them.

    A group without user groups is open to everybody. Areas limit deciding, not seeing, except
    that somebody without any role sees nothing.
    """
    roles = user.roles if user.is_active else frozenset()
    limited = not _see_all(roles) and bool(rows_of(_limited()))
    return _scope(roles, user.pk, limited=bool(roles) and limited)


def roles_and_scope(user_id: int) -> tuple[frozenset[Role], Scope]:
    """Both as the database has them now, in one statement where no group is limited to some people."""
    limited = Exists(DeviceGroup.access.through.objects.all())
    held = RoleGrant.objects.in_force().filter(user_id=user_id).annotate(limited=limited)
    rows = list(held.values_list("role", "limited"))
    roles = frozenset(Role(role) for role, _ in rows)
    return roles, _scope(roles, user_id, limited=any(limited for _, limited in rows))


def _see_all(roles: frozenset[Role]) -> bool:
    return not roles.isdisjoint({Role.AUDITOR, Role.ADMIN})


def _scope(roles: frozenset[Role], user_id: int, *, limited: bool) -> Scope:
    if not roles:
        return Scope(groups=frozenset(), areas=frozenset())
    if _see_all(roles) or not limited:
        return Scope(groups=None, areas=frozenset(Area))
    return Scope(groups=frozenset(pk for (pk,) in rows_of(_open_to(), [user_id])), areas=frozenset(Area))


@kept
def _limited() -> Compiled | None:
    """A row where any group is open to some people only."""
    return compiled(DeviceGroup.access.through.objects.values("pk")[:1])


@kept
def _open_to() -> Compiled | None:
    return compiled(
        DeviceGroup.objects.filter(Q(access__isnull=True) | Q(access__user=given(0))).values("pk")
    )


def visible(rows: Rows, user: "User") -> Rows:
    """Limit rows that carry `area` and `group_id` to what the user may see."""
    return within(rows, scope_for(user))


def within(rows: Rows, scope: Scope) -> Rows:
    """The same for a scope that was read before, as a page does that shows several tables.

    Rows without a group (email, tenant) depend on the area alone (domain Q25).
    """
    if not scope.areas:
        return rows.none()
    if scope.areas != frozenset(Area):
        rows = rows.filter(Q(area__in=scope.areas) | Q(area__isnull=True))
    return _of_groups(rows, scope)


def devices_within(rows: Rows, scope: Scope) -> Rows:
    """Of devices, which carry a group and are no email."""
    return _of_groups(rows, scope) if Area.DEVICE in scope.areas else rows.none()


def mailboxes_within(rows: Rows, scope: Scope) -> Rows:
    """Of mailboxes, which lie in no group."""
    return rows if Area.EMAIL in scope.areas else rows.none()


def _of_groups(rows: Rows, scope: Scope) -> Rows:
    if scope.groups is None:
        return rows
    return rows.filter(Q(group_id__isnull=True) | Q(group_id__in=scope.groups))
