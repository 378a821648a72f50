"""Levels that let something run by itself are looked at again each year (AL-025).

When one was last confirmed stands in the audit log: set, raised, lowered or said to be still wanted.
"""

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import CharField, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel
from actioncenter.settings.models.groups import DeviceGroup

KEPT: Final = timedelta(days=365)
TOLD_EVERY: Final = timedelta(days=7)
NOTICE: Final = "level_review"
CONFIRMING: Final = (Kind.GROUP_LEVEL_LOWERED, Kind.GROUP_LEVEL_RAISED, Kind.GROUP_LEVEL_CONFIRMED)


def dated(groups: "QuerySet[DeviceGroup]") -> "QuerySet[Any]":
    """Each with `confirmed_at`."""
    stream = Concat(Value("group:"), Cast(OuterRef("pk"), CharField()), output_field=CharField())
    newest = Event.objects.filter(stream=stream, kind__in=CONFIRMING).order_by("-seq").values("at")[:1]
    return groups.annotate(confirmed_at=Coalesce(Subquery(newest), F("created_at")))


def overdue() -> "QuerySet[Any]":
    acting = DeviceGroup.objects.filter(level__gt=AutomationLevel.SEMI_ALL)
    return dated(acting).filter(confirmed_at__lte=Now() - KEPT)


def to_tell() -> "QuerySet[Any]":
    """Those that no admin was told of lately."""
    url = Concat(Value("/settings/groups/"), Cast(OuterRef("pk"), CharField()), output_field=CharField())
    lately = Notice.objects.filter(kind=NOTICE, url=url, created_at__gt=Now() - TOLD_EVERY)
    return overdue().exclude(Exists(lately))


def tell() -> int:
    """Say to the admins what has to be looked at; returns of how many groups."""
    return sum(_tell(pk) for pk in list(to_tell().values_list("pk", flat=True)))


def _tell(pk: int) -> bool:
    """One at a time under a lock: only the notice itself says that it was told."""
    with transaction.atomic():
        list(DeviceGroup.objects.select_for_update(no_key=True).filter(pk=pk).values_list("pk"))
        group = to_tell().filter(pk=pk).first()
        if group is None:
            return False
        level = LEVEL_LABELS[AutomationLevel(group.level)]
        notify_admins(
            NOTICE,
            title=f"{group.name} has been at {level} since {group.confirmed_at:%Y-%m-%d}. Say whether it still should be",
            url=f"/settings/groups/{group.pk}",
            severity=Severity.WARNING,
        )
    return True
