"""What ties an action to the evidence that it rests on."""

from django.db import models

from investigations.models import Evidence


class ActionEvidence(models.Model):
    """Why an action was proposed: the evidence, its verdict then, and what policy said of it."""

    action = models.ForeignKey("actions.Action", on_delete=models.CASCADE, related_name="links")
    evidence = models.ForeignKey(Evidence, on_delete=models.CASCADE, related_name="links")
    verdict = models.PositiveSmallIntegerField()
    outcome_code = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("action", "evidence", name="action_evidence_unique")]

    def __str__(self) -> str:
        return f"{self.evidence_id} for {self.action_id}"
