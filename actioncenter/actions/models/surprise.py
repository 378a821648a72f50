"""What nobody expected of an action, until somebody has looked."""

from django.db import models
from django.db.models.functions import Coalesce, Now

from actioncenter.actions.enums import SurpriseKind
from actioncenter.settings.models import ConnectorInstance


class Surprise(models.Model):
    """One that was found; open until somebody who looked says so. Without an action it is about the log."""

    action = models.ForeignKey(
        "actions.Action", null=True, on_delete=models.CASCADE, related_name="surprises", db_index=False
    )
    kind = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in SurpriseKind])
    instance = models.ForeignKey(ConnectorInstance, null=True, on_delete=models.SET_NULL, related_name="+")
    said = models.CharField(max_length=500, blank=True)
    stop = models.BigIntegerField(null=True)
    """Number of what was paused or stopped because of it."""
    found_at = models.DateTimeField(db_default=Now())
    looked_at = models.DateTimeField(null=True)
    looked_by_name = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["action"], name="surprise_of_action")]
        constraints = [
            models.UniqueConstraint(
                Coalesce("action_id", 0),
                "kind",
                "said",
                condition=models.Q(looked_at=None),
                name="surprise_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{SurpriseKind(self.kind).name.lower()} of A-{self.action_id}"

    @property
    def code(self) -> str:
        """Of actions.reasons."""
        return code_of(SurpriseKind(self.kind))


def code_of(kind: SurpriseKind) -> str:
    return f"surprise_{kind.name.lower()}"
