"""What people owe each other: the review of an emergency decision, and the handover of a shift."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from actioncenter.actions.models import breaking_glass, handing_over
from actioncenter.audit.actor import Actor

PEOPLE = settings.AUTH_USER_MODEL


class Review(models.Model):
    """A decision made alone in an emergency, to be judged by another person afterwards."""

    action = models.OneToOneField("actions.Action", on_delete=models.CASCADE, related_name="review")
    made_by_ref = models.CharField(max_length=60)
    made_by_name = models.CharField(max_length=200)
    reason = models.TextField()
    made_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField()
    reminded_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by_ref = models.CharField(max_length=60, blank=True)
    reviewed_by_name = models.CharField(max_length=200, blank=True)
    justified = models.BooleanField(null=True)
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["due_at", "id"]
        indexes = [
            models.Index(fields=["due_at"], name="review_open", condition=models.Q(reviewed_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"review of {self.action_id}"

    def judge(self, *, by: Actor, justified: bool, comment: str) -> "Review":
        """Another person who could have decided says whether it was right.

        Raises Refused, Invalid, Conflict, NotVisible.
        """
        return breaking_glass.judge(self, by=by, justified=justified, comment=comment)


class Handover(models.Model):
    """What one shift hands to the next. Nothing moves before it is accepted."""

    given_by = models.ForeignKey(PEOPLE, null=True, on_delete=models.SET_NULL, related_name="+")
    given_by_name = models.CharField(max_length=200)
    taken_by = models.ForeignKey(PEOPLE, null=True, on_delete=models.SET_NULL, related_name="+")
    taken_by_name = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField()
    offered_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    body = models.JSONField(default=dict)
    """The generated sections, as they were when it was offered."""
    concerns = models.TextField(blank=True)
    restated = models.TextField(blank=True)
    """The three most important points in the words of whoever takes over."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                "given_by",
                name="handover_one_open",
                condition=models.Q(accepted_at__isnull=True, cancelled_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"handover of {self.given_by_name}"

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.cancelled_at is None

    @classmethod
    def offer(cls, *, by: Actor, since: datetime, concerns: str = "") -> "Handover":
        """Write down how things stand since the shift began. Raises HandoverError, Refused."""
        return handing_over.offer(cls, by=by, since=since, concerns=concerns)

    def accept(self, *, by: Actor, restated: str, seen: Collection[str]) -> int:
        """Take over, having ticked every section; returns how many actions moved.

        Raises HandoverError, Refused.
        """
        return handing_over.accept(self, by=by, restated=restated, seen=seen)

    def cancel(self, *, by: Actor) -> None:
        """Whoever offered it takes it back. Raises HandoverError."""
        handing_over.cancel(self, by=by)
