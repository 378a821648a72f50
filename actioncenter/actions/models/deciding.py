"""The decision axis: votes, approval, rejection, expiry, withdrawal, edits.

One code path for one and for many. Rows are locked in id order (PostgreSQL; SQLite's IMMEDIATE
transactions are serial), judged, and written by one conditional update; what was skipped or
lost is reported per row. Test on a stale instance is the classic way to decide twice, so
nothing here looks at an instance that was loaded before the lock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import BooleanField, Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.catalogue import clean_parameters, needs_plan
from actioncenter.actions.enums import ActionType, Choice, Decision, Execution, TargetKind
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.following import AFTER_DECISION, follow_decisions
from actioncenter.actions.models.plan import Plan, Vote
from actioncenter.actions.models.proposal import fingerprint, intent_key
from actioncenter.actions.models.proposing import ask_for_plan
from actioncenter.actions.models.target import ActionTarget
from actioncenter.actions.permissions import NotVisible, Refused, Rights, Verb, fresh_rights, rights_of
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


@dataclass(frozen=True, slots=True)
class Way:
    """What approving and rejecting differ in."""

    verb: Verb
    choice: Choice
    decision: Decision
    event: Kind
    quorum_key: str
    comment_key: str


APPROVE = Way(
    Verb.APPROVE, Choice.APPROVE, Decision.APPROVED, Kind.ACTION_APPROVED, "quorum", "comment_on_approve"
)
REJECT = Way(
    Verb.REJECT,
    Choice.REJECT,
    Decision.REJECTED,
    Kind.ACTION_REJECTED,
    "deny_quorum",
    "comment_on_reject",
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """Outcome for one row of a bulk decision; `code` is `approved`, `voted`, or why not."""

    number: int
    ok: bool
    code: str
    message: str
    action: "Action | None" = None


def decide_one(
    action: "Action", way: Way, *, by: Actor, comment: str = "", revision: int | None = None,
    approval_id: UUID | None = None,
) -> "Action":  # fmt: skip
    """Decide one action; raises Conflict, Refused, Invalid or NotVisible."""
    revisions = {action.pk: revision} if revision is not None else None
    with fence.decider():
        rights = fresh_rights(by)
        rows = _locked(type(action), [action.pk], wait=True, by=by)
        if not rows:
            raise NotVisible
        error = _objection(rows[0], way, by=by, rights=rights, comment=comment, revisions=revisions or {})
        if error:
            raise error
        _write(type(action), rows, way, by=by, comment=comment, approval_id=approval_id)
    action.refresh_from_db()
    return action


def decide_many(
    model: "type[Action]", ids: Sequence[int], way: Way, *, by: Actor, comment: str = "",
    revisions: Mapping[int, int] | None = None, approval_id: UUID | None = None,
) -> list[RowResult]:  # fmt: skip
    """Decide up to 500 actions of one type; one result per id, in the order given.

    Raises Invalid when the selection is empty, too large or of several types. Ids out of the
    person's scope come back as `unknown`, like ids that don't exist. Rows that somebody else is
    deciding are taken alone afterwards: waiting for one while holding others is a deadlock.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted or len(wanted) > BULK_LIMIT:
        raise Invalid("selection", f"Select between 1 and {BULK_LIMIT} actions.")
    revisions, approval_id = revisions or {}, approval_id or uuid4()
    with fence.decider():
        rights = fresh_rights(by)
        seen = dict(within(model.objects.filter(pk__in=wanted), rights.scope).values_list("pk", "type"))
        if len(set(seen.values())) > 1:
            raise Invalid("selection", "All selected actions must be of the same type.")
        rows = {row.pk: row for row in _locked(model, list(seen), wait=False, by=by)}
        errors = {
            pk: _objection(row, way, by=by, rights=rights, comment=comment, revisions=revisions)
            for pk, row in rows.items()
        }
        good = [row for pk, row in rows.items() if errors[pk] is None]
        decided = _write(model, good, way, by=by, comment=comment, approval_id=approval_id)
    results = {pk: _result(row, way, errors[pk], pk in decided) for pk, row in rows.items()}
    for pk in sorted(seen.keys() - rows.keys()):
        results[pk] = _decide_alone(
            model(pk=pk), way, by=by, comment=comment, revision=revisions.get(pk), approval_id=approval_id
        )
    return [results.get(pk) or _unknown(pk) for pk in wanted]


def _decide_alone(action: "Action", way: Way, **more: Any) -> RowResult:
    try:
        row = decide_one(action, way, **more)
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


