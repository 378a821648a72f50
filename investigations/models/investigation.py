"""An investigation: what started it, its state, what it counts."""

import uuid

from django.db import models
from django.db.models.functions import Now

from actioncenter.actions.enums import Area
from actioncenter.settings.models import DeviceGroup
from investigations.enums import ACTIVE_STATES, InvestigationState, Severity
from investigations.models.assets import Device
from investigations.models.scoped import ScopedQuerySet


class Investigation(models.Model):
    """Its state follows its actions and evidence: see lifecycle, and `Mark`."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=255, blank=True)
    title = models.CharField(max_length=512)
    kind = models.CharField(max_length=60, blank=True)
    state = models.PositiveSmallIntegerField(default=InvestigationState.RUNNING)
    state_reason = models.CharField(max_length=120, blank=True)
    severity = models.PositiveSmallIntegerField(default=Severity.UNKNOWN)
    category = models.CharField(max_length=120, blank=True)
    detection_source = models.CharField(max_length=120, blank=True)
    area = models.PositiveSmallIntegerField(default=Area.DEVICE)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    group_name = models.CharField(max_length=120, blank=True)
    devices = models.ManyToManyField(Device, blank=True, related_name="investigations")
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(db_default=Now())
    threat_count = models.PositiveIntegerField(default=0)
    action_count = models.PositiveIntegerField(default=0)
    terminated_by_name = models.CharField(max_length=200, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("changed_at", "id", name="investigation_changed"),
        ]
        constraints = [
            models.UniqueConstraint(
                "source", "external_id", condition=~models.Q(external_id=""), name="investigation_external"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=[s.value for s in ACTIVE_STATES], ended_at__isnull=True)
                | (~models.Q(state__in=[s.value for s in ACTIVE_STATES]) & models.Q(ended_at__isnull=False)),
                name="investigation_end_with_state",
            ),
        ]

    def __str__(self) -> str:
        return f"INV-{self.pk}"

    @property
    def is_active(self) -> bool:
        return InvestigationState(self.state) in ACTIVE_STATES


class Mark(models.Model):
    """Says that actions or evidence of an investigation changed; housekeeping works it off.

    Rows of their own, because those who decide at the same time must not wait for each other.
    """

    investigation = models.ForeignKey(Investigation, on_delete=models.CASCADE, related_name="marks")

    def __str__(self) -> str:
        return f"mark of {self.investigation_id}"
