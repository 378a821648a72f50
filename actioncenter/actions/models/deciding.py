"""The decision axis: votes, approval, rejection.

One code path for one and for many. Rows are locked in id order (PostgreSQL; SQLite's IMMEDIATE
transactions are serial), judged, and written by one conditional update; what was skipped or
lost is reported per row. Test on a stale instance is the classic way to decide twice, so
nothing here looks at an instance that was loaded before the lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.catalogue import needs_plan
from actioncenter.actions.enums import ActionType, Choice, Decision, Execution, TargetKind
from actioncenter.actions.models import voting
from actioncenter.actions.models.ballots import Ballot
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.entitling import PROOF_SECONDS, WHY_PROOF
from actioncenter.actions.models.following import AFTER_DECISION, follow_decisions
from actioncenter.actions.models.plan import Plan, Vote
from actioncenter.actions.models.target import UNDO_FAILED_THERE, ActionTarget, behind_a_failed_undo
from actioncenter.actions.permissions import NotVisible, Refused, Rights, Verb, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.access import within
from investigations.enums import RemediationStatus

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

BULK_LIMIT = 500
EVIDENCE_AFTER = {**AFTER_DECISION, Decision.APPROVED: RemediationStatus.RUNNING}
COMMENT_LIMIT = 4000
PREFIX = 8
"""Letters of a plan's digest that a list carries."""


@dataclass(frozen=True, slots=True)
class Way:
    """What approving, rejecting and breaking the glass differ in."""

    verb: Verb
    choice: Choice
    decision: Decision
    event: Kind
    comment_key: str
    alone: bool = False
    """One person decides, whatever the rule asks for."""


APPROVE = Way(Verb.APPROVE, Choice.APPROVE, Decision.APPROVED, Kind.ACTION_APPROVED, "comment_on_approve")
REJECT = Way(Verb.REJECT, Choice.REJECT, Decision.REJECTED, Kind.ACTION_REJECTED, "comment_on_reject")
GLASS = Way(
    Verb.APPROVE, Choice.APPROVE, Decision.APPROVED, Kind.ACTION_APPROVED, "comment_on_glass", alone=True
)


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
        rows = locked_rows(type(action), [action.pk], wait=True, by=ballot.by)
        if not rows:
            raise NotVisible
        error = _objection(rows[0], way, ballot, rights)
        if error:
            raise error
        _write(type(action), rows, way, ballot)
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
    with fence.decider():
        rights = voter_rights(ballot.by)
        seen = dict(within(model.objects.filter(pk__in=wanted), rights.scope).values_list("pk", "type"))
        if len(set(seen.values())) > 1:
            raise Invalid("selection", "All selected actions must be of the same type.")
        rows = {row.pk: row for row in locked_rows(model, list(seen), wait=False, by=ballot.by)}
        errors = {pk: _objection(row, way, ballot, rights) for pk, row in rows.items()}
        good = [row for pk, row in rows.items() if errors[pk] is None]
        decided = _write(model, good, way, ballot)
    results = {pk: _result(row, way, errors[pk], pk in decided) for pk, row in rows.items()}
    for pk in sorted(seen.keys() - rows.keys()):
        results[pk] = _decide_alone(model(pk=pk), way, ballot) if wait else RowResult(pk, False, "busy", "")
    return [results.get(pk) or _unknown(pk) for pk in wanted]


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


def locked_rows(model: "type[Action]", ids: Sequence[int], *, wait: bool, by: Actor) -> "list[Action]":
    """The rows as they are once they are locked: what was read while waiting for a lock may be old.

    Each carries `judged_at` (the database's clock, one moment for all), `plan_pk`, `plan_now` and
    `plan_ends` of its newest plan, `unrouted`, `blocked`, and `voted` by this person.
    """
    if connection.features.has_select_for_update:
        rows = model.objects.filter(pk__in=ids).order_by("pk")
        held = rows.select_for_update(of=("self",), no_key=True, skip_locked=not wait)
        ids = list(held.values_list("pk", flat=True))
    newest = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision")).order_by("-id")
    unrouted = ActionTarget.objects.filter(action=OuterRef("pk"), instance__isnull=True).exclude(
        kind=TargetKind.INVESTIGATION
    )
    digest = Coalesce(Subquery(newest.values("digest")[:1]), Value(""), output_field=CharField())
    still = Q(choice=Choice.REJECT) | Q(plan__isnull=True) | Q(plan__digest=OuterRef("plan_now"))
    vote = Vote.objects.filter(
        still, action=OuterRef("pk"), revision=OuterRef("revision"), user_ref=by.ref
    ).order_by("-id")
    return list(
        model.objects.filter(pk__in=ids)
        .order_by("pk")
        .annotate(
            judged_at=Now(),
            plan_pk=Subquery(newest.values("pk")[:1]),
            plan_now=digest,
            plan_ends=Subquery(newest.values("expires_at")[:1]),
            unrouted=Exists(unrouted),
            blocked=Exists(behind_a_failed_undo()),
        )
        .annotate(voted=Subquery(vote.values("choice")[:1]))
    )


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
    if row.expires_at is None or row.expires_at <= row.judged_at:
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
    if _plan_ended(row):
        return Conflict(row, "plan_expired", f"The plan of {row.label} is too old. A new one is needed.")
    return None


