"""A shift handed over: how things stood is frozen when it is offered, and nothing moves before it is taken."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify
from actioncenter.actions.enums import Decision
from actioncenter.actions.models.action import Action
from actioncenter.actions.models.assigning import iso, obstacle_for
from actioncenter.actions.models.shift import SECTIONS, describe
from actioncenter.actions.permissions import PROPOSERS, Refused, Rights, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.clock import database_now

if TYPE_CHECKING:
    from actioncenter.actions.models.oversight import Handover

LONGEST_SHIFT = timedelta(days=7)
TEXT_LIMIT = 4000
RESTATED = 3
"""How many points whoever takes over has to say in their own words."""
AT_ONCE = 500


class HandoverError(Exception):
    """A step that can't be made; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def offer(model: "type[Handover]", *, by: Actor, since: datetime, concerns: str) -> "Handover":
    """Raises HandoverError (`since`, `text`, `open`), Refused."""
    with fence.decider():
        rights = _rights(by)
        now = database_now()
        if not now - LONGEST_SHIFT <= since < now:
            raise HandoverError("since", f"A shift began in the last {LONGEST_SHIFT.days} days.")
        if len(concerns) > TEXT_LIMIT:
            raise HandoverError("text", f"At most {TEXT_LIMIT} characters.")
        if model.objects.filter(given_by=by.user_id, accepted_at=None, cancelled_at=None).exists():
            raise HandoverError("open", "You have offered a handover already. Take it back first.")
        made = model.objects.create(
            given_by_id=by.user_id,
            given_by_name=by.name,
            since=since,
            body=describe(rights.scope, since=since, now=now),
            concerns=concerns,
        )
        _record(made, Kind.HANDOVER_OFFERED, by, after={"since": since.isoformat()})
    made.refresh_from_db()
    return made


def accept(handover: "Handover", *, by: Actor, restated: str, seen: Collection[str]) -> int:
    """One transaction: the handover ends, and what was assigned to the leaver moves.

    Raises HandoverError (`ended`, `same_person`, `scope`, `seen`, `restated`), Refused.
    """
    _check_reading(restated, seen)
    with fence.decider():
        rights = _rights(by)
        row = _open(handover)
        if row.given_by_id == by.user_id:
            raise HandoverError("same_person", "Somebody else takes over from you.")
        if not covers(rights, row):
            raise HandoverError("scope", "It speaks of device groups that you can't see.")
        moved, kept = _move(row, rights, by=by)
        taken = type(row).objects.filter(pk=row.pk, accepted_at=None, cancelled_at=None)
        taken.update(
            taken_by_id=by.user_id, taken_by_name=by.name, accepted_at=Now(), restated=restated.strip()
        )
        after = {"taken_by": by.name, "moved": moved, "kept": kept}
        before, detail = {"taken_by": None}, {"restated": restated.strip()}
        _record(row, Kind.HANDOVER_ACCEPTED, by, before=before, after=after, detail=detail)
        _tell_giver(row, by)
    handover.refresh_from_db()
    return len(moved)


def cancel(handover: "Handover", *, by: Actor) -> None:
    """Raises HandoverError (`ended`, `other_person`)."""
    with transaction.atomic():
        row = _open(handover)
        if row.given_by_id is None or row.given_by_id != by.user_id:
            raise HandoverError("other_person", "Only whoever offered it takes it back.")
        type(row).objects.filter(pk=row.pk).update(cancelled_at=Now())
        _record(row, Kind.HANDOVER_CANCELLED, by, before={"offered": True}, after={"offered": False})
    handover.refresh_from_db()


def covers(rights: Rights, handover: "Handover") -> bool:
    """Whether somebody sees every group that the handover speaks of."""
    groups = handover.body.get("groups")
    if not rights.scope.areas:
        return False
    return rights.scope.groups is None or (groups is not None and rights.scope.groups.issuperset(groups))


def _rights(by: Actor) -> Rights:
    rights = fresh_rights(by)
    if not rights.roles & PROPOSERS:
        raise Refused("role", "Handing a shift over needs a role that works on actions.")
    return rights


def _check_reading(restated: str, seen: Collection[str]) -> None:
    missing = [title for key, title in SECTIONS.items() if key not in seen]
    if missing:
        raise HandoverError("seen", f"Not ticked yet: {', '.join(missing)}.")
    points = [line for line in restated.splitlines() if line.strip()]
    if len(points) < RESTATED:
        raise HandoverError("restated", f"Say the {RESTATED} most important points, one on each line.")
    if len(restated) > TEXT_LIMIT:
        raise HandoverError("restated", f"At most {TEXT_LIMIT} characters.")


def _open(handover: "Handover") -> "Handover":
    """The row locked; raises HandoverError when it was taken or taken back meanwhile."""
    rows = type(handover).objects.filter(pk=handover.pk, accepted_at=None, cancelled_at=None)
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True)
    row = rows.first()
    if row is None:
        raise HandoverError("ended", "This handover was accepted or taken back already.")
    return row


def _move(handover: "Handover", rights: Rights, *, by: Actor) -> tuple[list[int], list[int]]:
    """Assign the leaver's waiting actions to the taker; returns what moved and what couldn't."""
    if handover.given_by_id is None:
        return [], []
    rows = Action.objects.filter(assigned_to=handover.given_by_id, decision=Decision.PENDING).order_by("pk")
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True)
    held = list(rows)
    now = database_now()
    theirs = [row for row in held if not obstacle_for(row, by.ref, rights, by.name)]
    moved = [row.pk for row in theirs]
    for start in range(0, len(theirs), AT_ONCE):
        chunk = theirs[start : start + AT_ONCE]
        Action.objects.filter(pk__in=[row.pk for row in chunk]).update(
            assigned_to_id=by.user_id,
            assigned_to_name=by.name,
            assigned_at=now,
            deferred_until=None,
            updated_at=Now(),
        )
        log.record_many([_moved(row, handover, by, now) for row in chunk])
    return moved, [row.pk for row in held if row.pk not in set(moved)]


def _moved(row: Action, handover: "Handover", by: Actor, now: datetime) -> log.Draft:
    after = {"assigned_to": by.name, "assigned_ref": by.ref, "assigned_at": iso(now), "deferred_until": None}
    return row.draft(
        Kind.ACTION_HANDED_OVER,
        by=by,
        before={"assigned_to": row.assigned_to_name, "deferred_until": iso(row.deferred_until)},
        after=after,
        detail={"handover": handover.pk},
    )


def _tell_giver(row: "Handover", by: Actor) -> None:
    notify(
        User.objects.filter(pk=row.given_by_id or 0),
        "handover.accepted",
        title=f"{by.name} took over your shift",
        url=f"/action-center/handover/{row.pk}",
    )


def _record(row: "Handover", kind: Kind, by: Actor, **more: object) -> None:
    log.record(
        kind,
        by=by,
        subject=f"handover:{row.pk}",
        subject_name=f"Shift of {row.given_by_name}",
        **more,  # type: ignore[arg-type]
    )
