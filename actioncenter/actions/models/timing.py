"""Timed actions: moving their end, and what happens at it.

The end is the action's own, from the moment it succeeded. What takes it back is an undo like any
other, queued in one transaction with the link and the end of the timer, so there is one or none.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import admins, notify, notify_admins
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import RUNNING, Source, TargetState
from actioncenter.actions.models import entitling, undoing, voting
from actioncenter.actions.models.assigning import iso
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.models.target import ActionTarget
from actioncenter.actions.models.undoing import UNDOABLE
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.clock import database_now

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

LONGEST: Final = timedelta(days=30)
"""An end lies no further ahead than that."""
TIMED: Final = frozenset(kind for kind, entry in CATALOGUE.items() if "hours" in entry.parameters)


def extend(action: "Action", *, by: Actor, hours: int, comment: str, seen: str | None = None) -> "Action":
    """Move the end by so many hours; what had none ends so many hours from now.

    `seen` is the end that the page showed, as `iso` gives it, empty for none. Raises Invalid, Conflict,
    Refused (also `reauthenticate`), NotVisible.
    """
    if not comment.strip() or len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", "Say why it has to last longer.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.EXTEND, row)
        reason = why_not_extendable(row)
        if reason:
            raise Conflict(row, "not_extendable", reason)
        if seen is not None and seen != (iso(row.ends_at) or ""):
            raise Conflict(
                row, "changed", f"The end of {row.label} was moved since you opened it. Look again."
            )
        entitling.require_proof(row.approval_rule, by)
        until = _moved(row, hours)
        _move_end(row, until, by=by, detail={"comment": comment, "hours": hours})
        if voting.needs_several(row):
            title = f"{by.name} alone extended {row.label}, which took several people to approve"
            notify_admins("action.extended", title=title, url=_page(row), severity=Severity.WARNING)
    action.refresh_from_db()
    return action


def _moved(row: "Action", hours: int) -> datetime:
    now = database_now()
    if hours < 1:
        raise Invalid("hours", "At least one hour.")
    until = max(row.ends_at or now, now) + timedelta(hours=hours)
    if until > now + LONGEST:
        raise Invalid("hours", f"At most {LONGEST.days} days from now.")
    return until


def why_not_extendable(row: "Action") -> str:
    """The reason that depends on the action alone, or an empty string."""
    if row.type not in TIMED:
        return f"{row.entry.label} doesn't end by itself."
    if row.undone_by_id:
        return f"{row.label} is taken back by A-{row.undone_by_id}."
    if row.execution not in UNDOABLE or not row.targets.filter(in_force=True).exists():
        return f"{row.label} is not in force."
    return ""


# At the end


def timed(model: "type[Action]") -> "QuerySet[Action]":
    return model.objects.filter(ends_at__isnull=False)


def over(model: "type[Action]") -> "QuerySet[Action]":
    """Whose time is over, and those that were taken back before."""
    return timed(model).filter(Q(ends_at__lte=Now()) | ~Exists(_held()))


def _held() -> "QuerySet[ActionTarget]":
    return ActionTarget.objects.filter(action=OuterRef("pk"), in_force=True)


def end(row: "Action", *, by: Actor) -> bool:
    """Queue what takes it back, or say why its timer is void; False where it has to wait.

    The caller holds its lock inside `fence.decider` and knows that it is what was decided on.
    """
    if row.ends_at is None or row.history_at is None:
        return False
    left = row.targets.filter(in_force=True)
    if row.undone_by_id or not left.exists():
        return _void(row, "It was taken back before.", by=by)
    if row.ends_at > database_now():
        return False
    if not left.exclude(device__offboarded=True).exists():
        return _void(row, "The device was offboarded.", by=by, loud=True)
    if left.filter(instance__dry_run=True).exists():
        # It would only be rehearsed, and then nothing would end it any more.
        return False
    others = _others(row, left)
    if others.filter(state__lte=TargetState.UNKNOWN, action__execution__in=sorted(RUNNING)).exists():
        return False
    if holding := _holding(row, left, others):
        return _leave_to(row, holding, by=by)
    return _take_back(row, by=by)


def _others(row: "Action", left: "QuerySet[ActionTarget]") -> "QuerySet[ActionTarget]":
    """Targets of other actions in the lanes of what is in force."""
    places = list(left.values_list("lane", "device_id"))
    lanes, devices = {lane for lane, _ in places}, {device for _, device in places}
    return ActionTarget.objects.filter(lane__in=lanes, device__in=devices).exclude(action=row.pk)


def _holding(
    row: "Action", left: "QuerySet[ActionTarget]", others: "QuerySet[ActionTarget]"
) -> "list[ActionTarget]":
    """What was done there since and stands, also where it found everything done already."""
    mine = dict(left.values_list("lane", undoing.TURN))
    standing = others.filter(
        ~Exists(undoing.taken_back()),
        state__in=[TargetState.SUCCEEDED, TargetState.ALREADY],
        action__undo_of__isnull=True,
        action__execution__in=sorted(UNDOABLE),
    )
    ordered = standing.annotate(turn=undoing.TURN).select_related("action").order_by("turn", "action_id")
    return [each for each in ordered if (each.turn, each.action_id) > (mine[each.lane], row.pk)]


def _leave_to(row: "Action", holding: "list[ActionTarget]", *, by: Actor) -> bool:
    """A later wish for the same moves the end to its own; whatever else stands there makes the timer void."""
    ends = [_end_wished(row, target) for target in holding]
    last = holding[-1].action
    if None in ends:
        return _void(row, f"{last.label} is active on the same target.", by=by, loud=True)
    until = max(moment for moment in ends if moment is not None)
    if until <= database_now():
        return _take_back(row, by=by)
    _move_end(row, until, by=by, detail={"comment": f"{last.label} asked for it until then."})
    return True


def _move_end(row: "Action", until: datetime, *, by: Actor, detail: dict[str, Any]) -> None:
    """The caller holds the row's lock."""
    type(row).objects.filter(pk=row.pk, ends_at=row.ends_at).update(ends_at=until, updated_at=Now())
    before, after = {"ends_at": iso(row.ends_at)}, {"ends_at": iso(until)}
    event(row, Kind.ACTION_EXTENDED, by, before=before, after=after, detail=detail)


