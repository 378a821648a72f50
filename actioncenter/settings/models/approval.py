"""Who must agree to what, and until when: approval rules, frozen into an action when it is proposed."""

from typing import Any

from django.db import models
from django.db.models.functions import Coalesce

from actioncenter.actions.enums import Risk
from actioncenter.settings.models.groups import DeviceGroup


class ApprovalRule(models.Model):
    """Who must agree to what. The most specific row wins: type, then group, then risk, then all."""

    action_type = models.PositiveSmallIntegerField(null=True, blank=True)
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.CASCADE)
    risk = models.PositiveSmallIntegerField(null=True, blank=True, choices=[(x.value, x.name) for x in Risk])
    quorum = models.PositiveSmallIntegerField(default=1)
    deny_quorum = models.PositiveSmallIntegerField(default=1)
    four_eyes = models.BooleanField(default=False)
    second_person = models.BooleanField(default=False)
    """Two people at least, the proposer counted; also when the proposer has the right to act alone."""
    reauthenticate = models.BooleanField(default=False)
    comment_on_approve = models.BooleanField(default=False)
    comment_on_reject = models.BooleanField(default=True)
    comment_on_undo = models.BooleanField(default=True)
    expiry_days = models.PositiveSmallIntegerField(default=7)
    answer_within_minutes = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expiry_days__gte=1, expiry_days__lte=30), name="rule_expiry_1_to_30"
            ),
            models.CheckConstraint(
                condition=models.Q(quorum__gte=1, deny_quorum__gte=1), name="rule_quorum_positive"
            ),
            models.UniqueConstraint(
                Coalesce("action_type", 0),
                Coalesce("group_id", 0),
                Coalesce("risk", 0),
                name="rule_scope_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quorum} of n within {self.expiry_days} days"

    def frozen(self) -> dict[str, Any]:
        """The rule as it is written into an action when that is proposed."""
        return {
            "quorum": self.quorum,
            "deny_quorum": self.deny_quorum,
            "four_eyes": self.four_eyes,
            "second_person": self.second_person,
            "reauthenticate": self.reauthenticate,
            "comment_on_approve": self.comment_on_approve,
            "comment_on_reject": self.comment_on_reject,
            "comment_on_undo": self.comment_on_undo,
            "expiry_days": self.expiry_days,
            "answer_within_minutes": self.answer_within_minutes,
        }

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        return (self.action_type is not None, self.group_id is not None, self.risk is not None)


def approval_rule(action_type: int, group_id: int | None, risk: int) -> ApprovalRule:
    """The rule that applies, or the built-in default: one approver, seven days."""
    matching = [
        rule
        for rule in ApprovalRule.objects.all()
        if rule.action_type in (None, action_type)
        and rule.group_id in (None, group_id)
        and rule.risk in (None, risk)
    ]
    return max(matching, key=lambda rule: rule.weight, default=ApprovalRule())
