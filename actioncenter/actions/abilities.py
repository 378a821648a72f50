"""What the viewer may do with one action now, and why not. The methods of the model check again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actioncenter.actions.catalogue import needs_plan
from actioncenter.actions.enums import RETRYABLE, RUNNING, ActionType, Decision, Execution, TargetKind
from actioncenter.actions.models import Action
from actioncenter.actions.models.undoing import why_not_undoable
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer
from actioncenter.actions.queries.details import Details

BUTTONS: Final = {
    "approve": Verb.APPROVE,
    "reject": Verb.REJECT,
    "undo": Verb.UNDO,
    "cancel": Verb.CANCEL,
    "retry": Verb.RETRY,
    "happened": Verb.RESOLVE,
    "not-happened": Verb.RESOLVE,
}
"""The verbs in addresses; the last two say how an unknown outcome ended."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`can` has every button under its name ("_" for "-"); `why_not` only what the person might expect."""

    can: dict[str, bool]
    why_not: dict[str, str]
    votes: str


def judge(details: Details, viewer: Viewer) -> Judgement:
    can = dict.fromkeys((name.replace("-", "_") for name in BUTTONS), False)
    why_not: dict[str, str] = {}
    for name in _fitting(details.action, viewer):
        refusal = viewer.rights.refusal(BUTTONS[name], details.action)
        reason = str(refusal) if refusal else _obstacle(name, details, viewer)
        can[name.replace("-", "_")] = not reason
        if reason and reason not in why_not.values():
            why_not[name] = reason
    return Judgement(can, why_not, _votes(details) if can["approve"] else "")


def comments_required(action: Action) -> list[str]:
    """Verbs that are refused without a comment."""
    rule = action.approval_rule
    asked = [verb for verb in ("approve", "reject") if rule.get(f"comment_on_{verb}")]
    return [*asked, "undo", "happened", "not-happened"]


def _fitting(action: Action, viewer: Viewer) -> Iterator[str]:
    """Verbs that the state of the action calls for."""
    if action.decision == Decision.PENDING:
        if action.expires_at and action.expires_at > viewer.now:
            yield from ("approve", "reject")
    elif action.execution == Execution.OUTCOME_UNKNOWN:
        yield from ("happened", "not-happened", "cancel")
    elif action.execution in RUNNING:
        yield "cancel"
    else:
        if action.execution in RETRYABLE and not action.undone_by_id:
            yield "retry"
        if action.entry.inverse is not None and not why_not_undoable(action):
            yield "undo"


def _obstacle(name: str, details: Details, viewer: Viewer) -> str:
    action, ref = details.action, viewer.user.ref
    if name == "cancel":
        return "It was already asked to stop." if action.cancel_requested_at else ""
    if name not in {"approve", "reject"}:
        return ""
    if action.approval_rule.get("four_eyes") and ref in action.proposers:
        return "Whoever proposed an action may not decide it."
    if any(vote.user_ref == ref for vote in details.votes):
        return "You have already voted on it."
    if name == "approve" and details.unrouted:
        return "No connector reaches its target, so it can't be approved."
    if name == "approve" and _lacks_plan(details, viewer):
        return "It can't be approved before a plan shows what it would hit."
    return ""


def _lacks_plan(details: Details, viewer: Viewer) -> bool:
    action, plan = details.action, details.plan
    if not needs_plan(ActionType(action.type), TargetKind(action.target_kind)):
        return False
    return plan is None or plan.expires_at <= viewer.now


def _votes(details: Details) -> str:
    quorum = details.action.quorum
    if quorum <= 1:
        return ""
    number = details.approvals + 1
    if number >= quorum:
        return f"Yours is approval {number} of {quorum}. It runs at once."
    return f"Yours is approval {number} of {quorum}. It runs when {quorum - number} more approve."
