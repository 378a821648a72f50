"""From evidence with a verdict to actions. Idempotent: the same evidence twice makes one action.

Several findings may ask for the same action on the same target; they become one action with
several links, and the strictest outcome wins (domain Q8).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import connection
from django.db.models import F, QuerySet

from actioncenter.accounts import fence
from actioncenter.actions import policy, rails, recipes, wishes
from actioncenter.actions.enums import ALLOWED, Decision, Execution
from actioncenter.actions.models import Action, ActionEvidence
from actioncenter.actions.policy import Outcome
from actioncenter.actions.wishes import DONE_BY_THE_SOURCE, Judged, Rules, Wish
from actioncenter.audit.actor import Actor
from investigations.enums import RemediationStatus
from investigations.lifecycle import mark_dirty
from investigations.models import Evidence, Investigation
from investigations.models.evidence import UNPLANNED

__all__ = [
    "ASKED_AGAIN",
    "DONE_BY_THE_SOURCE",
    "judged_again",
    "plan",
    "plan_unplanned",
    "stop_investigation",
    "unplanned",
]

CHUNK = 100
"""Findings per transaction: on SQLite it keeps everybody else from writing, and each may become actions."""
AT_ONCE = 500
ASKED_AGAIN = frozenset(
    {
        "level_lowered", "plan_changed", "plan_expired", "stale_approval", "approved_late", "approver_lost",
        "excluded_now", "allowed_now", "critical_now", "membership_unsure", "no_longer_automatic",
        "verdict_withdrawn", "stale_automatic", "identity_changed",
    }
)  # fmt: skip
"""Codes with which the runner refused; the same evidence may ask a person then."""


Links = dict[int, list[tuple[int, int, str]]]
"""Action -> (evidence, verdict, code) of each finding it rests on."""


def plan(evidence_ids: Iterable[int], *, by: Actor | None = None) -> list[Action]:
    """Propose what the evidence calls for; returns the actions that are new.

    Works in transactions of at most 100 pieces of evidence, unless the caller is in one.
    """
    ids = sorted(set(evidence_ids))
    if len(ids) > CHUNK and connection.in_atomic_block:
        # One transaction for all chunks: the rails are locked once, so in the order of everybody.
        with fence.decider():
            rails.hold_all(Evidence.objects.filter(pk__in=ids))
    created: list[Action] = []
    for start in range(0, len(ids), CHUNK):
        created += _plan_chunk(ids[start : start + CHUNK], by=by or Actor.automation())
    return created


def plan_unplanned(*, by: Actor, limit: int = AT_ONCE) -> list[Action]:
    """For housekeeping: what a crash between recording and planning left behind."""
    return plan(unplanned().values_list("pk", flat=True)[:limit], by=by)


def unplanned() -> "QuerySet[Evidence]":
    """Evidence whose verdict planning has not worked on."""
    return Evidence.objects.filter(UNPLANNED)


def _plan_chunk(ids: Sequence[int], *, by: Actor) -> list[Action]:
    with fence.decider():
        evidence = _read(_ours(ids))
        wanted = wishes.wishes_of(evidence, Rules.read(evidence))
        created, links = _propose(wanted, by=by)
        _withdraw_improved(evidence, by=by)
        _mark_planned(evidence, created, links)
    return created


def _read(rows: "QuerySet[Evidence]") -> list[Evidence]:
    return list(rows.select_related("device__group", "mailbox", "cluster", "investigation").order_by("pk"))


def judged_again(action: Action) -> Outcome | None:
    """What policy says now of the findings that let an action run by itself; None where nothing asks for it.

    The caller is inside `fence.decider`.
    """
    automatic = action.links.filter(outcome_code__in=policy.AUTOMATIC)
    evidence = _read(Evidence.objects.filter(pk__in=automatic.values("evidence")))
    wanted = [wish for wish in wishes.wishes_of(evidence, Rules.read(evidence)) if wish.type == action.type]
    rejected = wishes.rejections(wanted)
    known = rails.breaker_facts(action)
    outcomes = [
        wishes.judge(wish, rejected_before=rejected.get(wish.intent_key, ""), **known).outcome
        for wish in wanted
    ]
    return policy.strictest(outcomes) if outcomes else None


def _ours(ids: Sequence[int]) -> "QuerySet[Evidence]":
    """Those that no other intake or planning has: that one plans them, with the verdict it brings."""
    rows = Evidence.objects.filter(pk__in=ids)
    if connection.features.has_select_for_update:
        held = rows.order_by("pk").select_for_update(no_key=True, skip_locked=True)
        rows = Evidence.objects.filter(pk__in=list(held.values_list("pk", flat=True)))
    return rows


def _propose(wanted: Sequence[Wish], *, by: Actor) -> tuple[list[Action], Links]:
    """The actions that are new, and what each rests on."""
    rejected = wishes.rejections(wanted)
    standing = wishes.standing(wanted)
    new: list[tuple[Judged, Action | None]] = []
    old: Links = {}
    for wish in wanted:
        judged = wishes.judge(wish, rejected_before=rejected.get(wish.intent_key, ""))
        existing = standing.get(wish.key)
        if not judged.outcome.kind.proposes:
            continue
        if existing is None or _asks_again(existing, judged):
            new.append((judged, existing))
        else:
            old[existing.pk] = judged.links
    licences = rails.Licences.hold([judged for judged, _ in new if judged.automatic], by=by)
    created: list[Action] = []
    links: Links = {}
    for wished, existing in new:
        judged = licences.judge(wished)
        action, is_new = _insert(judged, existing, by=by)
        (links if is_new else old)[action.pk] = judged.links
        if is_new:
            licences.use(judged, action)
            created.append(action)
    licences.remember()
    _link(old)
    return created, links


def _insert(judged: Judged, existing: Action | None, *, by: Actor) -> tuple[Action, bool]:
    """The action that stands for it now, and whether it is new."""
    if existing is None:
        return Action.objects.propose(wishes.proposal_of(judged, round_=1), by=by)
    if existing.decision == Decision.PENDING and not existing.withdraw("withdrawn_superseded", by=by):
        # Somebody decided it meanwhile, so it stands.
        return existing, False
    return Action.objects.propose(wishes.proposal_of(judged, round_=existing.round + 1), by=by)


def _asks_again(existing: Action, judged: Judged) -> bool:
    """A worse verdict asks anew, unless it was allowed already; so does a finding that came back."""
    if existing.execution == Execution.CANCELLED and existing.code in ASKED_AGAIN:
        return True
    if existing.decision in ALLOWED:
        return False
    return bool(existing.decision == Decision.WITHDRAWN or judged.wish.verdict > existing.verdict)


def _link(links: Links) -> None:
    rows = [
        ActionEvidence(action_id=action, evidence_id=pk, verdict=verdict, outcome_code=code)
        for action, findings in links.items()
        for pk, verdict, code in findings
    ]
    if rows:
        ActionEvidence.objects.bulk_create(rows, ignore_conflicts=True)


def _withdraw_improved(evidence: Sequence[Evidence], *, by: Actor) -> None:
    """A better verdict withdraws what is undecided and no longer asked for (domain Q7)."""
    better = [
        item.pk
        for item in evidence
        if item.verdict not in recipes.BAD and item.planned_verdict in recipes.BAD
    ]
    if not better:
        return
    bad_links = ActionEvidence.objects.filter(evidence__verdict__in=[int(v) for v in recipes.BAD])
    Action.objects.exclude(pk__in=bad_links.values("action_id")).withdraw(
        "withdrawn_verdict", by=by, links__evidence_id__in=better
    )


def _mark_planned(evidence: Sequence[Evidence], created: Sequence[Action], links: Links) -> None:
    waiting: dict[Decision, set[int]] = defaultdict(set)
    for action in created:
        waiting[Decision(action.decision)] |= {pk for pk, _, _ in links[action.pk]}
    Evidence.objects.filter(pk__in=[item.pk for item in evidence]).update(planned_verdict=F("verdict"))
    Evidence.objects.filter(pk__in=waiting[Decision.NOT_REQUIRED]).update(
        remediation=RemediationStatus.RUNNING
    )
    Evidence.objects.filter(pk__in=waiting[Decision.PENDING]).update(
        remediation=RemediationStatus.PENDING_APPROVAL
    )
    mark_dirty(item.investigation_id for item in evidence)


def stop_investigation(investigation: Investigation, *, by: Actor) -> int:
    """Withdraw what it still asks for; returns how many. The caller ends the investigation itself."""
    return Action.objects.withdraw("withdrawn_investigation", by=by, investigation=investigation)
