"""The action: what it is, the two axes, and the transitions between their states.

Decision and execution are separate axes (docs/adr). Every transition is a conditional update
or works on a locked row, writes its audit event in the same transaction and wakes a runner
after commit; the methods here only name them, the modules beside this one make them.
"""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from actioncenter.accounts.models import User
from actioncenter.actions.catalogue import CATALOGUE, Entry
from actioncenter.actions.enums import (
    ALLOWED,
    ENDS,
    LEGAL_PAIRS,
    ActionType,
    Decision,
    Execution,
    Risk,
    Source,
    TargetKind,
)
from actioncenter.actions.models import (
    assigning,
    ballots,
    breaking_glass,
    closing,
    commenting,
    deciding,
    drifting,
    editing,
    recounting,
    running,
    timing,
    undoing,
)
from actioncenter.actions.models.queryset import ActionQuerySet
from actioncenter.actions.models.settling import NOT_TAKEN_BACK
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.log import Draft
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.text import defanged
from investigations.enums import Verdict
from investigations.models import Device, Evidence, Investigation, Mailbox

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from actioncenter.actions.models.artefact import Artefact
    from actioncenter.actions.models.jobs import ConnectorJob
    from actioncenter.actions.models.plan import Plan, Vote
    from actioncenter.actions.models.surprise import Surprise
    from actioncenter.actions.models.target import ActionTarget, Attempt

Q = models.Q
FINAL_DECISIONS = [Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN]
PEOPLE = settings.AUTH_USER_MODEL


def _enum(default: int | None = None, *, null: bool = False) -> Any:
    if default is None:
        return models.PositiveSmallIntegerField(null=null)
    return models.PositiveSmallIntegerField(default=default)


