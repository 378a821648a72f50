"""The decision axis: votes, approval, rejection.

One code path for one and for many. Rows are locked in id order (PostgreSQL; SQLite's IMMEDIATE
transactions are serial), judged, and written by one conditional update; what was skipped or
lost is reported per row. Test on a stale instance is the classic way to decide twice, so
nothing here looks at an instance that was loaded before the lock.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import IntegrityError

from actioncenter.accounts import fence
from actioncenter.actions.catalogue import needs_plan
from actioncenter.actions.enums import ActionType, Choice, Decision, TargetKind
from actioncenter.actions.models import recounting, voting, writing
from actioncenter.actions.models.ballots import Ballot, Way
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.entitling import PROOF_SECONDS, WHY_PROOF
from actioncenter.actions.models.judging import free_rows, judged
from actioncenter.actions.models.settling import locked
from actioncenter.actions.models.target import UNDO_FAILED_THERE
from actioncenter.actions.permissions import NotVisible, Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.access import within

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

BULK_LIMIT = 500
COMMENT_LIMIT = 4000
PREFIX = 8
"""Letters of a plan's digest that a list carries."""
APPROVE = Way(Verb.APPROVE, Choice.APPROVE, Decision.APPROVED, Kind.ACTION_APPROVED, "comment_on_approve")
REJECT = Way(Verb.REJECT, Choice.REJECT, Decision.REJECTED, Kind.ACTION_REJECTED, "comment_on_reject")
GLASS = Way(
    Verb.APPROVE, Choice.APPROVE, Decision.APPROVED, Kind.ACTION_APPROVED, "comment_on_glass", alone=True
)


class RowResult(NamedTuple):
    """Outcome for one row of a bulk decision; `code` is `approved`, `voted`, or why not."""

    number: int
    ok: bool
    code: str
    message: str
    action: "Action | None" = None


def decide_one(action: "Action", way: Way, ballot: Ballot) -> "Action":
    """Decide one action; raises Conflict, Refused, Invalid or NotVisible."""
    with fence.decider():
        rights = voter_rights(ballot.by)
        row = locked(action)
        _require_open(row, way, rights)
        if way.approves:
            ballot = recounting.kept(row, ballot)
        rows = judged(type(action).objects.filter(pk=action.pk), by=ballot.by)
        error = _objection(rows[0], way, ballot, rights)
        if error:
            raise error
        writing.write(type(action), rows, way, ballot)
    action.refresh_from_db()
    return action


def decide_many(
    model: "type[Action]", ids: Sequence[int], way: Way, ballot: Ballot, *, wait: bool = True
) -> list[RowResult]:
    """Decide up to 500 actions of one type; one result per id, in the order given.

    Raises Invalid when the selection is empty, too large or of several types. Ids out of the
    person's scope come back as `unknown`, like ids that don't exist. Rows that somebody else is
    deciding are taken alone afterwards: waiting for one while holding others is a deadlock. Without
    `wait` they come back as `busy`, undecided.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted or len(wanted) > BULK_LIMIT:
        raise Invalid("selection", f"Select between 1 and {BULK_LIMIT} actions.")
    try:
        results = _decide_free(model, wanted, way, ballot)
    except IntegrityError:
        # Between reading and locking somebody voted in the same name; one by one, nobody is overlooked.
        results = {}
    for pk in (pk for pk in sorted(wanted) if pk not in results):
        results[pk] = _decide_alone(model(pk=pk), way, ballot) if wait else RowResult(pk, False, "busy", "")
    return [results[pk] for pk in wanted]


def _decide_free(
    model: "type[Action]", wanted: Sequence[int], way: Way, ballot: Ballot
) -> dict[int, RowResult]:
    """Decide those that nobody else holds; answers for all but the held."""
    with fence.decider():
        rights = voter_rights(ballot.by)
        rows = free_rows(model, wanted, by=ballot.by)
        errors = {row.id: _objection(row, way, ballot, rights) for row in rows}
        held = set(wanted) - errors.keys()
        others = (
            dict(within(model.objects.filter(pk__in=held), rights.scope).values_list("pk", "type"))
            if held
            else {}
        )
        seen = {row.type for row in rows if not isinstance(errors[row.id], NotVisible)}
        if len(seen | set(others.values())) > 1:
            raise Invalid("selection", "All selected actions must be of the same type.")
        decided = writing.write(model, [row for row in rows if errors[row.id] is None], way, ballot)
    results = {row.id: _result(row, way, errors[row.id], row.id in decided) for row in rows}
    return results | {pk: _unknown(pk) for pk in held - others.keys()}


def voter_rights(by: Actor) -> Rights:
    """Raises Refused for anything but a signed-in, active person: tokens and commands never vote."""
    if not by.is_person:
        raise Refused("person", "Only a signed-in, active person may do this.")
    return fresh_rights(by)


def _decide_alone(action: "Action", way: Way, ballot: Ballot) -> RowResult:
    try:
        row = decide_one(action, way, ballot)
    except NotVisible:
        return _unknown(action.pk)
    except (Conflict, Refused, Invalid) as error:
        return _result(type(action).objects.get(pk=action.pk), way, error, decided=False)
    return _result(row, way, None, decided=row.decision == way.decision)


def _unknown(pk: int) -> RowResult:
    return RowResult(pk, False, "unknown", f"There is no action A-{pk}.")


def _result(row: "Action", way: Way, error: Exception | None, decided: bool) -> RowResult:
    if isinstance(error, NotVisible):
        return _unknown(row.id)
    if error is not None:
        return RowResult(row.id, False, getattr(error, "code", "invalid"), str(error), row)
    word = way.decision.name.lower()
    if decided:
        return RowResult(row.id, True, word, f"{row.label} {word}.", row)
    return RowResult(row.id, True, "voted", f"{row.label}: your vote counts, more are needed.", row)


def _require_open(row: "Action", way: Way, rights: Rights) -> None:
    """What most losers of a contest meet, before anything is read that only a winner needs."""
    rights.require(way.verb, row)
    if row.decision != Decision.PENDING:
        raise Conflict(row, "decided")


def _objection(row: Any, way: Way, ballot: Ballot, rights: Rights) -> Exception | None:
    """Why this row can't be decided so by this person now, or None."""
    if not rights.sees(row):
        return NotVisible()
    return (
        rights.refusal(way.verb, row)
        or too_late(row, ballot.revisions.get(row.id))
        or _voted_already(row, way)
        or (_not_approvable(row, way, ballot) if way is not REJECT else None)
        or _comment_missing(row, way, ballot.comment)
        or (_not_proved(row, way, ballot.by) if way is not REJECT else None)
    )