def _plan_ended(row: Any) -> bool:
    return row.plan_ends is not None and row.plan_ends <= row.judged_at


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


def _write(model: "type[Action]", rows: Sequence[Any], way: Way, ballot: Ballot) -> set[int]:
    """Cast the votes and decide what has enough of them; returns the ids that were decided."""
    if not rows:
        return set()
    plans = _plans_of(rows) if way is not REJECT else {}
    Vote.objects.bulk_create(
        Vote(
            action=row,
            revision=row.revision,
            fingerprint=row.fingerprint,
            choice=way.choice,
            user_id=ballot.by.user_id,
            user_ref=ballot.by.ref,
            user_name=ballot.by.name,
            comment=ballot.comment,
            plan=plans.get(row.pk),
            mode=ballot.mode,
        )
        for row in rows
        if row.voted is None
    )
    ready = list(rows) if way.alone else _with_enough(rows, way)
    changed = _decide(model, ready, way, ballot, plans)
    if changed != len(ready):
        raise Conflict(ready[0], "decided", "Somebody decided meanwhile. Nothing was recorded.")
    decided = {row.pk for row in ready}
    _record(rows, decided, way, ballot, plans)
    follow_decisions(ready, EVIDENCE_AFTER[way.decision])
    if way is not REJECT and decided:
        transaction.on_commit(partial(dispatch.wake, sorted(decided)), robust=True)
    return decided


def _plans_of(rows: Sequence[Any]) -> dict[int, Plan]:
    """Action -> the plan that an approval of it binds: the newest, unless that is too old."""
    by_pk = Plan.objects.in_bulk([row.plan_pk for row in rows if row.plan_pk and not _plan_ended(row)])
    return {plan.action_id: plan for plan in by_pk.values()}


def _with_enough(rows: Sequence[Any], way: Way) -> list[Any]:
    """Rows whose votes suffice now."""
    several = [row for row in rows if _takes_several(row, way)]
    counted = voting.tallies(several, {row.pk: row.plan_now for row in several}) if several else {}
    return [row for row in rows if row.pk not in counted or _has_enough(row, way, counted[row.pk])]


def _takes_several(row: "Action", way: Way) -> bool:
    if way is APPROVE:
        return voting.needs_several(row)
    return int(row.approval_rule.get("deny_quorum", 1)) > 1


def _has_enough(row: "Action", way: Way, tally: voting.Tally) -> bool:
    if way is APPROVE:
        return not tally.missing(row.approval_rule)
    return len(tally.deniers) >= int(row.approval_rule["deny_quorum"])


def _decide(
    model: "type[Action]", rows: Sequence[Any], way: Way, ballot: Ballot, plans: Mapping[int, Plan]
) -> int:
    """The conditional update itself; returns how many rows it changed."""
    if not rows:
        return 0
    moment = rows[0].judged_at
    changes: dict[str, Any] = {
        "decision": way.decision,
        "decided_by_id": ballot.by.user_id,
        "decided_by_name": ballot.by.name,
        "decided_at": moment,
        "decision_comment": ballot.comment,
        "approval_id": ballot.approval_id,
        "updated_at": Now(),
    }
    if way is REJECT:
        changes |= {"history_at": moment, "finished_at": moment}
    else:
        changes |= {
            "execution": Execution.QUEUED,
            "queued_at": moment,
            "approved_fingerprint": F("fingerprint"),
            "approved_plan_id": _each(plans, lambda plan: plan.pk, None),
            "approved_plan_digest": _each(plans, lambda plan: plan.seal, ""),
            "break_glass": way.alone,
        }
    numbers = [row.pk for row in rows]
    return model.objects.filter(pk__in=numbers, decision=Decision.PENDING).update(**changes)


def _each(plans: Mapping[int, Plan], of: Any, otherwise: Any) -> Any:
    if not plans:
        return otherwise
    return Case(*(When(pk=pk, then=Value(of(plan))) for pk, plan in plans.items()), default=Value(otherwise))


def _record(
    rows: Sequence[Any], decided: set[int], way: Way, ballot: Ballot, plans: Mapping[int, Plan]
) -> None:
    log.record_many(
        [
            row.draft(
                way.event if row.pk in decided else Kind.ACTION_VOTED,
                by=ballot.by,
                before={"decision": "PENDING"},
                after={
                    "decision": way.decision.name if row.pk in decided else "PENDING",
                    "choice": way.choice.name,
                },
                detail={
                    "comment": ballot.comment,
                    "revision": row.revision,
                    "fingerprint": row.fingerprint,
                    "plan": plans[row.pk].digest if row.pk in plans else "",
                    "sealed": plans[row.pk].seal if row.pk in plans else "",
                    "mode": ballot.mode,
                },
            )
            for row in rows
        ]
    )
