"""Devices and mailboxes, and the identities by which sources name them."""

import uuid
from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

from actioncenter.settings.models import DeviceGroup
from investigations.enums import IsolationState, Namespace, OsFamily

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Device(models.Model):
    """`group` is the single effective group; `membership_stale` makes automation wait for a person."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    dns_name = models.CharField(max_length=255, blank=True)
    domain = models.CharField(max_length=255, blank=True)
    os_family = models.PositiveSmallIntegerField(default=OsFamily.UNKNOWN)
    os_platform = models.CharField(max_length=100, blank=True)
    os_version = models.CharField(max_length=100, blank=True)
    ip_addresses = models.JSONField(default=list)
    tags = models.JSONField(default=list)
    health = models.CharField(max_length=60, blank=True)
    onboarding = models.CharField(max_length=60, blank=True)
    risk = models.CharField(max_length=20, blank=True)
    critical = models.BooleanField(default=False)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="devices")
    membership_stale = models.BooleanField(default=False)
    isolation = models.PositiveSmallIntegerField(default=IsolationState.NONE)
    execution_restricted = models.BooleanField(default=False)
    contained = models.BooleanField(default=False)
    offboarded = models.BooleanField(default=False)
    first_seen = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())

    if TYPE_CHECKING:
        identities: RelatedManager["DeviceIdentity"]

    class Meta:
        indexes = [
            models.Index(fields=["name"], name="device_name"),
            models.Index(fields=["group", "first_seen"], name="device_group_seen"),
        ]

    def __str__(self) -> str:
        return self.name


class DeviceIdentity(models.Model):
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="identities")
    namespace = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in Namespace])
    value = models.CharField(max_length=512)

    class Meta:
        constraints = [models.UniqueConstraint("namespace", "value", name="device_identity_unique")]

    def __str__(self) -> str:
        return f"{Namespace(self.namespace).name} {self.value}"


class Mailbox(models.Model):
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    address = models.CharField(max_length=320)
    display_name = models.CharField(max_length=255, blank=True)
    user_principal_name = models.CharField(max_length=320, blank=True)
    critical = models.BooleanField(default=False)
    first_seen = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())

    if TYPE_CHECKING:
        identities: RelatedManager["MailboxIdentity"]

    class Meta:
        verbose_name_plural = "mailboxes"
        indexes = [models.Index(fields=["address"], name="mailbox_address")]

    def __str__(self) -> str:
        return self.address


class MailboxIdentity(models.Model):
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="identities")
    namespace = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in Namespace])
    value = models.CharField(max_length=512)

    class Meta:
        constraints = [models.UniqueConstraint("namespace", "value", name="mailbox_identity_unique")]

    def __str__(self) -> str:
        return f"{Namespace(self.namespace).name} {self.value}"


class MergeProposal(models.Model):
    """Two devices or mailboxes that a source named as one. A person decides; never merged silently."""

    kind = models.CharField(max_length=10, choices=[("device", "device"), ("mailbox", "mailbox")])
    first_id = models.BigIntegerField()
    second_id = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("kind", "first_id", "second_id", name="merge_proposal_unique"),
            models.CheckConstraint(
                condition=models.Q(first_id__lt=models.F("second_id")), name="merge_ordered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.first_id} = {self.second_id}?"