def too_late(row: Any, revision: int | None) -> Conflict | None:
    """Of a row from `locked_rows`: decided, expired, or no longer what the page showed."""
    if row.decision != Decision.PENDING:
        return Conflict(row, "decided")
    if row.past or row.past is None:
        return Conflict(row, "expired", f"{row.label} expired undecided; that counts as a rejection.")
    if revision is not None and revision != row.revision:
        return Conflict(row, "changed", f"{row.label} was changed since you opened it. Look again.")
    return None


def _voted_already(row: Any, way: Way) -> Conflict | None:
    if row.voted is None or (way.alone and row.voted == Choice.APPROVE):
        return None
    return Conflict(row, "voted", f"You have already voted on {row.label}.")


def _not_approvable(row: Any, way: Way, ballot: Ballot) -> Conflict | Refused | None:
    barred = voting.barred(row, ballot.by.ref)
    if barred and not way.alone:
        return Refused("own_proposal", "Whoever proposed an action may not decide it.")
    if way.alone and not barred and not voting.needs_several(row):
        return Conflict(row, "not_needed", f"{row.label} needs one approval only; approve it as usual.")
    other = _not_ready(row) or _other_plan(row, ballot.plans.get(row.id))
    return other or _new_copies(row, ballot)


def _not_ready(row: Any) -> Conflict | None:
    if row.unrouted:
        return Conflict(row, "no_route", f"No connector reaches the target of {row.label}.")
    if row.blocked:
        return Conflict(row, "undo_failed", f"{row.label}: {UNDO_FAILED_THERE}")
    if not needs_plan(ActionType(row.type), TargetKind(row.target_kind)):
        return None
    if row.plan_pk is None:
        return Conflict(row, "plan_missing", f"{row.label} can't be approved before its plan was made.")
    if row.plan_ended:
        return Conflict(row, "plan_expired", f"The plan of {row.label} is too old. A new one is needed.")
    return None


def _new_copies(row: Any, ballot: Ballot) -> Conflict | None:
    """Of what stands for many: counted a while ago, or more by now than was proposed."""
    if row.target_kind != TargetKind.CLUSTER:
        return None
    if row.plan_old:
        return Conflict(
            row,
            "plan_old",
            f"What {row.label} would touch was counted over an hour ago. It is counted again; look again in a moment.",
        )
    if row.plan_new and not ballot.with_new:
        return Conflict(
            row,
            "new_copies",
            f"{row.label}: {row.plan_new:,} messages are new since it was proposed. Open it and say whether they are meant.",
        )
    return None


def _other_plan(row: Any, seen: str | None) -> Conflict | None:
    """Compare the plan that was shown with the newest; the first letters of a digest are enough."""
    now = row.plan_now
    if seen is None or seen == now or (len(seen) == PREFIX and now.startswith(seen)):
        return None
    what = "was made" if not seen else "changed"
    return Conflict(row, "plan_changed", f"The plan of {row.label} {what} since you opened it. Look again.")


def _comment_missing(row: "Action", way: Way, comment: str) -> Invalid | None:
    if len(comment) > COMMENT_LIMIT:
        return Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
    if (way.alone or row.approval_rule.get(way.comment_key)) and not comment.strip():
        return Invalid("comment", "A comment is required here.")
    return None


def _not_proved(row: "Action", way: Way, by: Actor) -> Refused | None:
    wanted = way.alone or row.approval_rule.get("reauthenticate")
    return Refused("reauthenticate", WHY_PROOF) if wanted and not by.proved_within(PROOF_SECONDS) else None
