"""Reads of the outside as rows, and the duties of housekeeping."""

import uuid

from django.db import models, transaction
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.enums import Area, JobKind, JobState
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, PaceError
from actioncenter.settings.models.authority import may_change


class ConnectorJob(models.Model):
    """A check, capabilities, preview, verify or search. Claimed like actions, and never a change."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.PositiveSmallIntegerField()
    instance = models.ForeignKey(ConnectorInstance, on_delete=models.CASCADE, related_name="jobs")
    action = models.ForeignKey("actions.Action", null=True, on_delete=models.CASCADE, related_name="jobs")
    search = models.ForeignKey("actions.MailSearch", null=True, on_delete=models.CASCADE, related_name="jobs")
    request = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    state = models.PositiveSmallIntegerField(default=JobState.QUEUED)
    error = models.CharField(max_length=1000, blank=True)
    requested_by_name = models.CharField(max_length=200)
    area = models.PositiveSmallIntegerField(default=Area.DEVICE)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], name="job_open", condition=models.Q(state__lte=JobState.RUNNING.value)
            )
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @classmethod
    def request_check(cls, instance: ConnectorInstance, *, by: Actor) -> bool:
        """Have a runner ask how it is, enabled or not; False while one is about to. Raises PaceError."""
        with fence.exclusive():
            if not may_change(by):
                raise PaceError("role", "Only an admin has a connector checked.")
            if cls.checks_of(instance.pk).exists():
                return False
            cls.objects.create(kind=JobKind.CHECK, instance=instance, requested_by_name=by.name)
            subject, name = f"connector:{instance.pk}", instance.name[:300]
            log.record(Kind.JOB_REQUESTED, by=by, subject=subject, subject_name=name, detail={"job": "check"})
            transaction.on_commit(dispatch.wake, robust=True)
        return True

    @classmethod
    def checks_of(cls, instance: int) -> "models.QuerySet[ConnectorJob]":
        """Those that aren't over."""
        return cls.objects.filter(kind=JobKind.CHECK, instance=instance, state__lte=JobState.RUNNING)


class Duty(models.Model):
    """A lease on one housekeeping duty, so that two runners don't do it at once."""

    name = models.CharField(max_length=60, primary_key=True)
    holder = models.CharField(max_length=120, blank=True)
    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "duties"

    def __str__(self) -> str:
        return self.name


class RunnerBeat(models.Model):
    """A runner's sign of life, and the newest stop it has taken note of."""

    name = models.CharField(max_length=120, primary_key=True)
    host = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    in_flight = models.PositiveIntegerField(default=0)
    acknowledged = models.BigIntegerField(default=0)
    """Number of the newest Stop it had read when it last looked."""
    acknowledged_at = models.DateTimeField(null=True)
    alarmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    unfit = models.CharField(max_length=500, blank=True, default="", db_default="")
    """Why it begins nothing, although it lives."""

    def __str__(self) -> str:
        return self.name
