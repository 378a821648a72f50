"""Evidence with its verdict, and clusters of email."""

from django.db import models
from django.db.models.functions import Now

from actioncenter.actions.enums import Area
from actioncenter.settings.models import DeviceGroup
from investigations.enums import RemediationStatus, Verdict
from investigations.models.alert import Alert
from investigations.models.assets import Device, Mailbox
from investigations.models.investigation import Investigation
from investigations.models.messages import key_field, key_index
from investigations.models.scoped import ScopedQuerySet

UNPLANNED = models.Q(planned_verdict__isnull=True) | ~models.Q(planned_verdict=models.F("verdict"))


class EmailCluster(models.Model):
    """Related messages. `frozen_count` is what the source counted; `live_count` what was last read."""

    investigation = models.ForeignKey(Investigation, on_delete=models.CASCADE, related_name="clusters")
    name = models.CharField(max_length=512, blank=True)
    cluster_by = models.CharField(max_length=255, blank=True)
    query = models.TextField(blank=True)
    query_time = models.DateTimeField(null=True)
    frozen_count = models.PositiveIntegerField(default=0)
    live_count = models.PositiveIntegerField(null=True)
    live_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    members = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name or self.cluster_by


class Evidence(models.Model):
    """One item per investigation and `key` (hash of type, identity and place).

    `planned_verdict` is the verdict that planning has worked on; unequal means unplanned.
    """

    investigation = models.ForeignKey(Investigation, on_delete=models.CASCADE, related_name="evidence")
    alerts = models.ManyToManyField(Alert, through="EvidenceAlert", related_name="evidence")
    key = models.CharField(max_length=64)
    type = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=512)
    verdict = models.PositiveSmallIntegerField(default=Verdict.UNKNOWN)
    remediation = models.PositiveSmallIntegerField(default=RemediationStatus.NONE)
    remediation_note = models.CharField(max_length=255, blank=True)
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="evidence")
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.SET_NULL, related_name="evidence")
    cluster = models.ForeignKey(EmailCluster, null=True, on_delete=models.CASCADE, related_name="evidence")
    path = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    message_key = key_field()
    """Of the message that it is or lies in (see messages.message_key)."""
    facts = models.JSONField(default=dict)
    roles = models.JSONField(default=list)
    threats = models.JSONField(default=list)
    detection_origin = models.CharField(max_length=120, blank=True)
    recommends_isolation = models.BooleanField(default=False)
    altered = models.BooleanField(default=False)
    identity_confidence = models.PositiveSmallIntegerField(default=100)
    area = models.PositiveSmallIntegerField(default=Area.DEVICE)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    first_seen = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())
    planned_verdict = models.PositiveSmallIntegerField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "evidence"
        constraints = [models.UniqueConstraint("investigation", "key", name="evidence_unique")]
        indexes = [
            models.Index(fields=["sha256"], name="evidence_sha", condition=~models.Q(sha256="")),
            models.Index(fields=["id"], name="evidence_unplanned", condition=UNPLANNED),
            key_index("evidence_message"),
        ]

    def __str__(self) -> str:
        return self.name


class EvidenceAlert(models.Model):
    evidence = models.ForeignKey(Evidence, on_delete=models.CASCADE)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint("evidence", "alert", name="evidence_alert_unique")]

    def __str__(self) -> str:
        return f"{self.evidence_id} in {self.alert_id}"
