"""What a person does by hand on a device or to a file there: who may, what is in its way, and the proposal.

An own action passes every rule that others pass: it runs at once only with the right to it and where no
rule wants a second person, otherwise it waits for somebody else.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.answers import key_of_form
from actioncenter.accounts.proof import CODE
from actioncenter.actions import targeting
from actioncenter.actions.catalogue import CATALOGUE, Entry, lane_of
from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Source, TargetState
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Conflict,
    Invalid,
    Proposal,
    TargetDraft,
    entitling,
    undoing,
)
from actioncenter.actions.models.conflicts import RUNS
from actioncenter.actions.models.containing import THROUGH_PEERS, peers_of
from actioncenter.actions.permissions import Refused, Rights, Verb, fresh_rights
from actioncenter.actions.targeting import Place
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import AutomationLevel
from investigations.enums import Verdict
from investigations.models import Device, Evidence
from investigations.queries import NoRoute, Routes, routes_for

ON_DEVICES: Final = (
    ActionType.ISOLATE_DEVICE,
    ActionType.RESTRICT_EXECUTION,
    ActionType.CONTAIN_DEVICE,
    ActionType.ANTIVIRUS_SCAN,
    ActionType.COLLECT_PACKAGE,
    ActionType.OFFBOARD_DEVICE,
)
"""In the order of their buttons."""
NOT_IN_FORCE: Final = "Nothing of this kind is in force there any more."
ASKING: Final = "?"
"""Stands for the comment while somebody only asks what would become of it."""
REASON: Final = "by_hand"
LOCK: Final = 0x0AC7_DE71
"""With the number of a device."""
KEY_USED: Final = "This form was already sent for something else. Load the page again."


@dataclass(frozen=True, slots=True)
class Intent:
    """One type of action on one device; rights ask it as they ask an action.

    `holds` is what is in force there, where this takes it back; `evidence` the findings of the file.
    """

    type: ActionType
    device: Device
    parameters: Mapping[str, Any] = field(default_factory=dict)
    holds: ActionTarget | None = None
    evidence: Sequence[Evidence] = ()

    @property
    def entry(self) -> Entry:
        return CATALOGUE[self.type]

    @property
    def area(self) -> Area:
        return self.entry.area

    @property
    def group_id(self) -> int | None:
        return self.device.group_id

    @property
    def lane(self) -> str:
        if self.holds:
            return self.holds.lane
        entity = targeting.file_entity(self.evidence[0]) if self.evidence else ""
        return lane_of(self.type, str(self.device.pk), entity)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of it: `waits` is the code of why others decide, empty where it runs at once."""

    waits: str
    password: bool
    people: int


# What is in its way


def in_force_on(devices: Iterable[Device]) -> dict[int, list[ActionTarget]]:
    """Device -> what was done there and holds, newest first."""
    found: dict[int, list[ActionTarget]] = defaultdict(list)
    rows = ActionTarget.objects.filter(device__in=[device.pk for device in devices], in_force=True)
    for row in rows.select_related("action__undone_by").order_by("-action_id", "pk"):
        found[row.device_id or 0].append(row)
    return found


def open_on(devices: Iterable[Device]) -> dict[str, list[ActionTarget]]:
    """Lane -> what waits, is queued or runs there, oldest first."""
    return open_where(device__in=[device.pk for device in devices])


def open_in(lanes: Collection[str]) -> dict[str, list[ActionTarget]]:
    """The same for lanes that are known."""
    return open_where(lane__in=list(lanes))


def open_where(**which: Any) -> dict[str, list[ActionTarget]]:
    found: dict[str, list[ActionTarget]] = defaultdict(list)
    expired = Q(action__decision=Decision.PENDING, action__expires_at__lte=Now())
    rows = ActionTarget.objects.filter(
        state__lte=TargetState.UNKNOWN,
        action__history_at__isnull=True,
        **which,
    ).exclude(expired)
    for row in rows.select_related("action").order_by("action_id", "pk"):
        found[row.lane].append(row)
    return found


