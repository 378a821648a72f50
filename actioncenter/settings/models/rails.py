"""How much automation may do by itself within an hour, and when it loses its licence."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce, Now

from actioncenter.settings.enums import BreakerState
from actioncenter.settings.models.groups import DeviceGroup


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


class Breaker(models.Model):
    """Automation's licence for one type in one group, withdrawn because it went wrong too often."""

    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.CASCADE, related_name="breakers")
    action_type = models.PositiveSmallIntegerField()
    state = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in BreakerState], default=BreakerState.OPEN.value
    )
    bad = models.PositiveIntegerField()
    of = models.PositiveIntegerField()
    opened_at = models.DateTimeField(db_default=Now())
    cool_until = models.DateTimeField()
    restored_at = models.DateTimeField(null=True)
    restored_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    restored_by_name = models.CharField(max_length=200, blank=True)
    probe_id = models.BigIntegerField(null=True)
    """The one action that runs by itself before the rest may."""
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("group_id", 0),
                "action_type",
                condition=~models.Q(state=BreakerState.CLOSED.value),
                name="breaker_one_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.bad} of {self.of} went wrong"
