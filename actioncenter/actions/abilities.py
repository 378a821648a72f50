"""What the viewer may do with one action now, and why not. The methods of the model check again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from actioncenter.actions.blinding import is_blind
from actioncenter.actions.catalogue import CATALOGUE, needs_plan
from actioncenter.actions.enums import (
    RETRYABLE,
    RUNNING,
    ActionType,
    Choice,
    Decision,
    Execution,
    TargetKind,
)
from actioncenter.actions.models import Action, Vote, voting
from actioncenter.actions.models.settling import is_open_question
from actioncenter.actions.models.timing import TIMED
from actioncenter.actions.models.undoing import why_not_undoable
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer
from actioncenter.actions.queries.details import Details
from actioncenter.actions.rows import shown_target
from actioncenter.settings.models import Safeguards
from actioncenter.web.text import is_plain

BUTTONS: Final = {
    "approve": Verb.APPROVE,
    "reject": Verb.REJECT,
    "break-glass": Verb.APPROVE,
    "undo": Verb.UNDO,
    "cancel": Verb.CANCEL,
    "retry": Verb.RETRY,
    "acknowledge": Verb.ACKNOWLEDGE,
    "seen": Verb.ACKNOWLEDGE,
    "again": Verb.PROPOSE,
    "extend": Verb.EXTEND,
    "happened": Verb.RESOLVE,
    "not-happened": Verb.RESOLVE,
}
"""The verbs in addresses; the last two say how an unknown outcome ended, `seen` that a difference was noted."""
GLASS: Final = (
    "In an emergency you may break the glass: it runs at once on your word alone, every admin is told,"
    " and somebody else judges it within {hours} h."
)


IRREVERSIBLE: Final = frozenset(
    kind for kind, entry in CATALOGUE.items() if entry.dangerous and entry.inverse is None
)
"""Nothing brings back what these do, so approving takes more than a click."""
IRREVERSIBLE_IF_CRITICAL: Final = frozenset({ActionType.KILL_PROCESS})
"""As these, on what the house can't do without. Elsewhere a process that should run is started again."""
ASKS_HARDER: Final = Q(type__in=sorted(IRREVERSIBLE)) | Q(
    type__in=sorted(IRREVERSIBLE_IF_CRITICAL), critical=True
)
"""The same of rows, see `asks_harder`."""
TYPED_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Judgement:
    """`can` has every button under its name ("_" for "-"); `why_not` only what the person might expect.

    `typed` is what the person has to type to approve, or empty.
    `blind`: the person may still vote, so what others said to their votes is kept back.
    """

    can: dict[str, bool]
    why_not: dict[str, str]
    votes: str
    glass: str
    typed: str
    can_edit: bool
    blind: bool


def judge(details: Details, viewer: Viewer) -> Judgement:
    action = details.action
    can = dict.fromkeys((name.replace("-", "_") for name in BUTTONS), False)
    why_not: dict[str, str] = {}
    for name in _fitting(details, viewer):
        refusal = viewer.rights.refusal(BUTTONS[name], action)
        reason = str(refusal) if refusal else _obstacle(name, details, viewer)
        can[name.replace("-", "_")] = not reason
        if reason and name != "break-glass" and reason not in why_not.values():
            why_not[name] = reason
    waits = _waits(action, viewer)
    return Judgement(
        can,
        why_not,
        votes=_votes(details, viewer) if can["approve"] else "",
        glass=_glass(details, viewer) if can["break_glass"] else "",
        typed=to_type(action) if can["approve"] or can["break_glass"] else "",
        can_edit=waits and bool(action.entry.parameters) and not viewer.rights.refusal(Verb.EDIT, action),
        blind=is_blind(action, viewer),
    )


def needs_a_look(details: Details) -> str:
    """The code of what somebody has to go and see, or an empty string."""
    if details.action.execution == Execution.OUTCOME_UNKNOWN:
        return "outcome_unknown"
    if details.action.drifted_at is not None:
        return "drifted"
    if any(target.blocks for target in details.targets):
        return "undo_failed"
    return details.surprises[0].code if details.surprises else ""


def asks_harder(action: Action) -> bool:
    """Whether approving takes typing, and goes only with a few at once."""
    kind = ActionType(action.type)
    return kind in IRREVERSIBLE or (action.critical and kind in IRREVERSIBLE_IF_CRITICAL)


def to_type(action: Action) -> str:
    """What a person types to approve what nothing brings back: the target, or how many there are.

    The number of the action stands for a name that nobody can type.
    """
    if not asks_harder(action):
        return ""
    if action.target_count > 1:
        return str(action.target_count)
    name = shown_target(action.target_kind, action.target_name)
    typable = name.strip() and len(name) <= TYPED_LIMIT and is_plain(name)
    return name if typable else action.label


