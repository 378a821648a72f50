"""What a person may see. The one predicate that every page, count, export and bulk goes through."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Q, QuerySet

from actioncenter.actions.enums import Area
from actioncenter.settings.enums import Role
from actioncenter.settings.models import DeviceGroup

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
    roles = user.roles
    if not user.is_active or not roles:
        return Scope(groups=frozenset(), areas=frozenset())
    if roles & {Role.AUDITOR, Role.ADMIN}:
        return Scope(groups=None, areas=frozenset(Area))
    if not DeviceGroup.objects.filter(access__isnull=False).exists():
        return Scope(groups=None, areas=frozenset(Area))
    open_to = DeviceGroup.objects.filter(Q(access__isnull=True) | Q(access__in=user.groups.all()))
    return Scope(groups=frozenset(open_to.values_list("pk", flat=True)), areas=frozenset(Area))


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
    if scope.groups is None:
        return rows
    return rows.filter(Q(group_id__isnull=True) | Q(group_id__in=scope.groups))