def _locked(model: "type[Action]", ids: Sequence[int], *, wait: bool, by: Actor) -> "list[Action]":
    """The rows as they are once they are locked: what was read while waiting for a lock may be old."""
    if connection.features.has_select_for_update:
        rows = model.objects.filter(pk__in=ids).order_by("pk")
        held = rows.select_for_update(of=("self",), no_key=True, skip_locked=not wait)
        ids = list(held.values_list("pk", flat=True))
    past = Case(
        When(expires_at__lte=Now(), then=Value(True)), default=Value(False), output_field=BooleanField()
    )
    plan = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision"), expires_at__gt=Now())
    unrouted = ActionTarget.objects.filter(action=OuterRef("pk"), instance__isnull=True).exclude(
        kind=TargetKind.INVESTIGATION
    )
    vote = Vote.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision"), user_ref=by.ref)
    return list(
        model.objects.filter(pk__in=ids)
        .order_by("pk")
        .annotate(past_expiry=past, has_plan=Exists(plan), unrouted=Exists(unrouted), has_voted=Exists(vote))
    )


def _objection(
    row: "Action", way: Way, *, by: Actor, rights: Rights, comment: str, revisions: Mapping[int, int]
) -> Exception | None:
    """Why this row can't be decided so by this person now, or None."""
    if not rights.sees(row):
        return NotVisible()
    return (
        rights.refusal(way.verb, row)
        or _too_late(row, revisions.get(row.pk))
        or _not_yours(row, by)
        or (_not_ready(row) if way is APPROVE else None)
        or _comment_missing(row, way, comment)
    )


def _too_late(row: Any, revision: int | None) -> Conflict | None:
    if row.decision != Decision.PENDING:
        return Conflict(row, "decided")
    if row.past_expiry:
        return Conflict(row, "expired", f"{row.label} expired undecided; that counts as a rejection.")
    if revision is not None and revision != row.revision:
        return Conflict(row, "changed", f"{row.label} was changed since you opened it. Look again.")
    if row.has_voted:
        return Conflict(row, "voted", f"You have already voted on {row.label}.")
    return None


def _not_yours(row: "Action", by: Actor) -> Refused | None:
    if row.approval_rule.get("four_eyes") and by.ref in row.proposers:
        return Refused("own_proposal", "Whoever proposed an action may not decide it.")
    return None


def _not_ready(row: Any) -> Conflict | None:
    if row.unrouted:
        return Conflict(row, "no_route", f"No connector reaches the target of {row.label}.")
    if needs_plan(ActionType(row.type), TargetKind(row.target_kind)) and not row.has_plan:
        return Conflict(row, "plan_missing", f"{row.label} can't be approved before its plan was made.")
    return None


def _comment_missing(row: "Action", way: Way, comment: str) -> Invalid | None:
    if len(comment) > COMMENT_LIMIT:
        return Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
    if row.approval_rule.get(way.comment_key) and not comment.strip():
        return Invalid("comment", "A comment is required here.")
    return None


def _write(
    model: "type[Action]", rows: "Sequence[Action]", way: Way, *, by: Actor, comment: str,
    approval_id: UUID | None,
) -> set[int]:  # fmt: skip
    """Cast the votes and decide what has its quorum; returns the ids that were decided."""
    if not rows:
        return set()
    Vote.objects.bulk_create(
        Vote(
            action=row,
            revision=row.revision,
            fingerprint=row.fingerprint,
            choice=way.choice,
            user_id=by.user_id,
            user_ref=by.ref,
            user_name=by.name,
            comment=comment,
        )
        for row in rows
    )
    ready = _with_quorum(rows, way)
    changed = _decide(model, [row.pk for row in ready], way, by=by, comment=comment, approval_id=approval_id)
    if changed != len(ready):
        raise Conflict(ready[0], "decided", "Somebody decided meanwhile. Nothing was recorded.")
    decided = {row.pk for row in ready}
    log.record_many(
        [
            row.draft(
                way.event if row.pk in decided else Kind.ACTION_VOTED,
                by=by,
                before={"decision": "PENDING"},
                after={
                    "decision": way.decision.name if row.pk in decided else "PENDING",
                    "choice": way.choice.name,
                },
                detail={"comment": comment, "revision": row.revision, "fingerprint": row.fingerprint},
            )
            for row in rows
        ]
    )
    follow_decisions(ready, EVIDENCE_AFTER[way.decision])
    if way is APPROVE and decided:
        transaction.on_commit(partial(dispatch.wake, sorted(decided)), robust=True)
    return decided


