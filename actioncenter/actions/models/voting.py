"""Whose votes count, and whether they suffice. Distinct people only; counted under the row's lock.

Tokens, services and commands never count, nor do people who have been deactivated or have lost the
right since, nor approvals of a plan that has changed since, nor votes that the audit log doesn't tell of.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Choice
from actioncenter.actions.models.plan import Vote
from actioncenter.actions.permissions import Rights, Verb, rights_of
from actioncenter.audit import reading
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

TWO: Final = 2
VOTED: Final = (Kind.ACTION_VOTED, Kind.ACTION_APPROVED, Kind.ACTION_REJECTED)
BEHIND: Final = "behind:"
"""Marks the person behind a token: kept from approving what it proposed, but no human proposer."""


@dataclass(slots=True)
class Tally:
    """What counts for one action: people by their reference."""

    approvers: set[str] = field(default_factory=set)
    deniers: set[str] = field(default_factory=set)
    proposers: set[str] = field(default_factory=set)

    def missing(self, rule: Mapping[str, Any], voter: str = "") -> int:
        """How many more have to approve, should this person approve too."""
        approvers = self.approvers | ({voter} if voter else set())
        missing = int(rule.get("quorum", 1)) - len(approvers)
        if rule.get("second_person"):
            # Two people at least, whoever proposed it in person counted.
            missing = max(missing, TWO - len(approvers | self.proposers))
        return max(0, missing)


def proposer_ref(by: Actor) -> str:
    """How `Action.proposers` names whoever proposed or edited."""
    if by.user_id is None or by.is_person:
        return by.ref
    return f"{BEHIND}user:{by.user_id}"


def has_proposed(action: "Action", ref: str) -> bool:
    """Whether this person proposed or edited it, in person or through a token."""
    return ref in action.proposers or f"{BEHIND}{ref}" in action.proposers


def barred(action: "Action", ref: str) -> bool:
    """Whether four-eyes keeps this person from approving it."""
    return bool(action.approval_rule.get("four_eyes")) and has_proposed(action, ref)


def needs_several(action: "Action") -> bool:
    """Whether one approval alone may not be enough."""
    rule = action.approval_rule
    return bool(rule.get("second_person")) or int(rule.get("quorum", 1)) > 1


def tallies(rows: "Sequence[Action]", plans: Mapping[int, str]) -> dict[int, Tally]:
    """Per action; `plans` is the digest of each one's newest plan, absent where there is none."""
    by_id = {row.pk: row for row in rows}
    votes = Vote.objects.filter(
        action__in=by_id, revision=F("action__revision"), fingerprint=F("action__fingerprint")
    )
    cast = list(votes.values_list("action_id", "user_id", "user_ref", "choice", "plan__digest"))
    wanted = {user for _, user, _, _, _ in cast if user} | {
        pk for row in rows for pk in _people(row.proposers)
    }
    rights = {user.pk: rights_of(user) for user in User.objects.filter(pk__in=wanted, is_active=True)}
    counted: dict[int, Tally] = defaultdict(Tally)
    told = _told(rows) if cast else set()
    for number, user, ref, choice, plan in cast:
        row = by_id[number]
        held = rights.get(user or 0)
        if held is None or ref != f"user:{user}" or not _may(held, Verb.APPROVE, row):
            continue
        if (number, ref, Choice(choice).name, row.revision, row.fingerprint) not in told:
            # A row that somebody wrote into the table: the log, which has a key, doesn't know it.
            continue
        if choice == Choice.REJECT:
            counted[number].deniers.add(ref)
        elif not barred(row, ref) and (plan is None or plan == plans.get(number)):
            counted[number].approvers.add(ref)
    for row in rows:
        for pk in _people(row.proposers):
            if pk in rights and _may(rights[pk], Verb.PROPOSE, row):
                counted[row.pk].proposers.add(f"user:{pk}")
    return {row.pk: counted[row.pk] for row in rows}


def _told(rows: "Sequence[Action]") -> set[tuple[int, str, str, int, str]]:
    """What the log says of votes: action, person, choice, revision, fingerprint."""
    events = reading.genuine([f"action:{row.pk}" for row in rows], VOTED)
    return {
        (
            int(event["stream"].removeprefix("action:")),
            event["actor"],
            (event["after"] or {}).get("choice", ""),
            (event["detail"] or {}).get("revision", 0),
            (event["detail"] or {}).get("fingerprint", ""),
        )
        for event in events
    }


def vote_of(votes: Iterable[Vote], ref: str, plan: str) -> Vote | None:
    """The person's vote among those of the revision, if it counts for the plan as it is."""
    for vote in votes:
        if vote.user_ref == ref and (
            vote.choice == Choice.REJECT or vote.plan is None or vote.plan.digest == plan
        ):
            return vote
    return None


def suffices(action: "Action") -> bool:
    """Whether the approvals that count now are enough. One person's word is, where the glass was broken."""
    plan = action.plans.filter(revision=action.revision).order_by("-id").first()
    seen = action.approved_plan or plan
    tally = tallies([action], {action.pk: seen.digest} if seen else {})[action.pk]
    return bool(tally.approvers) if action.break_glass else not tally.missing(action.approval_rule)


def eligible(action: "Action", *, enough: int, without: str = "") -> int:
    """How many people may approve it now, counted up to `enough`; `without` is left out."""
    number = 0
    holders = User.objects.filter(is_active=True, grants__isnull=False).distinct().order_by("pk")
    for user in holders.iterator(chunk_size=50):
        if (
            user.ref != without
            and not barred(action, user.ref)
            and _may(rights_of(user), Verb.APPROVE, action)
        ):
            number += 1
            if number >= enough:
                break
    return number


def _people(refs: Iterable[str]) -> list[int]:
    return [int(ref.removeprefix("user:")) for ref in refs if ref.startswith("user:")]


def _may(rights: Rights, verb: Verb, row: "Action") -> bool:
    return rights.sees(row) and rights.refusal(verb, row) is None