def _end_wished(row: "Action", target: ActionTarget) -> datetime | None:
    """When a later action of the type that found it done already would have ended."""
    later, hours = target.action, target.action.parameters.get("hours")
    if (
        later.type != row.type
        or target.state != TargetState.ALREADY
        or not hours
        or later.finished_at is None
    ):
        return None
    return later.finished_at + timedelta(hours=int(hours))


def _take_back(row: "Action", *, by: Actor) -> bool:
    """Only what is in force still: the rest may be held by somebody else by now."""
    whole = undoing.proposal_of(row, "Its time is over.", f"timer:{row.pk}:{iso(row.ends_at)}", Source.TIMER)
    left = row.targets.filter(in_force=True).order_by("pk")
    proposal = replace(whole, targets=[undoing.draft_of(target) for target in left])
    inverse, _ = type(row).objects.propose(proposal, by=by)
    undoing.replace(row, inverse, by=by, comment="Its time is over.")
    type(row).objects.filter(pk=row.pk).update(ends_at=None, updated_at=Now())
    return True


def _void(row: "Action", why: str, *, by: Actor, loud: bool = False) -> bool:
    """Nothing will be taken back by itself any more; with `loud` people are told."""
    stop_timer(row, "timer_void", why, by=by)
    if loud:
        wished_it = User.objects.filter(
            pk__in=[row.requested_by_id or 0, row.decided_by_id or 0], is_active=True
        )
        notify(
            admins() | wished_it,
            "action.timer_void",
            title=f"{row.label} was not taken back at its end: {why}",
            params={"action": row.pk},
            url=_page(row),
            severity=Severity.WARNING,
        )
    return True


def stop_timer(row: "Action", code: str, why: str, *, by: Actor) -> None:
    """The caller holds the lock of the row."""
    type(row).objects.filter(pk=row.pk).update(ends_at=None, updated_at=Now())
    before = {"ends_at": iso(row.ends_at)}
    event(row, Kind.ACTION_TIMER_ENDED, by, before=before, detail={"code": code, "detail": why})


def _page(row: "Action") -> str:
    return f"/action-center/actions/{row.pk}"
