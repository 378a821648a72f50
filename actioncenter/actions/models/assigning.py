"""Putting a decision off, being on it, and handing it to somebody who may make it.

None of them decides anything: an action that was put off still expires when it would have, and whoever
it is with is asked first, not alone.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify
from actioncenter.actions.enums import Decision, Risk
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.models.voting import barred
from actioncenter.actions.permissions import Refused, Rights, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.clock import database_now

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

COMMENT_LIMIT = 4000


def defer(action: "Action", until: datetime | None, *, by: Actor) -> "Action":
    """Put the decision off until then, or take that back with None.

    Raises Invalid (in the past, or not before it expires), Conflict, Refused, NotVisible.
    """
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.APPROVE, row)
        now = database_now()
        _still_waits(row, now)
        if until is not None:
            _check_moment(row, until, now)
        before = row.deferred_until
        _write(row, deferred_until=until)
        event(
            row,
            Kind.ACTION_DEFERRED,
            by,
            before={"deferred_until": iso(before)},
            after={"deferred_until": iso(until)},
        )
    action.refresh_from_db()
    return action


def hand_over(action: "Action", to_user: User, *, by: Actor, comment: str = "") -> "Action":
    """Ask one person who may decide it, and tell them.

    Raises Invalid (they may not decide it), Conflict, Refused, NotVisible.
    """
    if len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.PROPOSE, row)
        _still_waits(row, database_now())
        obstacle = why_not_theirs(row, to_user)
        if obstacle:
            raise Invalid("to", obstacle)
        _assign(row, Kind.ACTION_HANDED_OVER, to_user, by=by, comment=comment)
        if to_user.ref != by.ref:
            _tell(row, to_user, by=by, comment=comment)
    action.refresh_from_db()
    return action


def take(action: "Action", *, by: Actor) -> "Action":
    """Whoever takes it is on it from now on; nothing changes where they are already.

    Raises Conflict (`taken`: somebody else is on it), Invalid (they may not decide it), Refused, NotVisible.
    """
    with fence.decider():
        row = locked(action)
        rights = fresh_rights(by)
        rights.require(Verb.APPROVE, row)
        _still_waits(row, database_now())
        if row.assigned_to_id is not None and row.assigned_to_id != by.user_id:
            raise Conflict(
                row, "taken", f"{row.label} is with {row.assigned_to_name}. Ask them to hand it over."
            )
        obstacle = obstacle_for(row, by.ref, rights, by.name)
        if obstacle:
            raise Invalid("to", obstacle)
        if row.assigned_to_id is None:
            _assign(row, Kind.ACTION_TAKEN, User.objects.get(pk=by.user_id or 0), by=by)
    action.refresh_from_db()
    return action


def give_back(action: "Action", *, by: Actor, comment: str = "", seen: int | None = None) -> "Action":
    """Nobody is on it any more.

    `seen` is who was on it where it was asked for, 0 for somebody whose account is gone.

    Raises Conflict (`free`: nobody was, `taken`: somebody else is by now), Invalid, Refused, NotVisible.
    """
    if len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", f"At most {COMMENT_LIMIT} characters.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.PROPOSE, row)
        _still_waits(row, database_now())
        if seen is not None and row.assigned_to_name and (row.assigned_to_id or 0) != seen:
            said = f"{row.label} is with {row.assigned_to_name} by now. Look again before you give it back."
            raise Conflict(row, "taken", said)
        free(row, by=by, comment=comment)
    action.refresh_from_db()
    return action


def free(row: "Action", *, by: Actor, comment: str) -> None:
    """Of a row that the caller has locked. Raises Conflict (`free`)."""
    if not row.assigned_to_name:
        raise Conflict(row, "free", f"{row.label} is with nobody.")
    before = {"assigned_to": row.assigned_to_name, "assigned_at": iso(row.assigned_at)}
    after = {"assigned_to": "", "assigned_ref": "", "assigned_at": None}
    _write(row, assigned_to_id=None, assigned_to_name="", assigned_at=None)
    event(row, Kind.ACTION_GIVEN_BACK, by, before=before, after=after, detail={"comment": comment})


def _assign(row: "Action", kind: Kind, person: User, *, by: Actor, comment: str = "") -> None:
    """What one person put off is not put off for the next."""
    now = database_now()
    before = {"assigned_to": row.assigned_to_name, "deferred_until": iso(row.deferred_until)}
    after = {"assigned_to": person.shown_name, "assigned_ref": person.ref, "assigned_at": iso(now)}
    _write(
        row,
        assigned_to_id=person.pk,
        assigned_to_name=person.shown_name,
        assigned_at=now,
        deferred_until=None,
    )
    event(row, kind, by, before=before, after={**after, "deferred_until": None}, detail={"comment": comment})


def why_not_theirs(row: "Action", person: User) -> str:
    """Why this person can't decide the action, as the database has their rights now; or nothing."""
    name = person.shown_name
    try:
        rights = fresh_rights(person.actor())
    except Refused:
        return f"{name} is not active."
    return obstacle_for(row, person.ref, rights, name)


def obstacle_for(row: "Action", ref: str, rights: Rights, name: str) -> str:
    if not rights.sees(row):
        return f"{name} can't see it."
    if rights.refusal(Verb.APPROVE, row):
        return f"{name} may not decide it."
    if barred(row, ref):
        return f"{name} proposed it and may not decide it."
    return ""


def _still_waits(row: "Action", now: datetime) -> None:
    if row.decision != Decision.PENDING:
        raise Conflict(row, "decided")
    if row.expires_at is not None and row.expires_at <= now:
        raise Conflict(row, "expired", f"{row.label} expired undecided; that counts as a rejection.")


def _check_moment(row: "Action", until: datetime, now: datetime) -> None:
    if until <= now:
        raise Invalid("until", "Choose a time to come.")
    if row.expires_at is not None and until >= row.expires_at:
        raise Invalid(
            "until", f"It expires at {row.expires_at:%Y-%m-%d %H:%M} UTC and can't be put off that long."
        )


def _write(row: "Action", **changes: Any) -> None:
    waiting = type(row).objects.filter(pk=row.pk, decision=Decision.PENDING, expires_at__gt=Now())
    if not waiting.update(**changes, updated_at=Now()):
        raise Conflict(row, "expired", f"{row.label} expired meanwhile. Nothing was recorded.")


def _tell(row: "Action", person: User, *, by: Actor, comment: str) -> None:
    notify(
        [person],
        "action.handed_over",
        title=f"{by.name} handed {row.label} to you: {row.what}",
        params={"action": row.pk, "by": by.name, "comment": comment},
        url=f"/action-center/actions/{row.pk}",
        severity=Severity.WARNING if row.risk == Risk.HIGH else Severity.INFO,
    )


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
