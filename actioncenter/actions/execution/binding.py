"""What was decided is what is sent: the fingerprint and the plan, recomputed from the rows.

Whoever can edit a row can recompute a hash without a key over it. So the fingerprint also has to be
the one in the event that told of the decision, and that event has to have its place in the keyed chain.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models.functions import Now

from actioncenter.actions.catalogue import needs_plan
from actioncenter.actions.enums import ActionType, Decision, Risk, TargetKind
from actioncenter.actions.models import Action, ActionTarget, Plan, TargetDraft
from actioncenter.actions.models.proposal import digest, fingerprint, intent_key
from actioncenter.audit import reading
from actioncenter.audit.enums import Kind

logger = logging.getLogger(__name__)
DECIDING: Final = (Kind.ACTION_PROPOSED, Kind.ACTION_EDITED, Kind.ACTION_APPROVED)
TAMPERED: Final = "fingerprint_changed"
PLAN_CHANGED: Final = "plan_changed"
PLAN_EXPIRED: Final = "plan_expired"
NOTHING: Final = "nothing"
UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the runner doesn't send; `agreed` and `found` are the two values that differ.

    `forged`: nothing of ours writes what is there now.
    """

    code: str
    agreed: str = ""
    found: str = ""
    about: str = ""
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the audit log says was decided on; empty where it says nothing, or not in its own hand."""

    fingerprint: str = ""
    sealed: str = ""
    """Of the plan that was approved."""
    asked: str = ""
    """The approval rule and who proposed, as one hash."""


def deviation(action: Action, targets: Sequence[ActionTarget]) -> Refusal | None:
    """How an action and its targets differ from what was decided on; None when they don't.

    A row with values that we never write was written by somebody else.
    """
    try:
        Risk(action.risk)
        return _deviation(action, targets)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("action %s can't be read: %r", action.pk, error)
        return Refusal(TAMPERED, agreed=action.approved_fingerprint or NOTHING, found=UNREADABLE, forged=True)


def _deviation(action: Action, targets: Sequence[ActionTarget]) -> Refusal | None:
    said = recorded(action)
    if action.decision == Decision.APPROVED and said.fingerprint:
        found = _plan_deviates(action, said.sealed)
        if found is not None:
            return found
    asked = asked_for(action.approval_rule, action.proposers)
    if asked != said.asked:
        return Refusal(TAMPERED, agreed=said.asked or NOTHING, found=asked, forged=True)
    values = (fingerprint_of(action, targets), _agreed(action), action.fingerprint)
    differing = [value or NOTHING for value in values if value != said.fingerprint or not value]
    if not differing:
        return None
    return Refusal(TAMPERED, agreed=said.fingerprint, found=differing[0], forged=True)


def _agreed(action: Action) -> str:
    return action.approved_fingerprint if action.decision == Decision.APPROVED else action.fingerprint


def fingerprint_of(action: Action, targets: Sequence[ActionTarget]) -> str:
    """Over the rows as they are. Empty for messages that aren't those of the plan, or another intent."""
    kind = ActionType(action.type)
    substances = [target.substance(kind) for target in targets]
    names = [target.canonical for target in targets]
    planned = planned_targets(action)
    if planned and not _unexpanded(targets):
        if substances != [message_draft(item).substance(kind) for item in planned]:
            return ""
        of = action.approved_plan.body["of"] if action.approved_plan else []
        names, substances = [each["canonical"] for each in of], [each["substance"] for each in of]
    intent = intent_key(kind, names, action.parameters)
    if intent != action.intent_key:
        return ""
    return fingerprint(intent, substances, action.policy, action.revision)


def _unexpanded(targets: Sequence[ActionTarget]) -> bool:
    return any(target.kind == TargetKind.CLUSTER for target in targets)


def recorded(action: Action) -> Recorded:
    """What the newest genuine events say of the proposal and of the decision."""
    told = {event["kind"]: event for event in reading.genuine([f"action:{action.pk}"], DECIDING)}
    proposed = told.get(Kind.ACTION_PROPOSED)
    if proposed is None:
        return Recorded()
    after, detail = proposed["after"] or {}, proposed["detail"] or {}
    edited = (told.get(Kind.ACTION_EDITED) or {}).get("after") or {}
    asked = asked_for(detail.get("rule"), edited.get("proposers") or detail.get("proposers"))
    if action.decision == Decision.APPROVED:
        detail = (told.get(Kind.ACTION_APPROVED) or {}).get("detail") or {}
        return Recorded(detail.get("fingerprint", ""), detail.get("sealed", ""), asked)
    direct = after.get("decision") == Decision.NOT_REQUIRED.name
    return Recorded(after.get("fingerprint", ""), "", asked) if direct else Recorded()


def asked_for(rule: Any, proposers: Any) -> str:
    """What it took to decide: the frozen rule and who could not be the second person."""
    return digest([rule, sorted(proposers or [])])


def _plan_deviates(action: Action, sealed: str) -> Refusal | None:
    plan = action.approved_plan
    if plan is None:
        kind, target = ActionType(action.type), TargetKind(action.target_kind)
        needed = sealed or action.approved_plan_digest or (needs_plan(kind, target) and "a plan")
        return Refusal(PLAN_CHANGED, agreed=needed, found=NOTHING, forged=bool(sealed)) if needed else None
    differing = [value for value in (plan.seal, action.approved_plan_digest) if value != sealed]
    if differing:
        return Refusal(PLAN_CHANGED, agreed=sealed or NOTHING, found=differing[0] or NOTHING, forged=True)
    if (plan.action_id, plan.revision) != (action.pk, action.revision):
        other = f"revision {plan.revision}"
        return Refusal(PLAN_CHANGED, agreed=f"revision {action.revision}", found=other, forged=True)
    newer = Plan.objects.filter(action=action, revision=plan.revision, pk__gt=plan.pk)
    latest = newer.exclude(digest=plan.digest).order_by("-pk").values_list("digest", flat=True).first()
    if latest is not None:
        return Refusal(PLAN_CHANGED, agreed=plan.digest, found=latest)
    if Plan.objects.filter(pk=plan.pk, expires_at__lte=Now()).exists():
        return Refusal(PLAN_EXPIRED, agreed=f"{plan.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    return None


def planned_targets(action: Action) -> list[dict[str, Any]]:
    """The messages that the approved plan froze; empty where the target stands for itself."""
    plan = action.approved_plan
    return plan.body.get("targets") or [] if plan else []


def message_draft(item: Mapping[str, Any]) -> TargetDraft:
    """A planned target as `jobs` wrote it into the plan's body."""
    return TargetDraft(
        kind=TargetKind(item["kind"]),
        name=item["name"],
        entity=item["entity"],
        on_name=item["on"],
        instance_id=item["instance_id"],
        instance_name=item["instance_name"],
        remote=item["remote"],
        facts=item["facts"],
    )
