"""Plans and votes: what a person saw and what he said."""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce, Now

from actioncenter.actions.models.proposal import digest, stored

COUNTED_WITHIN: Final = timedelta(hours=1)
"""How old the count of what stands for many may be when somebody approves it."""


class Plan(models.Model):
    """Written by the runner. `digest` covers material facts only; `body` is what people see."""

    action = models.ForeignKey("actions.Action", on_delete=models.CASCADE, related_name="plans")
    revision = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    body = models.JSONField(default=dict)
    first_seal = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Its seal when it was made; an approval keeps this one, execution computes it again."""
    new_copies = models.PositiveIntegerField(default=0, db_default=0)
    """Messages that the first plan of its revision did not have; they need a yes of their own."""
    made_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.digest[:8]

    def save(self, *args: Any, **options: Any) -> None:
        if self._state.adding:
            self.first_seal = self.seal
        super().save(*args, **options)

    @property
    def seal(self) -> str:
        """Over the digest and the whole of what people saw. Another than the first: changed in place."""
        return digest([self.digest, stored(self.body)])


class Vote(models.Model):
    """Append-only. Names are copied: a vote outlives the account."""

    # The unique key begins with the action, and nobody looks votes up by person or plan.
    action = models.ForeignKey(
        "actions.Action", on_delete=models.CASCADE, related_name="votes", db_index=False
    )
    revision = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    choice = models.PositiveSmallIntegerField()
    # Neither is ever set to null: a vote is never changed. Accounts are deactivated, not deleted.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    user_ref = models.CharField(max_length=60)
    user_name = models.CharField(max_length=200)
    comment = models.TextField(blank=True)
    plan = models.ForeignKey(
        Plan, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    mode = models.CharField(max_length=20, blank=True, default="", db_default="")
    """How it was cast: `click`, `key`, `bulk`, `typed`, `break_glass`."""
    cast_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            # Who approved a plan that has changed since may look at the new one and vote again.
            models.UniqueConstraint(
                "action", "revision", "user_ref", Coalesce("plan_id", 0), name="vote_one_per_person_and_plan"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_name} on {self.action_id}"
