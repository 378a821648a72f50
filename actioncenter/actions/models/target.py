"""Targets of an action, and the attempts made on them."""

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.actions.enums import ActionType, AttemptState, TargetKind, TargetState
from actioncenter.actions.models.proposal import canonical, substance
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Device, Mailbox
from investigations.models.messages import key_field, key_index, message_key

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action
    from actioncenter.actions.models.proposal import TargetDraft

NAME_LIMIT = 512
OF_MESSAGES = frozenset({TargetKind.MESSAGE, TargetKind.ATTACHMENT})


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What became of one target. `before` is what an undo needs."""

    target_id: int
    state: TargetState
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    error_class: str = ""


class Attempt(models.Model):
    """One handing-over of some of an action's targets to one connector instance.

    Recorded before the connector is called. `public_id` is the idempotency key of the outside
    call and survives lost leases; `token` is the fencing token; `sent_at` the intent mark.
    """

    action = models.ForeignKey("actions.Action", on_delete=models.CASCADE, related_name="attempts")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    instance = models.ForeignKey(ConnectorInstance, null=True, on_delete=models.SET_NULL, related_name="+")
    instance_name = models.CharField(max_length=120, blank=True)
    number = models.PositiveIntegerField(default=1)
    state = models.PositiveSmallIntegerField(default=AttemptState.CLAIMED)
    token = models.PositiveIntegerField(default=1)
    runner = models.CharField(max_length=120)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    cursor = models.JSONField(null=True)
    next_poll_at = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=255, blank=True)
    error_class = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["lease_until"], name="attempt_open", condition=models.Q(ended_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.action_id}"


class ActionTarget(models.Model):
    """`restore` is what an undo needs, encrypted; `after` what was read back, for people."""

    action = models.ForeignKey("actions.Action", on_delete=models.CASCADE, related_name="targets")
    kind = models.PositiveSmallIntegerField()
    entity = models.TextField(blank=True)
    name = models.CharField(max_length=512)
    on_name = models.CharField(max_length=320, blank=True)
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="+")
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.SET_NULL, related_name="+")
    facts = models.JSONField(default=dict)
    message_key = key_field()
    """Of the message that it is or lies in."""
    lane = models.CharField(max_length=255)
    instance = models.ForeignKey(ConnectorInstance, null=True, on_delete=models.SET_NULL, related_name="+")
    instance_name = models.CharField(max_length=120, blank=True)
    remote = models.CharField(max_length=512, blank=True)
    state = models.PositiveSmallIntegerField(default=TargetState.QUEUED)
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.SET_NULL, related_name="targets")
    not_before = models.DateTimeField(null=True)
    restore = models.BinaryField(default=b"")
    after = models.JSONField(default=dict)
    error_class = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)
    tries = models.PositiveIntegerField(default=0)
    blocks = models.BooleanField(default=False, db_default=False)
    """An undo that failed: its lane is closed until somebody acknowledges that."""
    read_back_at = models.DateTimeField(null=True)
    in_force = models.BooleanField(default=False, db_default=False)
    """Done and lasting, and as far as we know neither taken back nor overtaken since."""
    checked_at = models.DateTimeField(null=True)
    """When it was last its turn to be looked at, whether it is still in force."""
    drifted_at = models.DateTimeField(null=True)
    drift = models.JSONField(default=dict, db_default={})
    """What the target showed instead; empty while it shows what was done."""
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                "lane",
                condition=models.Q(state=TargetState.IN_PROGRESS.value),
                name="target_one_in_progress_per_lane",
            )
        ]
        indexes = [
            models.Index(
                fields=["lane", "id"],
                name="target_open_lane",
                condition=models.Q(state__lte=TargetState.UNKNOWN.value),
            ),
            models.Index(fields=["lane"], name="target_blocking", condition=models.Q(blocks=True)),
            # Lanes of devices are found by their device; mail has none.
            models.Index(
                fields=["lane", "action"],
                name="target_done_lane",
                condition=models.Q(state=TargetState.SUCCEEDED.value, device__isnull=True),
            ),
            models.Index(
                fields=["checked_at", "id"], name="target_in_force", condition=models.Q(in_force=True)
            ),
            models.Index(fields=["lane"], name="target_in_force_lane", condition=models.Q(in_force=True)),
            models.Index(fields=["device"], name="target_device", condition=models.Q(device__isnull=False)),
            models.Index(
                fields=["on_name", "action"], name="target_place", condition=models.Q(device__isnull=True)
            ),
            key_index("target_message"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, action: "Action", draft: "TargetDraft") -> "ActionTarget":
        """Not saved."""
        return cls(
            action=action,
            kind=draft.kind,
            entity=draft.entity,
            name=draft.name[:NAME_LIMIT],
            on_name=draft.on_name[:320],
            device_id=draft.device_id,
            mailbox_id=draft.mailbox_id,
            facts=dict(draft.facts),
            message_key=message_key(draft.facts) if draft.kind in OF_MESSAGES else "",
            lane=draft.lane(ActionType(action.type)),
            instance_id=draft.instance_id,
            instance_name=draft.instance_name,
            remote=draft.remote,
            restore=draft.restore,
        )

    @property
    def canonical(self) -> str:
        return canonical(TargetKind(self.kind), self.device_id, self.mailbox_id, self.entity)

    def substance(self, kind: ActionType) -> str:
        """As TargetDraft.substance made it when the action was proposed."""
        return substance(kind, self, self.lane)

    @property
    def before(self) -> dict[str, Any]:
        found: dict[str, Any] = vault.unseal(self.restore) if self.restore else {}
        return found


UNDO_FAILED_THERE = "An undo on the same target failed. Somebody has to look and acknowledge that first."


def behind_a_failed_undo() -> "models.QuerySet[ActionTarget]":
    """Targets of an outer action in lanes that a failed undo of another one has closed."""
    closing = ActionTarget.objects.filter(blocks=True, lane=models.OuterRef("lane")).exclude(
        action=models.OuterRef("action")
    )
    return ActionTarget.objects.filter(models.Exists(closing), action=models.OuterRef("pk"))
