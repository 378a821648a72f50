"""One alert of a source."""

from django.db import models
from django.db.models.functions import Now

from actioncenter.actions.enums import Area
from actioncenter.settings.models import DeviceGroup
from investigations.enums import AlertStatus, Severity
from investigations.models.investigation import Investigation
from investigations.models.scoped import ScopedQuerySet


class Alert(models.Model):
    """`digest` is the hash of the normalised document: equal means a replay changes nothing."""

    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=255)
    incident_id = models.CharField(max_length=255, blank=True)
    investigation = models.ForeignKey(
        Investigation, null=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    not_started = models.PositiveSmallIntegerField(null=True)
    title = models.CharField(max_length=512)
    description = models.TextField(blank=True)
    severity = models.PositiveSmallIntegerField(default=Severity.UNKNOWN)
    category = models.CharField(max_length=120, blank=True)
    status = models.PositiveSmallIntegerField(default=AlertStatus.NEW)
    service_source = models.CharField(max_length=120, blank=True)
    detection_source = models.CharField(max_length=120, blank=True)
    threat_family = models.CharField(max_length=255, blank=True)
    techniques = models.JSONField(default=list)
    facts = models.JSONField(default=dict)
    altered = models.BooleanField(default=False)
    area = models.PositiveSmallIntegerField(default=Area.DEVICE)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    first_activity = models.DateTimeField(null=True)
    last_activity = models.DateTimeField(null=True)
    raised_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    digest = models.CharField(max_length=64, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("source", "external_id", name="alert_unique")]
        indexes = [models.Index(fields=["source", "incident_id"], name="alert_incident")]

    def __str__(self) -> str:
        return self.title
