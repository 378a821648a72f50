"""The kill switch and the pause."""

from django.db import models
from django.db.models.functions import Coalesce, Now

from actioncenter.settings.enums import StopKind, StopScope, StopSource


class Stop(models.Model):
    """A pulled switch; in force until lifted. Its number is what runners acknowledge.

    `value` is the connector, group, action type or investigation; None stops everything.
    """

    kind = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in StopKind], default=StopKind.STOP.value
    )
    scope = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in StopScope])
    value = models.BigIntegerField(null=True, blank=True)
    value_name = models.CharField(max_length=200, blank=True)
    source = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in StopSource], default=StopSource.PAGE.value
    )
    reason = models.CharField(max_length=500, blank=True)
    pulled_by_ref = models.CharField(max_length=60, blank=True)
    pulled_by_name = models.CharField(max_length=200)
    pulled_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)
    quiet_at = models.DateTimeField(null=True)
    """When nothing that it covers was in flight any more."""
    reminded_at = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by_name = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["scope"], name="stop_live", condition=models.Q(lifted_at=None))]
        constraints = [
            models.UniqueConstraint(
                "kind",
                "scope",
                Coalesce("value", 0),
                condition=models.Q(lifted_at=None),
                name="stop_live_once",
            )
        ]

    def __str__(self) -> str:
        return f"{StopScope(self.scope).name} {self.value or ''}"