def twin_of(intent: Intent, there: Mapping[str, Sequence[ActionTarget]]) -> Action | None:
    """What does or asks for the very same already."""
    rows = there.get(intent.lane, ())
    if intent.type in THROUGH_PEERS:
        # Each peer has a lane of its own.
        rows = [row for found in there.values() for row in found if row.device_id == intent.device.pk]
    return next((row.action for row in rows if row.action.type == intent.type), None)


def holds_already(intent: Intent) -> Action | None:
    """What did the same there and is in force."""
    if intent.holds is not None:
        return None
    same = ActionTarget.objects.filter(in_force=True, action__type=intent.type)
    place = {"device": intent.device} if intent.type in THROUGH_PEERS else {"lane": intent.lane}
    same = same.filter(**place)
    found = same.select_related("action").order_by("-action_id").first()
    return found.action if found else None


def state_of(action: Action) -> str:
    """`waits for a decision`, `is queued`, `is running` …"""
    return RUNS.get(Execution(action.execution), "waits for a decision")


def why_not(
    intent: Intent, rights: Rights, routes: Routes, there: Mapping[str, Sequence[ActionTarget]]
) -> str:
    """Why this person can't ask for it now, or an empty string."""
    refusal = rights.refusal(Verb.PROPOSE, intent)
    if refusal:
        return str(refusal)
    if intent.device.offboarded:
        return "The device was offboarded; nothing reaches it any more."
    if intent.entry.is_inverse and intent.holds is None:
        return NOT_IN_FORCE
    twin = twin_of(intent, there)
    if twin:
        return f"{twin.label} does the same already and {state_of(twin)}."
    if intent.holds is None and not (intent.type in THROUGH_PEERS and peers_of(intent.device)):
        found = routes.find(intent.type, device=intent.device)
        return found.reason if isinstance(found, NoRoute) else ""
    return ""


# What would become of it


def foresee(intent: Intent, routes: Routes, *, by: Actor) -> Foreseen:
    """Asked of the same rules as the proposal itself; nothing is recorded.

    Raises Refused and NotVisible, as proposing would.
    """
    return foreseen(_undo_of(intent, fresh_rights(by)) or proposal(intent, routes, comment=ASKING), by=by)


def foreseen(wanted: Proposal, *, by: Actor) -> Foreseen:
    """What would become of a proposal. Raises as `foresee`."""
    try:
        entitled, rule = entitling.entitled(wanted, by=by)
    except Refused as refusal:
        if refusal.code != CODE:
            raise
        return Foreseen("", password=True, people=1)
    waits = entitled.reason_code if entitled.decision == Decision.PENDING else ""
    return Foreseen(waits, password=False, people=max(1, rule["quorum"]))


# Asking for it


def take(
    intent: Intent, *, by: Actor, comment: str, key: str = "", approval_id: UUID | None = None
) -> Action:
    """Do it, or propose it to others; returns the action.

    Raises Conflict, Invalid, Refused (also `reauthenticate`), NotVisible.
    """
    if not comment.strip():
        raise Invalid("comment", "Say why: a comment is required for what is done by hand.")
    key = key_of_form(key, by=by)
    with fence.decider():
        _alone_with(intent.device)
        rights, routes = fresh_rights(by), routes_for([intent.device])
        rights.require(Verb.PROPOSE, intent)
        sent = Action.objects.filter(idempotency_key=key).first() if key else None
        if sent is None:
            _require_free(intent, rights, routes)
            sent = _take(intent, rights, routes, by=by, comment=comment, key=key, approval_id=approval_id)
        if sent.type != intent.type:
            raise Conflict(sent, "key_used", KEY_USED)
    return sent


