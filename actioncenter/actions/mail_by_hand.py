"""What a person does by hand to a mailbox, or to copies of one message: what is in its way, and the proposals.

As on devices an own action passes every rule that others pass (see by_hand). Copies that several connectors reach
become one action for each, under one approval.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from django.db import connection

from actioncenter.accounts import fence
from actioncenter.accounts.answers import key_of_form
from actioncenter.actions import by_hand, exploring
from actioncenter.actions.by_hand import ASKING, KEY_USED, NOT_IN_FORCE, REASON, Foreseen
from actioncenter.actions.catalogue import CATALOGUE, Entry
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Conflict,
    Invalid,
    Proposal,
    TargetDraft,
    undoing,
)
from actioncenter.actions.permissions import Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import Verdict
from investigations.models import Evidence

ON_MAILBOXES: Final = (ActionType.TURN_OFF_FORWARDING, ActionType.REMOVE_DELEGATION)
ON_MESSAGES: Final = exploring.VERBS
"""In the order of their buttons."""
LOCK: Final = 0x0AC7_DE72
"""With a number made of the first lane."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One type of action on some of somebody's mail; rights ask it as they ask an action.

    `holds` is what is in force there, where this takes it back; `evidence` what it rests on.
    """

    type: ActionType
    targets: Sequence[TargetDraft]
    evidence: Sequence[Evidence] = ()
    holds: ActionTarget | None = None
    critical: bool = False
    unreachable: str = ""
    """Why no connector can do it, in one sentence."""

    area = Area.EMAIL
    group_id = None

    @property
    def entry(self) -> Entry:
        return CATALOGUE[self.type]

    @property
    def lanes(self) -> list[str]:
        return [self.holds.lane] if self.holds else [target.lane(self.type) for target in self.targets]


# What is in its way


def twins_of(errand: Errand) -> Mapping[str, Action]:
    """Lane -> what does or asks for the very same there."""
    there = by_hand.open_in(errand.lanes)
    return {
        lane: row.action for lane, rows in there.items() for row in rows if row.action.type == errand.type
    }


def left_of(errand: Errand, twins: Mapping[str, Action]) -> Errand:
    """Without what is being done already."""
    if errand.holds:
        return errand
    return replace(errand, targets=[each for each in errand.targets if each.lane(errand.type) not in twins])


def holds_already(errand: Errand) -> Action | None:
    """What did the same there and is in force."""
    if errand.holds is not None or not errand.entry.lasting:
        return None
    same = ActionTarget.objects.filter(in_force=True, action__type=errand.type, lane__in=errand.lanes)
    found = same.select_related("action").order_by("-action_id").first()
    return found.action if found else None


def why_not(errand: Errand, rights: Rights, twins: Mapping[str, Action]) -> str:
    """Why this person can't ask for any of it now, or an empty string."""
    refusal = rights.refusal(Verb.PROPOSE, errand)
    if refusal:
        return str(refusal)
    if errand.entry.is_inverse and errand.holds is None:
        return NOT_IN_FORCE
    if not errand.lanes:
        return "Pick at least one copy."
    if len(errand.targets) > exploring.MOST_PICKED:
        return f"At most {exploring.MOST_PICKED} copies can be picked by hand."
    twin = next(iter(twins.values()), None)
    if twin and (errand.holds or not left_of(errand, twins).targets):
        return f"{twin.label} does the same already and {by_hand.state_of(twin)}."
    if errand.holds:
        return ""
    instances = {target.instance_id for target in errand.targets}
    if errand.unreachable or None in instances:
        return errand.unreachable or "No connector reaches some of it."
    if any(target.kind == TargetKind.MESSAGE for target in errand.targets):
        return exploring.unsupported(errand.type, sorted(filter(None, instances)))
    return ""


# What would become of it


def foresee(errand: Errand, *, by: Actor) -> Foreseen:
    """Asked of the same rules as the proposal itself; nothing is recorded. Raises Refused and NotVisible."""
    undo = _undo_of(errand, fresh_rights(by))
    return by_hand.foreseen(undo or _proposals(errand, ASKING)[0], by=by)


# Asking for it


