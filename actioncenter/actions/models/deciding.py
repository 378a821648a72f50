"""The decision axis: votes, approval, rejection.

One code path for one and for many. Rows are locked in id order (PostgreSQL; SQLite's IMMEDIATE
transactions are serial), judged, and written by one conditional update; what was skipped or
lost is reported per row. Test on a stale instance is the classic way to decide twice, so
nothing here looks at an instance that was loaded before the lock.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connection
from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.base import ModelState
from django.db.models.functions import Cast, Coalesce, Now

from actioncenter.accounts import fence
from actioncenter.actions.catalogue import needs_plan
from actioncenter.actions.enums import ActionType, Choice, Decision, TargetKind
from actioncenter.actions.models import voting, writing
from actioncenter.actions.models.ballots import Ballot, Way
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.entitling import PROOF_SECONDS, WHY_PROOF
from actioncenter.actions.models.plan import Plan, Vote
from actioncenter.actions.models.settling import locked
from actioncenter.actions.models.target import UNDO_FAILED_THERE, ActionTarget, behind_a_failed_undo
from actioncenter.actions.permissions import NotVisible, Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.access import within
from actioncenter.web.statements import rows_of

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
READ = (
    "id", "type", "area", "group_id", "decision", "execution", "revision", "fingerprint", "approval_rule",
    "proposers", "target_kind", "target_name", "investigation_id", "decided_by_name", "decided_at",
)  # fmt: skip
"""Columns that a decision on many rests on, or that its answer names."""
JSON = frozenset({"approval_rule", "proposers", "plan_body"})
BESIDE = ("moment", "past", "plan_pk", "plan_now", "plan_body", "plan_ended", "unrouted", "blocked", "voted")


@dataclass(frozen=True, slots=True)
class RowResult:
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
        _require_open(locked(action), way, rights)
        rows = _at_their_moment(_judgeable(type(action).objects.filter(pk=action.pk), ballot.by))
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
        rows = [row for row in free_rows(model, wanted, by=ballot.by) if rights.sees(row)]
        held = set(wanted) - {row.pk for row in rows}
        others = (
            dict(within(model.objects.filter(pk__in=held), rights.scope).values_list("pk", "type"))
            if held
            else {}
        )
        if len({row.type for row in rows} | set(others.values())) > 1:
            raise Invalid("selection", "All selected actions must be of the same type.")
        errors = {row.pk: _objection(row, way, ballot, rights) for row in rows}
        decided = writing.write(model, [row for row in rows if errors[row.pk] is None], way, ballot)
    results = {row.pk: _result(row, way, errors[row.pk], row.pk in decided) for row in rows}
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
        return _unknown(row.pk)
    if error is not None:
        return RowResult(row.pk, False, getattr(error, "code", "invalid"), str(error), row)
    word = way.decision.name.lower()
    if decided:
        return RowResult(row.pk, True, word, f"{row.label} {word}.", row)
    return RowResult(row.pk, True, "voted", f"{row.label}: your vote counts, more are needed.", row)


def locked_rows(model: "type[Action]", ids: Sequence[int], *, by: Actor) -> "list[Action]":
    """The rows as they are once they are locked: what was read while waiting for a lock may be old.

    Each carries `judged_at` (the database's clock, one moment for all) and whether it is `past` its
    expiry then, `plan_pk`, `plan_now`, `plan_body` and `plan_ended` of its newest plan, `unrouted`,
    `blocked`, and `voted` by this person.
    """
    if connection.features.has_select_for_update:
        held = model.objects.filter(pk__in=ids).order_by("pk")
        ids = list(held.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    return _at_their_moment(_judgeable(model.objects.filter(pk__in=ids), by))


def free_rows(model: "type[Action]", ids: Sequence[int], *, by: Actor) -> "list[Action]":
    """As `locked_rows`, without those that somebody else holds, in one statement.

    Nothing is waited for, so what stands beside the rows is as old as the statement at most; the rows
    themselves are the newest, and a vote that came in between breaks the unique key.
    """
    rows = model.objects.filter(pk__in=ids)
    names = (*READ, *BESIDE)
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    query = _judgeable(rows, by).values_list(*names)
    if connection.vendor == "sqlite":
        return _at_their_moment([_thin(model, dict(zip(names, values, strict=True))) for values in query])
    # As the driver gives them; Django's converters would take longer than all the rest.
    parsed, found = cache(json.loads), []
    for values in rows_of(query.query.sql_with_params()):
        row = dict(zip(names, values, strict=True))
        for name in JSON:
            row[name] = None if row[name] is None else parsed(row[name])
        found.append(_thin(model, row))
    return _at_their_moment(found)


def _thin(model: "type[Action]", values: dict[str, Any]) -> "Action":
    """An action of which only `READ` was read; Django would take longer to make it than to decide on it."""
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding = False
    row.__dict__.update(values)
    return row


def _at_their_moment(rows: Iterable[Any]) -> "list[Action]":
    """All of one statement have one moment, so it is read once."""
    found = list(rows)
    if found:
        moment = datetime.fromisoformat(found[0].moment)
        for row in found:
            row.judged_at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found


def _judgeable(rows: "QuerySet[Action]", by: Actor) -> "QuerySet[Any]":
    newest = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision")).order_by("-id")
    unrouted = ActionTarget.objects.filter(action=OuterRef("pk"), instance__isnull=True).exclude(
        kind=TargetKind.INVESTIGATION
    )
    digest = Coalesce(Subquery(newest.values("digest")[:1]), Value(""), output_field=CharField())
    still = Q(choice=Choice.REJECT) | Q(plan__isnull=True) | Q(plan__digest=OuterRef("plan_now"))
    vote = Vote.objects.filter(
        still, action=OuterRef("pk"), revision=OuterRef("revision"), user_ref=by.ref
    ).order_by("-id")
    found: QuerySet[Any] = (
        rows.order_by("pk")
        .annotate(
            moment=Cast(Now(), CharField()),
            past=_is_past,
            plan_pk=Subquery(newest.values("pk")[:1]),
            plan_now=digest,
            plan_body=Subquery(newest.values("body")[:1]),
            plan_ended=Subquery(newest.annotate(ended=_is_past).values("ended")[:1]),
            unrouted=Exists(unrouted),
            blocked=Exists(behind_a_failed_undo()),
        )
        .annotate(voted=Subquery(vote.values("choice")[:1]))
    )
    return found


_is_past = ExpressionWrapper(Q(expires_at__lte=Now()), output_field=BooleanField())


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
        or too_late(row, ballot.revisions.get(row.pk))
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
    return _not_ready(row) or _other_plan(row, ballot.plans.get(row.pk))


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
