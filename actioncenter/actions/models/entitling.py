"""What a proposal may become: run at once, or wait for others; and the approval rule frozen into it."""

from dataclasses import dataclass, replace
from typing import Any

from actioncenter.actions.catalogue import risk_of
from actioncenter.actions.enums import Decision, Risk, TargetKind
from actioncenter.actions.models.conflicts import Invalid
from actioncenter.actions.models.proposal import Proposal
from actioncenter.actions.models.voting import BEHIND
from actioncenter.actions.permissions import Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.settings.models.approval import RELEASES, approval_rule, stricter
from investigations.enums import Verdict

PROOF_SECONDS = 600
"""How fresh the proof of a person must be where a rule wants one."""
WHY_PROOF = "This needs your password, given within the last 10 minutes."
COMMENT_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class _Subject:
    """What rights depend on, before there is a row."""

    type: int
    area: int
    group_id: int | None


def entitled(proposal: Proposal, *, by: Actor) -> tuple[Proposal, dict[str, Any]]:
    """The proposal with the decision it may have, and its approval rule.

    Raises for a person: Invalid without a comment, NotVisible, and Refused (also with code
    `reauthenticate`). The caller is inside the fence.
    """
    if proposal.undo_of_id:
        rule = _rule(proposal, two_step=False)
        if by.user_id is not None:
            require_proof(rule, by)
        return proposal, rule
    if by.user_id is None:
        return _by_machine(proposal)
    _check_comment(proposal.comment)
    rights, subject = fresh_rights(by), _Subject(proposal.type, proposal.area, proposal.group_id)
    rights.require(Verb.PROPOSE, subject)
    rights.require_values(proposal.type, proposal.parameters)
    if proposal.decision == Decision.PENDING or not _may_alone(rights, subject, by):
        return _waiting(proposal, "proposed_by", by), _rule(proposal, two_step=True)
    rule = _rule(proposal, two_step=False)
    if rule["second_person"] or rule["four_eyes"] or rule["quorum"] > 1:
        return _waiting(proposal, "second_person", by), _rule(proposal, two_step=True)
    require_proof(rule, by)
    if any(target.kind == TargetKind.CLUSTER for target in proposal.targets):
        # What it stands for isn't known yet; whoever may act alone approves it once there is a plan.
        return _waiting(proposal, "plan_first", by), rule
    return proposal, rule


def require_proof(rule: dict[str, Any], by: Actor) -> None:
    """Raises Refused with code `reauthenticate`."""
    if rule.get("reauthenticate") and not by.proved_within(PROOF_SECONDS):
        raise Refused("reauthenticate", WHY_PROOF)


def devices_of(proposal: Proposal) -> int:
    return len({target.device_id for target in proposal.targets if target.device_id})


def risk_of_proposal(proposal: Proposal) -> Risk:
    """As the catalogue says; releasing what is malicious is high, other than by undo (design §3)."""
    if proposal.type in RELEASES and proposal.verdict == Verdict.MALICIOUS and not proposal.undo_of_id:
        return Risk.HIGH
    return risk_of(proposal.type, critical=proposal.critical, devices=devices_of(proposal))


def _by_machine(proposal: Proposal) -> tuple[Proposal, dict[str, Any]]:
    """Policy has decided; only what always takes two people waits in spite of it."""
    rule = _rule(proposal, two_step=False)
    if rule["second_person"] and proposal.decision == Decision.NOT_REQUIRED:
        return replace(proposal, decision=Decision.PENDING, reason_code="second_person"), rule
    return proposal, rule


def _may_alone(rights: Rights, subject: _Subject, by: Actor) -> bool:
    """Tokens propose; they never decide."""
    return by.is_person and rights.refusal(Verb.RUN, subject) is None


def _waiting(proposal: Proposal, reason: str, by: Actor) -> Proposal:
    """Asked to wait, it keeps its own reason if it has one; made to wait, it says why."""
    if proposal.decision == Decision.PENDING and proposal.reason_code:
        return proposal
    policy = {**proposal.policy, "code": reason, "params": {"by": by.name}}
    return replace(proposal, decision=Decision.PENDING, policy=policy, reason_code=reason)


def _rule(proposal: Proposal, *, two_step: bool) -> dict[str, Any]:
    """What a person proposed stays that when a machine asks it again."""
    two_step = two_step or any(ref.startswith(("user:", BEHIND)) for ref in proposal.proposers)
    rule = approval_rule(
        proposal.type,
        proposal.group_id,
        risk_of_proposal(proposal),
        malicious=proposal.verdict == Verdict.MALICIOUS,
        two_step=two_step,
        undo=proposal.undo_of_id is not None,
    )
    return stricter(rule, proposal.rule_before)


def _check_comment(comment: str) -> None:
    if not comment.strip():
        raise Invalid("comment", "Say why: a comment is required for what is done by hand.")
    if len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
