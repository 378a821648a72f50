"""Connector instances: which systems the product may reach, and where they apply."""

from django.db import models
from django.db.models.functions import Lower, Now

from actioncenter.settings.models.groups import DeviceGroup


class ConnectorInstance(models.Model):
    """`secret` is ciphertext; `priority` 1 is asked first; no groups means every group."""

    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    enabled = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)
    priority = models.PositiveIntegerField(default=100)
    max_parallel = models.PositiveSmallIntegerField(default=8)
    """Calls at once, over all runners."""
    per_minute = models.PositiveIntegerField(default=0)
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
