"""Connector instances: which systems the product may reach, how fast, and where they apply."""

from typing import Final

from django.db import models
from django.db.models.functions import Lower, Now

from actioncenter.accounts import fence
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change
from actioncenter.settings.models.groups import DeviceGroup

MOST_PARALLEL: Final = 1000
MOST_PER_MINUTE: Final = 60_000


class PaceError(Exception):
    """A change of how a connector is treated that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConnectorInstance(models.Model):
    """`secret` is ciphertext; `priority` 1 is asked first; no groups means every group."""

    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    enabled = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)
    priority = models.PositiveIntegerField(default=100)
    max_parallel = models.PositiveSmallIntegerField(default=8, db_default=8)
    """Calls at once, over all runners."""
    per_minute = models.PositiveIntegerField(default=0, db_default=0)
    """Calls begun per minute, over all runners; 0 is no limit."""
    groups = models.ManyToManyField(DeviceGroup, blank=True, related_name="connectors")
    settings = models.JSONField(default=dict)
    secret = models.BinaryField(blank=True, default=b"")
    created_at = models.DateTimeField(db_default=Now())
    health = models.JSONField(default=dict)
    health_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["priority", "id"]
        constraints = [models.UniqueConstraint(Lower("name"), name="connector_name_unique")]

    def __str__(self) -> str:
        return self.name

    def set_pace(self, *, max_parallel: int, per_minute: int, by: Actor) -> bool:
        """Limit its calls; returns whether that changed anything. `self` is what the person saw.

        Raises PaceError with code `range`, `role`, `reauthenticate` or `changed`.
        """
        if not 1 <= max_parallel <= MOST_PARALLEL or not 0 <= per_minute <= MOST_PER_MINUTE:
            raise PaceError(
                "range",
                f"At once 1 to {MOST_PARALLEL:,} calls, per minute at most {MOST_PER_MINUTE:,}; 0 is no limit.",
            )
        before = {"max_parallel": self.max_parallel, "per_minute": self.per_minute}
        after = {"max_parallel": max_parallel, "per_minute": per_minute}
        with fence.exclusive():
            if not may_change(by):
                raise PaceError("role", "Only an admin changes how a connector is treated.")
            if not has_proved(by):
                raise PaceError("reauthenticate", PROOF_NEEDED)
            if not type(self).objects.filter(pk=self.pk, **before).update(**after):
                raise PaceError("changed", "Somebody changed it since you opened this page.")
            if before == after:
                return False
            log.record(
                Kind.CONNECTOR_CHANGED, by=by, subject=f"connector:{self.pk}", subject_name=self.name[:300],
                before=before, after=after,
            )  # fmt: skip
        self.max_parallel, self.per_minute = max_parallel, per_minute
        return True
