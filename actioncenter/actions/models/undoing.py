"""Undo: a new action of the inverse type, linked both ways. The original is never edited otherwise.

Rules are domain §5.4: only what succeeded, once, while it can still be undone, and not while a
newer action holds the same lane. An undo that failed closes its lanes until somebody who looked
acknowledges that, or until it is tried again.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import (
    RUNNING,
    TARGET_SUCCESS,
    ActionType,
    Area,
    Decision,
    Execution,
    Source,
    TargetKind,
    TargetState,
)
from actioncenter.actions.models.conflicts import Conflict, Invalid, describe
from actioncenter.actions.models.deciding import BULK_LIMIT, COMMENT_LIMIT, RowResult
from actioncenter.actions.models.overtaking import NOTHING_SENT, OVERTAKEN
from actioncenter.actions.models.proposal import Proposal, TargetDraft
from actioncenter.actions.models.settling import NOT_TAKEN_BACK, event, locked, stop_queued
from actioncenter.actions.models.target import ActionTarget
from actioncenter.actions.permissions import NotVisible, Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

UNDOABLE = frozenset({Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED})
LEFT_BY_HAND: Final = frozenset(
    {ActionType.ISOLATE_DEVICE, ActionType.CONTAIN_DEVICE, ActionType.RESTRICT_EXECUTION}
)
"""What the page of a device takes back, whichever actions stand behind it."""
TURN: Final = Coalesce("attempt_id", 0)
"""Attempts are numbered as they begin, and a lane lets in one after the other."""


def why_not_undoable(action: "Action") -> str:
    """The reason that depends on the action alone, or an empty string."""
    entry = action.entry
    if entry.inverse is None:
        return f"{entry.label} can't be undone."
    if action.execution not in UNDOABLE:
        return "Only what has succeeded can be undone."
    if action.undone_by_id and action.undone_by and action.undone_by.execution not in NOT_TAKEN_BACK:
        return f"Already undone by A-{action.undone_by_id}."
    if action.source == Source.MANUAL_LIVE_RESPONSE:
        return "What was done in a live-response session can't be undone here."
    ended = action.finished_at
    if entry.undo_days and ended and ended + timedelta(days=entry.undo_days) < timezone.now():
        return f"Undo was possible for {entry.undo_days} days."
    return ""


def undo(
    action: "Action", *, by: Actor, comment: str, idempotency_key: str = "", approval_id: UUID | None = None
) -> "Action":
    """Queue the inverse of what was done; returns the new action. Runs without approval (domain Q13).

    `approval_id` is that of everything undone in one operation.

    What has not begun is cancelled; where that is all of it, so is the undo.

    Raises Invalid, Conflict, Refused, NotVisible.
    """
    if len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
    model = type(action)
    with fence.decider():
        row = locked(action)
        _check(row, fresh_rights(by))
        if row.approval_rule.get("comment_on_undo", True) and not comment.strip():
            raise Invalid("comment", "A comment is required to undo an action.")
        wanted = proposal_of(row, comment, idempotency_key, approval_id=approval_id)
        inverse, is_new = model.objects.propose(wanted, by=by)
        if inverse.undo_of_id != row.pk:
            raise Conflict(
                row, "key_used", "This form was already sent for something else. Load the page again."
            )
        if is_new:
            replace(row, inverse, by=by, comment=comment)
            _overtake(row, inverse, by=by)
    action.refresh_from_db()
    return inverse


def replace(row: "Action", inverse: "Action", *, by: Actor, comment: str) -> None:
    """From here on this is what undoes it; an undo that failed before holds nothing back any more."""
    before, after = {"undone_by": row.undone_by_id}, {"undone_by": inverse.pk}
    if row.undone_by is not None:
        _unblock(row.undone_by)
    row.undone_by = inverse
    row.save(update_fields=["undone_by"])
    event(row, Kind.ACTION_UNDONE, by, before=before, after=after, detail={"comment": comment})


def _overtake(row: "Action", inverse: "Action", *, by: Actor) -> None:
    """What of it has not begun never will; where nothing has, the undo has nothing to do either."""
    if row.execution != Execution.QUEUED:
        return
    if not still_done(row).exists():
        detail = f"Not run because {row.label} was cancelled before anything was sent."
        stop_queued(inverse, TargetState.CANCELLED, by=by, code=NOTHING_SENT, detail=detail)
    event(locked(inverse), Kind.ACTION_OVERTOOK, by, detail={"overtook": row.pk})
    detail = f"Cancelled because {inverse.label} takes it back."
    stop_queued(row, TargetState.CANCELLED, by=by, code=OVERTAKEN, detail=detail)


def _check(row: "Action", rights: Rights) -> None:
    rights.require(Verb.UNDO, row)
    only_queued = row.execution == Execution.QUEUED and row.entry.inverse is not None
    if only_queued and not still_done(row).exists():
        return
    reason = "" if only_queued else why_not_undoable(row)
    if reason:
        if row.entry.inverse is None:
            raise Refused("one_way", reason)
        raise Conflict(row, "not_undoable", f"{reason} {describe(row.undone_by or row)}")
    if not still_done(row).exists():
        raise Conflict(
            row, "not_undoable", "It found everything as wanted already, so there is nothing to take back."
        )
    newer = newer_on_same_lane(row)
    if newer:
        raise Conflict(row, "newer_active", f"{newer.label} is active on the same target; {_way_out(newer)}")


def _way_out(newer: "Action") -> str:
    if newer.history_at is not None and not still_done(newer).exists():
        return "it asked for the same. Use the page of the device to release it from both."
    return "finish or undo it first."


def newer_on_same_lane(row: "Action") -> "Action | None":
    """Another action of any type that holds a lane of this one, running or in force since.

    Newer is what came to the lane later, whichever number it has. One of the same type that found it done
    relies on this one as well. Undos aside, and what they took back: neither is in anybody's way.
    """
    mine = dict(row.targets.values_list("lane", TURN))
    devices = set(row.targets.exclude(device=None).values_list("device", flat=True))
    others = ActionTarget.objects.filter(lane__in=mine).exclude(action__in=[row.pk, row.undone_by_id or 0])
    running = others.filter(state__lte=TargetState.UNKNOWN, action__execution__in=sorted(RUNNING))
    done = others.filter(
        ~Exists(taken_back()), action__undo_of__isnull=True, action__execution__in=sorted(UNDOABLE)
    )
    relying = Q(state=TargetState.ALREADY, action__type=row.type) if row.type in LEFT_BY_HAND else Q()
    # Each part names the index that finds it: open lanes, devices, lanes of mail.
    parts = (
        done.filter(Q(state=TargetState.SUCCEEDED) | relying, device__in=devices),
        done.filter(state=TargetState.SUCCEEDED, device__isnull=True),
    )
    found = set(running.order_by().values_list("action", flat=True))
    for part in parts:
        since = part.order_by().values_list("action", "lane", TURN)
        found |= {pk for pk, lane, turn in since if (turn, pk) > (mine[lane], row.pk)}
    return type(row).objects.get(pk=max(found)) if found else None


def still_done(row: "Action") -> "QuerySet[ActionTarget]":
    """What an undo has to take back: an earlier one may have come only part of the way."""
    return row.targets.filter(~Exists(taken_back()), state=TargetState.SUCCEEDED)


def taken_back() -> "QuerySet[ActionTarget]":
    """Targets of undos that have brought an outer target back."""
    return ActionTarget.objects.filter(
        action__undo_of=OuterRef("action"),
        lane=OuterRef("lane"),
        entity=OuterRef("entity"),
        state__in=sorted(TARGET_SUCCESS),
    )


def proposal_of(
    row: "Action", comment: str, idempotency_key: str, source: Source | None = None, approval_id: UUID | None = None
) -> Proposal:  # fmt: skip
    """The inverse of what it did; by hand unless `source` says otherwise."""
    inverse = CATALOGUE[ActionType(row.type)].inverse
    if inverse is None:
        raise Refused("one_way", f"{row.entry.label} can't be undone.")
    area = Area(row.area)
    return Proposal(
        type=inverse,
        area=area,
        source=source or (Source.MANUAL_EMAIL if area == Area.EMAIL else Source.MANUAL_DEVICE),
        decision=Decision.NOT_REQUIRED,
        targets=[
            draft_of(target) for target in still_done(row) or row.targets.filter(state=TargetState.QUEUED)
        ],
        investigation_id=row.investigation_id,
        evidence=[(link.evidence_id, link.verdict, "undo") for link in row.links.all()],
        verdict=row.verdict,
        critical=row.critical,
        group_id=row.group_id,
        group_name=row.group_name,
        policy={**row.policy, "code": "undo"},
        reason_code="undo",
        comment=comment,
        undo_of_id=row.pk,
        approval_id=str(approval_id) if approval_id else None,
        idempotency_key=idempotency_key,
        simulated=row.simulated,
    )


def draft_of(target: ActionTarget) -> TargetDraft:
    """The same target for another action."""
    return TargetDraft(
        kind=TargetKind(target.kind),
        name=target.name,
        entity=target.entity,
        on_name=target.on_name,
        device_id=target.device_id,
        mailbox_id=target.mailbox_id,
        instance_id=target.instance_id,
        instance_name=target.instance_name,
        remote=target.remote,
        facts=target.facts,
        restore=bytes(target.restore),
    )


def _unblock(action: "Action") -> None:
    action.targets.filter(blocks=True).update(blocks=False)


def acknowledge(action: "Action", *, by: Actor, comment: str) -> "Action":
    """Somebody has looked: at a surprise, or at a failed undo, whose lanes are opened.

    Raises Conflict, Invalid, Refused, NotVisible.
    """
    if not comment.strip() or len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", "Say what you saw.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.ACKNOWLEDGE, row)
        lanes = list(row.targets.filter(blocks=True).values_list("lane", flat=True))
        surprises = row.surprises.filter(looked_at=None)
        before = {"holds_back": bool(lanes), "surprises": surprises.count()}
        if not lanes and not surprises.exists():
            raise Conflict(row, "not_blocking", f"{row.label} holds nothing back.")
        _unblock(row)
        surprises.update(looked_at=Now(), looked_by_name=by.name)
        type(row).objects.filter(pk=row.pk).update(
            acknowledged_at=Now(), acknowledged_by_name=by.name, updated_at=Now()
        )
        event(
            row, Kind.ACTION_ACKNOWLEDGED, by, before=before, after={"holds_back": False, "surprises": 0},
            detail={"comment": comment, "lanes": lanes[:50]},
        )  # fmt: skip
        transaction.on_commit(dispatch.wake, robust=True)
    action.refresh_from_db()
    return action


def undo_many(
    model: "type[Action]", ids: Sequence[int], *, by: Actor, comment: str, approval_id: UUID | None = None
) -> list[RowResult]:
    """Undo several of one type, each in its own transaction. Raises Invalid."""
    rows, approval = selected(model, ids, by=by), approval_id or uuid4()
    return [_undo_row(pk, row, by=by, comment=comment, approval=approval) for pk, row in rows.items()]


def selected(model: "type[Action]", ids: Sequence[int], *, by: Actor) -> "dict[int, Action | None]":
    """Each once, in the order given; None for what the person doesn't see. Raises Invalid."""
    wanted = list(dict.fromkeys(ids))
    if not wanted or len(wanted) > BULK_LIMIT:
        raise Invalid("selection", f"Select between 1 and {BULK_LIMIT} actions.")
    rights = fresh_rights(by)
    rows = {row.pk: row for row in model.objects.filter(pk__in=wanted) if rights.sees(row)}
    if len({row.type for row in rows.values()}) > 1:
        raise Invalid("selection", "All selected actions must be of the same type.")
    return {pk: rows.get(pk) for pk in wanted}


def _undo_row(pk: int, row: "Action | None", *, by: Actor, comment: str, approval: UUID) -> RowResult:
    if row is None:
        return RowResult(pk, False, "unknown", f"There is no action A-{pk}.")
    try:
        inverse = undo(row, by=by, comment=comment, approval_id=approval)
    except NotVisible:
        return RowResult(pk, False, "unknown", f"There is no action A-{pk}.")
    except (Conflict, Refused) as error:
        return RowResult(pk, False, error.code, str(error), row)
    return RowResult(pk, True, "undone", f"{row.label} is being undone by {inverse.label}.", inverse)
