"""How much automation may do by itself within an hour: counted in the database, under a row lock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.groups import DeviceGroup

WINDOW: Final = timedelta(hours=1)
COUNTED: Final = WINDOW + timedelta(minutes=1)
"""From a minute's beginning until its last second is an hour old."""
KEPT: Final = timedelta(days=1)
KNOWN_FOR: Final = WINDOW
"""How long ago a device was first seen at least, to count for its group's share."""
WARN_PERCENT: Final = 80
PAGE: Final = "/settings/safeguards"


class RailKey(NamedTuple):
    """Which cap: `group_id` None where no device group applies."""

    group_id: int | None
    device_wide: bool

    @property
    def place(self) -> tuple[int, bool]:
        """In this order rails are locked, by everybody."""
        return (self.group_id or 0, self.device_wide)


@dataclass(slots=True)
class Window:
    """What was used lately: (beginning of the minute, number), the oldest first."""

    now: datetime
    minutes: list[tuple[datetime, int]]

    @property
    def used(self) -> int:
        return sum(number for _, number in self.minutes)

    def free_at(self, cap: int) -> datetime | None:
        """When the next one may run; None if never. Now where the cap isn't reached."""
        left, at = self.used, self.now
        for minute, number in self.minutes:
            if left < cap:
                break
            left, at = left - number, minute + COUNTED
        return at if left < cap else None

    def use(self) -> None:
        """One more, within the minute of the lock."""
        minute = self.now.replace(second=0, microsecond=0)
        if not self.minutes or self.minutes[-1][0] != minute:
            self.minutes.append((minute, 0))
        self.minutes[-1] = (minute, self.minutes[-1][1] + 1)


class Rail(models.Model):
    """One cap: whoever counts or uses it holds its row lock."""

    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.CASCADE, related_name="rails")
    device_wide = models.BooleanField()
    warned_at = models.DateTimeField(null=True)
    capped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(Coalesce("group_id", 0), "device_wide", name="rail_unique")]

    def __str__(self) -> str:
        return f"{'devices' if self.device_wide else 'entities'} of {self.group_id or 'no group'}"

    @property
    def key(self) -> RailKey:
        return RailKey(self.group_id, self.device_wide)

    @classmethod
    def hold(cls, keys: Iterable[RailKey]) -> "dict[RailKey, Rail]":
        """Lock them until the transaction ends; those that never were are made.

        One call per transaction, for every rail it will need: all lock in the same order then, and
        nobody who waits here holds what another who waits here needs.
        """
        wanted = sorted(set(keys), key=lambda key: key.place)
        rows = cls.objects.filter(_any_of(wanted))
        if rows.count() < len(wanted):
            made = [Rail(group_id=key.group_id, device_wide=key.device_wide) for key in wanted]
            Rail.objects.bulk_create(made, ignore_conflicts=True)
        rows = rows.order_by(Coalesce("group_id", 0), "device_wide")
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True)
        return {row.key: row for row in rows}

    def remember(self, window: Window, used: int, *, cap: int, refused: bool, name: str, by: Actor) -> None:
        """Write down what was used, and warn. The caller holds the lock (see `hold`)."""
        if used:
            self._count(window.minutes[-1])
        reached = refused or (used > 0 and window.used >= cap)
        if reached and self._first("capped_at", window.now):
            self._tell(Kind.RAIL_REACHED, window, cap, name, by=by)
            return
        near = used and window.used * 100 >= cap * WARN_PERCENT
        if near and not reached and self._first("warned_at", window.now):
            self._tell(Kind.RAIL_WARNED, window, cap, name, by=by)

    def _count(self, minute: tuple[datetime, int]) -> None:
        begin, number = minute
        rows = RailUse.objects.filter(group_id=self.group_id, device_wide=self.device_wide)
        if not rows.filter(minute=begin).update(used=number):
            RailUse.objects.create(
                group_id=self.group_id, device_wide=self.device_wide, minute=begin, used=number
            )
            rows.filter(minute__lt=begin - KEPT).delete()

    def _first(self, mark: str, now: datetime) -> bool:
        """Whether nobody was told within the window; they are from now on."""
        told: datetime | None = getattr(self, mark)
        if told is not None and told > now - WINDOW:
            return False
        setattr(self, mark, now)
        self.save(update_fields=[mark])
        return True

    def _tell(self, kind: Kind, window: Window, cap: int, name: str, *, by: Actor) -> None:
        what = "device-wide actions" if self.device_wide else "actions on files and other entities"
        reached = kind == Kind.RAIL_REACHED
        log.record(
            kind,
            by=by,
            subject=f"group:{self.group_id}" if self.group_id else "group:none",
            subject_name=name,
            after={"used": window.used, "cap": cap, "device_wide": self.device_wide},
            group_id=self.group_id,
            # Of its own: written under this row's lock only, so its own lock holds up nobody.
            stream=f"rail:{self.pk}",
        )
        notify_admins(
            kind.value.replace(".", "_"),
            title=f"{name}: {window.used} of {cap} automatic {what} within an hour"
            + ("; further ones wait for a person" if reached else ""),
            url=PAGE,
            severity=Severity.URGENT if reached else Severity.WARNING,
        )


class RailUse(models.Model):
    """How many automatic actions a group has had in one minute; the sliding window sums rows."""

    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.CASCADE)
    device_wide = models.BooleanField()
    minute = models.DateTimeField()
    used = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Coalesce("group_id", 0), "device_wide", "minute", name="rail_minute_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.used} in {self.minute}"

    @classmethod
    def windows(cls, keys: Iterable[RailKey]) -> dict[RailKey, Window]:
        """What counts now, by the database's clock. To rely on it, hold the rails first."""
        wanted = set(keys)
        now = Rail.objects.annotate(now=Now()).values_list("now", flat=True).first()
        if now is None:
            return {}
        windows = {key: Window(now, []) for key in wanted}
        counted = cls.objects.filter(_any_of(wanted), minute__gt=now - COUNTED).order_by("minute")
        for row in counted:
            windows[RailKey(row.group_id, row.device_wide)].minutes.append((row.minute, row.used))
        return windows


def _any_of(keys: Iterable[RailKey]) -> Q:
    by_kind: Mapping[bool, set[int | None]] = {True: set(), False: set()}
    for key in keys:
        by_kind[key.device_wide].add(key.group_id)
    wanted = Q(pk__in=[])
    for device_wide, groups in by_kind.items():
        named = Q(group_id__in=groups - {None})
        wanted |= Q(named | Q(group_id=None) if None in groups else named, device_wide=device_wide)
    return wanted