def comments_required(action: Action) -> list[str]:
    """Verbs that are refused without a comment."""
    rule = action.approval_rule
    asked = [verb for verb in ("approve", "reject") if rule.get(f"comment_on_{verb}")]
    asked += ["undo"] if rule.get("comment_on_undo", True) else []
    return [*asked, "break-glass", "acknowledge", "seen", "again", "extend", "happened", "not-happened"]


def _waits(action: Action, viewer: Viewer) -> bool:
    return action.decision == Decision.PENDING and bool(action.expires_at and action.expires_at > viewer.now)


def _fitting(details: Details, viewer: Viewer) -> Iterator[str]:
    """Verbs that the state of the action calls for."""
    action = details.action
    if action.decision == Decision.PENDING:
        if _waits(action, viewer):
            yield from ("approve", "reject")
            if voting.needs_several(action) or voting.barred(action, viewer.user.ref):
                yield "break-glass"
    elif action.execution == Execution.OUTCOME_UNKNOWN:
        yield from ("happened", "not-happened", "cancel")
    elif is_open_question(action):
        yield from ("happened", "not-happened")
    elif action.execution in RUNNING:
        yield from ("cancel", "acknowledge") if details.surprises else ("cancel",)
    else:
        if action.execution in RETRYABLE and not action.undone_by_id:
            yield "retry"
        if any(target.blocks for target in details.targets):
            yield "acknowledge"
        yield from _while_in_force(details)
        if action.entry.inverse is not None and not why_not_undoable(action):
            yield "undo"


def _while_in_force(details: Details) -> Iterator[str]:
    action = details.action
    if action.drifted_at is not None:
        yield "seen"
    if details.drifted:
        yield "again"
    if details.in_force and action.type in TIMED and not action.undone_by_id:
        yield "extend"


def _obstacle(name: str, details: Details, viewer: Viewer) -> str:
    action = details.action
    if name == "cancel":
        return "It was already asked to stop." if action.cancel_requested_at else ""
    if name not in {"approve", "reject", "break-glass"}:
        return ""
    vote = _vote(details, viewer)
    if vote is not None and (name != "break-glass" or vote.choice == Choice.REJECT):
        return "You have already voted on it."
    return "" if name == "reject" else _not_approvable(name, details, viewer)


def _not_approvable(name: str, details: Details, viewer: Viewer) -> str:
    if name == "break-glass" and not Safeguards.current().break_glass:
        return "Breaking the glass is switched off in the safeguards."
    if name == "approve" and voting.barred(details.action, viewer.user.ref):
        return "Whoever proposed an action may not decide it."
    if details.unrouted:
        return "No connector reaches its target, so it can't be approved."
    if _lacks_plan(details, viewer):
        return "It can't be approved before a plan shows what it would hit."
    return ""


def _vote(details: Details, viewer: Viewer) -> Vote | None:
    """The viewer's, if it still counts."""
    return voting.vote_of(details.votes, viewer.user.ref, details.plan.digest if details.plan else "")


def _lacks_plan(details: Details, viewer: Viewer) -> bool:
    action, plan = details.action, details.plan
    if not needs_plan(ActionType(action.type), TargetKind(action.target_kind)):
        return False
    return plan is None or plan.expires_at <= viewer.now


def _votes(details: Details, viewer: Viewer) -> str:
    action = details.action
    if not voting.needs_several(action):
        return ""
    tally = _tally(details)
    number = len(tally.approvers) + 1
    missing = tally.missing(action.approval_rule, viewer.user.ref)
    if missing:
        more = f"{missing} more {'approves' if missing == 1 else 'approve'}"
        return f"Yours is approval {number} of {number + missing}. It runs when {more}."
    return f"Yours is approval {number} of {number}. It runs at once."


def _glass(details: Details, viewer: Viewer) -> str:
    """What breaking the glass means, and whether anybody else is left to ask."""
    action, hours = details.action, Safeguards.current().break_glass_review_hours
    told = GLASS.format(hours=hours)
    missing = max(1, _tally(details).missing(action.approval_rule, viewer.user.ref))
    if voting.eligible(action, enough=missing, without=viewer.user.ref) < missing:
        return f"Too few people may approve this now. {told}"
    return told


def _tally(details: Details) -> voting.Tally:
    action = details.action
    plans = {action.pk: details.plan.digest} if details.plan else {}
    return voting.tallies([action], plans)[action.pk]