def _alone_with(device: Device) -> None:
    """Whoever else asks for something on it waits until this is written down (PostgreSQL; SQLite has one writer)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, device.pk % (1 << 31)])


def _require_free(intent: Intent, rights: Rights, routes: Routes) -> None:
    """Raises Conflict or Refused."""
    there, done = open_on([intent.device]), holds_already(intent)
    if done:
        raise Conflict(done, "in_force", f"{done.label} holds there already.")
    reason = why_not(intent, rights, routes, there)
    if not reason:
        return
    twin = twin_of(intent, there)
    if twin:
        raise Conflict(twin, "twin", reason)
    raise Refused("not_possible", reason)


def _take(
    intent: Intent, rights: Rights, routes: Routes, *, by: Actor, comment: str, key: str, approval_id: UUID | None
) -> Action:  # fmt: skip
    if intent.holds and _undo_of(intent, rights):
        return intent.holds.action.undo(by=by, comment=comment, idempotency_key=key, approval_id=approval_id)
    wanted = proposal(intent, routes, comment=comment, key=key, approval_id=approval_id)
    made, _ = Action.objects.propose(wanted, by=by)
    return made


def _undo_of(intent: Intent, rights: Rights) -> Proposal | None:
    """As the undo of what it takes back, where that did nothing else and this person may undo it."""
    if intent.holds is None or rights.refusal(Verb.UNDO, intent):
        return None
    action = intent.holds.action
    if not rights.sees(action) or not _is_all_of(action, intent) or undoing.why_not_undoable(action):
        return None
    if undoing.newer_on_same_lane(action):
        return None
    return undoing.proposal_of(action, ASKING, "")


def _is_all_of(action: Action, intent: Intent) -> bool:
    """Whether undoing the action takes back this and nothing else."""
    done = undoing.still_done(action)
    if action.type in THROUGH_PEERS:
        return list(done.order_by().values_list("device_id", flat=True).distinct()) == [intent.device.pk]
    return done.count() == 1


def proposal(
    intent: Intent, routes: Routes, *, comment: str, key: str = "", approval_id: UUID | None = None
) -> Proposal:
    """As it would be made. What is in an investigation joins it, as its newest round."""
    device, group = intent.device, intent.device.group
    made = Proposal(
        type=intent.type,
        area=intent.area,
        source=Source.MANUAL_DEVICE,
        decision=Decision.NOT_REQUIRED,
        targets=_targets(intent, routes),
        parameters=intent.parameters,
        investigation_id=intent.evidence[0].investigation_id if intent.evidence else None,
        evidence=[(item.pk, item.verdict, REASON) for item in intent.evidence],
        verdict=_verdict(intent),
        critical=device.critical or bool(group and group.critical),
        group_id=device.group_id,
        group_name=group.name if group else "",
        policy=_snapshot(device),
        comment=comment,
        approval_id=str(approval_id) if approval_id else None,
        idempotency_key=key,
        simulated=_place(intent, routes).simulated,
    )
    return replace(made, round=round_of(made))


def _verdict(intent: Intent) -> int:
    if intent.evidence:
        return max(item.verdict for item in intent.evidence)
    return intent.holds.action.verdict if intent.holds else Verdict.UNKNOWN


def _targets(intent: Intent, routes: Routes) -> list[TargetDraft]:
    if intent.holds:
        return [undoing.draft_of(target) for target in _held_by_all(intent.holds)]
    place = _place(intent, routes)
    if intent.evidence:
        return [targeting.draft(intent.type, intent.evidence[0], intent.parameters, place)]
    return [targeting.of_device(intent.device, intent.parameters, place)]


def _held_by_all(holds: ActionTarget) -> list[ActionTarget]:
    """What is taken back with it: a device is let go by every peer that keeps it off."""
    if holds.action.type not in THROUGH_PEERS:
        return [holds]
    same = ActionTarget.objects.filter(in_force=True, device=holds.device_id, action__type=holds.action.type)
    return list(same.order_by("pk"))


def _place(intent: Intent, routes: Routes) -> Place:
    found = routes.find(intent.type, device=intent.device)
    if isinstance(found, NoRoute):
        return Place()
    return Place(found.instance_id, found.instance_name, found.remote, found.simulated)


def _snapshot(device: Device) -> dict[str, Any]:
    """Where the device stood when it was asked for."""
    group = device.group
    return {
        "code": REASON,
        "group_id": group.pk if group else None,
        "group": group.name if group else "",
        "rank": group.rank if group else None,
        "level": int(AutomationLevel(group.level)) if group else None,
    }


def round_of(made: Proposal) -> int:
    """The newest of its investigation."""
    if made.investigation_id is None:
        return 1
    same = Action.objects.filter(investigation=made.investigation_id, proposal_key=made.intent_key)
    return (same.aggregate(last=Max("round"))["last"] or 0) + 1