class Action(models.Model):
    """Names of people, devices and groups are copied, so that they outlive what they name."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    type = _enum()
    area = _enum()
    source = _enum()
    risk = _enum(Risk.MEDIUM)
    critical = models.BooleanField(default=False)
    parameters = models.JSONField(default=dict)

    decision = _enum(Decision.PENDING)
    decided_by = models.ForeignKey(PEOPLE, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_comment = models.TextField(blank=True)
    approval_id = models.UUIDField(null=True, db_index=True)
    expires_at = models.DateTimeField(null=True)
    answer_by = models.DateTimeField(null=True)
    escalated_at = models.DateTimeField(null=True)
    deferred_until = models.DateTimeField(null=True)
    assigned_to = models.ForeignKey(PEOPLE, null=True, on_delete=models.SET_NULL, related_name="+")
    assigned_to_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    assigned_at = models.DateTimeField(null=True)
    approval_rule = models.JSONField(default=dict)
    quorum = models.PositiveSmallIntegerField(default=1)
    proposers = models.JSONField(default=list)

    execution = _enum(Execution.NONE)
    code = models.CharField(max_length=60, blank=True)
    status_detail = models.CharField(max_length=500, blank=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    history_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by_name = models.CharField(max_length=200, blank=True)
    read_back_at = models.DateTimeField(null=True)
    simulated = models.BooleanField(default=False)
    ends_at = models.DateTimeField(null=True)
    """When what it did is taken back by itself; null where it stays until somebody does."""
    drifted_at = models.DateTimeField(null=True)
    """Since when a target shows something else than what was done and nobody has taken note."""

    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    requested_by = models.ForeignKey(PEOPLE, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=200)
    requested_comment = models.TextField(blank=True)

    investigation = models.ForeignKey(
        Investigation, null=True, on_delete=models.SET_NULL, related_name="actions"
    )
    evidence = models.ManyToManyField(Evidence, through="ActionEvidence", related_name="actions")
    verdict = _enum(Verdict.UNKNOWN)
    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.SET_NULL, related_name="+")
    group_name = models.CharField(max_length=120, blank=True)
    level = _enum(null=True)
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="actions")
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.SET_NULL, related_name="actions")
    target_kind = _enum()
    target_name = models.CharField(max_length=512)
    on_name = models.CharField(max_length=320, blank=True)
    policy = models.JSONField(default=dict)
    reason_code = models.CharField(max_length=60, blank=True)

    target_count = models.PositiveIntegerField(default=0)
    succeeded_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    unknown_count = models.PositiveIntegerField(default=0)

    intent_key = models.CharField(max_length=64)
    proposal_key = models.CharField(max_length=64)
    round = models.PositiveSmallIntegerField(default=1)
    revision = models.PositiveIntegerField(default=1)
    fingerprint = models.CharField(max_length=64)
    approved_fingerprint = models.CharField(max_length=64, blank=True)
    approved_plan = models.ForeignKey("actions.Plan", null=True, on_delete=models.SET_NULL, related_name="+")
    approved_plan_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Over the plan as the approver saw it, so that a plan changed in place is noticed."""
    break_glass = models.BooleanField(default=False, db_default=False)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    undo_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="undos")
    undone_by = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    external_id = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=100, blank=True)

    objects = ActionQuerySet.as_manager()

    if TYPE_CHECKING:
        targets: RelatedManager[ActionTarget]
        attempts: RelatedManager[Attempt]
        plans: RelatedManager[Plan]
        votes: RelatedManager[Vote]
        jobs: RelatedManager[ConnectorJob]
        artefacts: RelatedManager[Artefact]
        surprises: RelatedManager[Surprise]
        undos: RelatedManager["Action"]

    class Meta:
        indexes = [
            # What lists are narrowed by stands in the index too: rows that don't fit are never fetched.
            models.Index(
                "history_at", "id", "group", "source", "verdict", "target_kind", "decision", "execution", "type",
                name="action_history", condition=Q(history_at__isnull=False),
            ),
            models.Index(
                "execution", "type", "history_at", "id",
                name="action_state_type", condition=Q(history_at__isnull=False),
            ),
            models.Index(
                "type", "history_at", "id", name="action_type_time", condition=Q(history_at__isnull=False)
            ),
            models.Index(
                "group", "history_at", "id", name="action_group_time", condition=Q(history_at__isnull=False)
            ),
            models.Index(
                "device", "history_at", "id",
                name="action_device_time", condition=Q(history_at__isnull=False),
            ),
            models.Index(
                "decided_by", "history_at", "id",
                name="action_person_time", condition=Q(history_at__isnull=False),
            ),
            models.Index(
                "on_name", "history_at", "id",
                name="action_place_time", condition=Q(history_at__isnull=False),
            ),
            models.Index("ends_at", name="action_timed", condition=Q(ends_at__isnull=False)),
            models.Index(
                "cancel_requested_at", name="action_unwanted",
                condition=Q(cancel_requested_at__isnull=False, history_at__isnull=True),
            ),
            models.Index("drifted_at", name="action_drifted", condition=Q(drifted_at__isnull=False)),
            models.Index("decision", "expires_at", "id", name="action_live", condition=Q(history_at__isnull=True)),
            models.Index(
                "execution", "queued_at", "id", name="action_queue", condition=Q(history_at__isnull=True)
            ),
            models.Index("intent_key", name="action_intent"),
            # Rejections of what was edited (see actions.wishes).
            models.Index(
                "proposal_key", name="action_edited", condition=~Q(proposal_key=models.F("intent_key"))
            ),
            # How the last automatic ones of a type ended in a group (see actions.rails).
            models.Index(
                "group", "type", "history_at",
                name="action_automatic",
                condition=Q(
                    history_at__isnull=False, requested_by__isnull=True, undo_of__isnull=True,
                    decision=Decision.NOT_REQUIRED,
                ),
            ),
            models.Index(
                "deferred_until", "id",
                name="action_put_off", condition=Q(deferred_until__isnull=False, history_at__isnull=True),
            ),
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                "investigation", "proposal_key", "round", name="action_proposal_unique",
                condition=Q(investigation__isnull=False, undo_of__isnull=True),
            ),
            models.UniqueConstraint(
                "idempotency_key", name="action_idempotency_unique", condition=~Q(idempotency_key="")
            ),
            models.UniqueConstraint(
                "undo_of", name="action_one_undo",
                condition=Q(undo_of__isnull=False)
                & ~Q(execution__in=[*sorted(NOT_TAKEN_BACK), Execution.CANCELLED]),
            ),
            models.CheckConstraint(
                name="action_legal_pair",
                condition=Q(decision__in=list(ALLOWED), execution__in=sorted(LEGAL_PAIRS[Decision.APPROVED]))
                | (~Q(decision__in=list(ALLOWED)) & Q(execution=Execution.NONE)),
            ),
            models.CheckConstraint(
                name="action_decided_who_and_when",
                condition=Q(decision=Decision.PENDING, decided_at__isnull=True, decided_by_name="")
                | Q(decision=Decision.EXPIRED, decided_at__isnull=False, decided_by_name="")
                | (
                    ~Q(decision__in=[Decision.PENDING, Decision.EXPIRED])
                    & Q(decided_at__isnull=False)
                    & ~Q(decided_by_name="")
                ),
            ),
            models.CheckConstraint(
                name="action_history_when_over",
                condition=(Q(decision__in=FINAL_DECISIONS) | Q(execution__in=sorted(ENDS)))
                & Q(history_at__isnull=False)
                | ~(Q(decision__in=FINAL_DECISIONS) | Q(execution__in=sorted(ENDS)))
                & Q(history_at__isnull=True),
            ),
            models.CheckConstraint(
                name="action_approved_as_seen",
                condition=~Q(decision=Decision.APPROVED) | ~Q(approved_fingerprint=""),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.label} {self.entry.short}"

    @property
    def label(self) -> str:
        return f"A-{self.id}"

    @property
    def entry(self) -> Entry:
        return CATALOGUE[ActionType(self.type)]

    @property
    def what(self) -> str:
        """What it does to what, for notices: "Isolate device fin-db-02"."""
        if self.entry.kind == TargetKind.DEVICE and self.on_name:
            return f"{self.entry.short} {self.on_name}"
        name = defanged(self.target_name) if self.target_kind == TargetKind.URL else self.target_name
        return f"{self.entry.short} {name}"

    @property
    def automatic(self) -> bool:
        """Nobody was asked: policy itself said so. A timer only does what was decided before."""
        asked_for = self.requested_by_id is not None or self.source == Source.TIMER
        return self.decision == Decision.NOT_REQUIRED and not asked_for

    def draft(self, kind: Kind, *, by: Actor, **more: Any) -> Draft:
        """An audit event about this action, also if somebody made its type one that there isn't."""
        name = self.entry.label if self.type in CATALOGUE else f"Type {self.type}"
        return Draft(
            kind=kind,
            by=by,
            subject=f"action:{self.id}",
            subject_name=f"{name}: {self.target_name}"[:300],
            area=self.area,
            group_id=self.group_id,
            **more,
        )

    def approve(
        self, *, by: Actor, comment: str = "", revision: int | None = None, plan: str | None = None,
        mode: str = "", with_new: bool = False,
    ) -> "Action":  # fmt: skip
        """Vote for it; with enough votes it is queued. `plan` is the digest of the plan that was shown, '' for none;
        `with_new` takes what came since it was proposed too. Raises Conflict, Refused, Invalid, NotVisible."""
        seen = ballots.ballot_of(self, by=by, comment=comment, revision=revision, plan=plan, mode=mode, with_new=with_new)  # fmt: skip
        return deciding.decide_one(self, deciding.APPROVE, seen)

    def reject(
        self, *, by: Actor, comment: str = "", revision: int | None = None, mode: str = ""
    ) -> "Action":
        """Final: it will never run. Raises as approve does."""
        seen = ballots.ballot_of(self, by=by, comment=comment, revision=revision, mode=mode)
        return deciding.decide_one(self, deciding.REJECT, seen)

    def break_the_glass(
        self, *, by: Actor, comment: str, revision: int | None = None, plan: str | None = None
    ) -> "Action":
        """Approve it alone in an emergency, and owe a review. Raises as approve does."""
        return breaking_glass.break_glass(self, by=by, comment=comment, revision=revision, plan=plan)

    def edit(self, parameters: dict[str, Any], *, by: Actor, revision: int) -> "Action":
        """Change parameters while pending: a new revision, votes void, the editor a proposer."""
        return editing.edit(self, parameters, by=by, revision=revision)

    def look_again(self, *, by: Actor) -> bool:
        """Have its plan made anew. Raises Conflict, Refused, NotVisible."""
        return recounting.look_again(self, by=by)

    def withdraw(self, code: str, *, by: Actor) -> bool:
        """Take a pending action back; returns False when it was decided meanwhile."""
        return bool(closing.withdraw(type(self), [self.pk], code, by=by))

    def defer(self, until: datetime | None, *, by: Actor) -> "Action":
        """Put the decision off, never past expiry; None takes that back. Raises as approve does."""
        return assigning.defer(self, until, by=by)

    def hand_over(self, to_user: User, *, by: Actor, comment: str = "") -> "Action":
        """Ask one person who may decide it, and tell them. Raises as approve does."""
        return assigning.hand_over(self, to_user, by=by, comment=comment)

    def take(self, *, by: Actor) -> "Action":
        """Say that one is on it. Raises Conflict where somebody else is, and as approve does."""
        return assigning.take(self, by=by)

    def give_back(self, *, by: Actor, comment: str = "", seen: int | None = None) -> "Action":
        """Nobody is on it any more. Raises Conflict where somebody else than `seen` is, and as approve does."""
        return assigning.give_back(self, by=by, comment=comment, seen=seen)

    def comment(self, text: str, *, by: Actor) -> list[str]:
        """Say something about it, to those mentioned too; returns the names that reached nobody."""
        return commenting.comment(self, text, by=by)

    def undo(
        self, *, by: Actor, comment: str, idempotency_key: str = "", approval_id: uuid.UUID | None = None
    ) -> "Action":
        """Queue the inverse and link both ways. Raises Conflict, Refused, Invalid, NotVisible."""
        return undoing.undo(
            self, by=by, comment=comment, idempotency_key=idempotency_key, approval_id=approval_id
        )

    def acknowledge(self, *, by: Actor, comment: str) -> "Action":
        """Somebody looked after an undo that failed: its lanes are open again. Raises as undo does."""
        return undoing.acknowledge(self, by=by, comment=comment)

    def extend(self, *, by: Actor, hours: int, comment: str, seen: str | None = None) -> "Action":
        """Move the end of a timed action; what had no end gets one. Raises as undo does."""
        return timing.extend(self, by=by, hours=hours, comment=comment, seen=seen)

    def acknowledge_drift(self, *, by: Actor, comment: str) -> "Action":
        """Somebody has seen that it no longer shows what was done. Raises as undo does."""
        return drifting.acknowledge(self, by=by, comment=comment)

    def do_again(self, *, by: Actor, comment: str, idempotency_key: str = "") -> "Action":
        """Propose the same anew for what drifted; returns that. Raises as undo does."""
        return drifting.again(self, by=by, comment=comment, idempotency_key=idempotency_key)

    def request_cancel(self, *, by: Actor, comment: str = "") -> "Action":
        """Ask the runner to stop it; refused when it is over."""
        return running.request_cancel(self, by=by, comment=comment)

    def retry(self, *, by: Actor) -> "Action":
        """Queue the unfinished targets again; all gates are passed anew."""
        return running.retry(self, by=by)

    def resolve_unknown(self, *, by: Actor, happened: bool, comment: str) -> "Action":
        """A person who looked says what an unknown outcome was."""
        return running.resolve_unknown(self, by=by, happened=happened, comment=comment)