def take(
    errand: Errand, *, by: Actor, comment: str, key: str = "", approval_id: UUID | None = None
) -> list[Action]:
    """Do it, or propose it to others; one action for each connector.

    Raises Conflict, Invalid, Refused (also `reauthenticate` and exploring.Limit), NotVisible.
    """
    if not comment.strip():
        raise Invalid("comment", "Say why: a comment is required for what is done by hand.")
    key = key_of_form(key, by=by)
    with fence.decider():
        _alone_with(errand)
        rights = fresh_rights(by)
        rights.require(Verb.PROPOSE, errand)
        sent = (
            list(Action.objects.filter(idempotency_key__startswith=f"{key}:").order_by("pk")) if key else []
        )
        if not sent:
            free = _require_free(errand, rights)
            sent = _take(free, rights, by=by, comment=comment, key=key, approval_id=approval_id)
        if any(action.type != errand.type for action in sent):
            raise Conflict(sent[0], "key_used", KEY_USED)
    return sent


def _alone_with(errand: Errand) -> None:
    """Whoever else asks for something on it waits until this is written down (PostgreSQL; SQLite has one writer)."""
    if connection.vendor == "postgresql" and errand.lanes:
        number = zlib.crc32(min(errand.lanes).encode()) & 0x7FFF_FFFF
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, number])


def _require_free(errand: Errand, rights: Rights) -> Errand:
    """What of it is left to be asked for. Raises Conflict, Refused or exploring.Limit."""
    done, twins = holds_already(errand), twins_of(errand)
    if done:
        raise Conflict(done, "in_force", f"{done.label} holds there already.")
    reason = why_not(errand, rights, twins)
    if reason and twins:
        raise Conflict(next(iter(twins.values())), "twin", reason)
    if reason:
        raise Refused("not_possible", reason)
    if not rights.refusal(Verb.RUN, errand) and (busy := exploring.throttled()):
        raise exploring.Limit(busy)
    return left_of(errand, twins)


def _take(
    errand: Errand, rights: Rights, *, by: Actor, comment: str, key: str, approval_id: UUID | None
) -> list[Action]:
    if errand.holds and _undo_of(errand, rights):
        keyed = f"{key}:undo" if key else ""
        return [
            errand.holds.action.undo(by=by, comment=comment, idempotency_key=keyed, approval_id=approval_id)
        ]
    wanted = _proposals(errand, comment, key, approval_id)
    return [Action.objects.propose(each, by=by)[0] for each in wanted]


def _undo_of(errand: Errand, rights: Rights) -> Proposal | None:
    """As the undo of what it takes back, where that did nothing else and this person may undo it."""
    if errand.holds is None or rights.refusal(Verb.UNDO, errand):
        return None
    action = errand.holds.action
    alone = undoing.still_done(action).count() == 1
    if not rights.sees(action) or not alone or undoing.why_not_undoable(action):
        return None
    return None if undoing.newer_on_same_lane(action) else undoing.proposal_of(action, ASKING, "")


def _proposals(
    errand: Errand, comment: str, key: str = "", approval_id: UUID | None = None
) -> list[Proposal]:
    targets = [undoing.draft_of(errand.holds)] if errand.holds else errand.targets
    numbers = sorted({target.instance_id or 0 for target in targets})
    instances = ConnectorInstance.objects.in_bulk(numbers)
    investigations = {item.investigation_id for item in errand.evidence}
    verdicts = [item.verdict for item in errand.evidence]
    if errand.holds:
        verdicts.append(errand.holds.action.verdict)
    made = [
        Proposal(
            type=errand.type,
            area=errand.area,
            source=Source.MANUAL_EMAIL,
            decision=Decision.NOT_REQUIRED,
            targets=[target for target in targets if (target.instance_id or 0) == number],
            investigation_id=investigations.pop() if len(investigations) == 1 == len(numbers) else None,
            evidence=[(item.pk, item.verdict, REASON) for item in errand.evidence],
            verdict=max(verdicts, default=Verdict.UNKNOWN),
            critical=errand.critical,
            policy={"code": REASON},
            comment=comment,
            approval_id=str(approval_id) if approval_id else None,
            idempotency_key=f"{key}:{number}" if key else "",
            simulated=number in instances and instances[number].simulated,
        )
        for number in numbers
    ]
    return [replace(each, round=by_hand.round_of(each)) for each in made]