def _with_quorum(rows: "Sequence[Action]", way: Way) -> "list[Action]":
    """Rows whose votes suffice now. Votes of people who may no longer decide don't count."""
    needed = {row.pk: int(row.approval_rule.get(way.quorum_key, 1)) for row in rows}
    several = {row.pk: row for row in rows if needed[row.pk] > 1}
    counted: Counter[int] = Counter()
    if several:
        votes = Vote.objects.filter(action__in=several, choice=way.choice, user__is_active=True)
        votes = votes.filter(revision=F("action__revision"), fingerprint=F("action__fingerprint"))
        cast = list(votes.select_related("user"))
        rights = {user.pk: rights_of(user) for user in {vote.user for vote in cast} if user}
        for vote in cast:
            held, row = rights[vote.user_id or 0], several[vote.action_id]
            counted[row.pk] += held.sees(row) and held.refusal(way.verb, row) is None
    return [row for row in rows if needed[row.pk] <= 1 or counted[row.pk] >= needed[row.pk]]


def _decide(
    model: "type[Action]", ids: Sequence[int], way: Way, *, by: Actor, comment: str, approval_id: UUID | None
) -> int:
    """The conditional update itself; returns how many rows it changed."""
    changes: dict[str, Any] = {
        "decision": way.decision,
        "decided_by_id": by.user_id,
        "decided_by_name": by.name,
        "decided_at": Now(),
        "decision_comment": comment,
        "approval_id": approval_id,
        "updated_at": Now(),
    }
    if way is APPROVE:
        plan = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision")).order_by("-id")
        changes |= {
            "execution": Execution.QUEUED,
            "queued_at": Now(),
            "approved_fingerprint": F("fingerprint"),
            "approved_plan_id": Subquery(plan.values("pk")[:1]),
        }
    else:
        changes |= {"history_at": Now(), "finished_at": Now()}
    return model.objects.filter(pk__in=ids, decision=Decision.PENDING).update(**changes)


def edit(action: "Action", parameters: dict[str, Any], *, by: Actor, revision: int) -> "Action":
    """Raises Conflict, Refused, NotVisible, or catalogue.ParameterError."""
    cleaned = clean_parameters(ActionType(action.type), parameters)
    with fence.decider():
        rows = _locked(type(action), [action.pk], wait=True, by=by)
        if not rows:
            raise NotVisible
        row = rows[0]
        fresh_rights(by).require(Verb.EDIT, row)
        late = _too_late(row, revision)
        if late:
            raise late
        targets = list(row.targets.all())
        intent = intent_key(ActionType(row.type), [target.canonical for target in targets], cleaned)
        before = row.parameters
        row.parameters, row.revision, row.intent_key = cleaned, row.revision + 1, intent
        row.fingerprint = fingerprint(intent, [t.instance_id for t in targets], row.policy, row.revision)
        row.proposers = sorted({*row.proposers, by.ref})
        row.save(update_fields=["parameters", "revision", "intent_key", "fingerprint", "proposers"])
        ask_for_plan(row, by=by)
        log.record_many(
            [
                row.draft(
                    Kind.ACTION_EDITED,
                    by=by,
                    before={"parameters": before},
                    after={"parameters": cleaned},
                )
            ]
        )
    action.refresh_from_db()
    return action


def expire_due(model: "type[Action]", *, by: Actor, limit: int) -> int:
    with transaction.atomic():
        due = model.objects.past_expiry().order_by("pk")
        if connection.features.has_select_for_update:
            due = due.select_for_update(no_key=True, skip_locked=True)
        rows = list(due[:limit])
        return _close(model, rows, Decision.EXPIRED, "expired_undecided", by=by, event=Kind.ACTION_EXPIRED)


def withdraw(model: "type[Action]", ids: Sequence[int], code: str, *, by: Actor) -> int:
    with transaction.atomic():
        rows = _locked(model, ids, wait=True, by=by)
        rows = [row for row in rows if row.decision == Decision.PENDING]
        return _close(model, rows, Decision.WITHDRAWN, code, by=by, event=Kind.ACTION_WITHDRAWN)


def _close(
    model: "type[Action]",
    rows: "Sequence[Action]",
    decision: Decision,
    code: str,
    *,
    by: Actor,
    event: Kind,
) -> int:
    name = "" if decision == Decision.EXPIRED else by.name
    changed = model.objects.filter(Q(pk__in=[row.pk for row in rows]), decision=Decision.PENDING).update(
        decision=decision, decided_at=Now(), decided_by_name=name, decided_by_id=by.user_id, code=code,
        history_at=Now(), finished_at=Now(), updated_at=Now(),
    )  # fmt: skip
    log.record_many(
        [
            row.draft(
                event,
                by=by,
                before={"decision": "PENDING"},
                after={"decision": decision.name},
                detail={"code": code},
            )
            for row in rows
        ]
    )
    follow_decisions(rows, EVIDENCE_AFTER[decision])
    return changed
