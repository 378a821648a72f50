"""What no longer shows what was done. It is noted and told, and never repaired unless somebody decides that.

The date at a target stays until it shows again what was done; the one at the action only until
somebody has taken note.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import admins, notify
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetState
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT
from actioncenter.actions.models.proposal import Proposal, TargetDraft
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.models.target import ActionTarget
from actioncenter.actions.models.undoing import draft_of
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.clock import database_now

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

SPANS: Final = (("hours", 3600), ("days", 86_400))
"""Parameters that give an action its end, and their seconds."""
NAMED: Final = 20
"""Targets whose names the log keeps of one reading."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen of one target; `holds` is None where the connector can't tell."""

    holds: bool | None
    shows: Mapping[str, Any] = field(default_factory=dict)


def note(
    action: "Action", readings: Mapping[int, Reading], *, asked_at: datetime, by: Actor
) -> list[ActionTarget]:
    """Compare what was seen with what should be; returns the targets that differ since now.

    What was changing meanwhile says nothing.
    """
    with transaction.atomic():
        row = locked(action)
        targets = list(_comparable(row, readings, asked_at))
        gone = [each for each in targets if readings[each.pk].holds is False and each.drifted_at is None]
        held = [each for each in targets if readings[each.pk].holds]
        _write_gone(row, gone, readings, by=by)
        _write_held(row, held, by=by)
    return gone


def _comparable(
    row: "Action", readings: Mapping[int, Reading], asked_at: datetime
) -> "QuerySet[ActionTarget]":
    moving = ActionTarget.objects.filter(
        lane=OuterRef("lane"), state__in=[TargetState.IN_PROGRESS, TargetState.UNKNOWN]
    )
    still = row.targets.filter(pk__in=list(readings), in_force=True, changed_at__lte=asked_at)
    return still.filter(~Exists(moving)).order_by("pk")


def _write_gone(
    row: "Action", gone: Sequence[ActionTarget], readings: Mapping[int, Reading], *, by: Actor
) -> None:
    if not gone:
        return
    for target in gone:
        shows = dict(readings[target.pk].shows)
        ActionTarget.objects.filter(pk=target.pk).update(drifted_at=Now(), drift=shows)
    type(row).objects.filter(pk=row.pk).update(drifted_at=Now(), updated_at=Now())
    names = [target.name for target in gone[:NAMED]]
    event(row, Kind.ACTION_DRIFTED, by, after={"targets": names, "number": len(gone)})
    where = row.on_name if len(gone) == 1 else f"{len(gone)} targets"
    notify(
        _concerned(row),
        "action.drifted",
        title=f"{row.label} is no longer in force: {row.entry.short} on {where}",
        params={"action": row.pk},
        url=f"/action-center/actions/{row.pk}",
        severity=Severity.URGENT if row.entry.dangerous else Severity.WARNING,
    )


def _write_held(row: "Action", held: Sequence[ActionTarget], *, by: Actor) -> None:
    numbers = [target.pk for target in held]
    ActionTarget.objects.filter(pk__in=numbers).update(read_back_at=Now(), drifted_at=None, drift={})
    if row.targets.filter(drifted_at__isnull=False).exists():
        return
    if numbers:
        type(row).objects.filter(pk=row.pk).update(read_back_at=Now())
    if any(target.drifted_at is not None for target in held):
        _end(row, "It shows again what was done.", by=by)


def _end(row: "Action", why: str, *, by: Actor) -> None:
    type(row).objects.filter(pk=row.pk).update(drifted_at=None, updated_at=Now())
    event(row, Kind.ACTION_DRIFT_ENDED, by, detail={"detail": why})


def _concerned(row: "Action") -> "QuerySet[User]":
    asked = User.objects.filter(pk__in=[row.requested_by_id or 0, row.decided_by_id or 0], is_active=True)
    return admins() | asked


# What is no longer to be compared


def moot(model: "type[Action]") -> "QuerySet[Action]":
    """Noted as different, and taken back or done again since."""
    different = ActionTarget.objects.filter(action=OuterRef("pk"), in_force=True, drifted_at__isnull=False)
    return model.objects.filter(~Exists(different), drifted_at__isnull=False)


def end_moot(model: "type[Action]", *, by: Actor) -> int:
    ended = 0
    for pk in list(moot(model).order_by("pk").values_list("pk", flat=True)[:500]):
        with transaction.atomic():
            row = locked(model(pk=pk))
            if moot(model).filter(pk=pk).exists():
                _end(row, "It was taken back or done again.", by=by)
                ended += 1
    return ended


# What people do about it


def acknowledge(action: "Action", *, by: Actor, comment: str) -> "Action":
    """Somebody has taken note of the difference, which stays. Raises Invalid, Conflict, Refused, NotVisible."""
    _check_comment(comment, "Say what you saw.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.ACKNOWLEDGE, row)
        _take_note(row, by=by, detail={"comment": comment})
    action.refresh_from_db()
    return action


def again(action: "Action", *, by: Actor, comment: str, idempotency_key: str = "") -> "Action":
    """Propose the same for what drifted, as a new action that passes every rule; returns it.

    Raises Invalid, Conflict, Refused (also `reauthenticate`), NotVisible.
    """
    _check_comment(comment, "Say why it is to be done again.")
    with fence.decider():
        row = locked(action)
        fresh_rights(by).require(Verb.PROPOSE, row)
        model = type(row)
        if idempotency_key and (sent := model.objects.filter(idempotency_key=idempotency_key).first()):
            return sent
        if not _drifted(row).exists():
            raise Conflict(row, "not_drifted", f"{row.label} shows what was done.")
        made, _ = model.objects.propose(_proposal(row, by, comment, idempotency_key), by=by)
        if row.drifted_at is not None:
            _take_note(row, by=by, detail={"comment": comment, "detail": f"proposed again as {made.label}"})
    action.refresh_from_db()
    return made


def _check_comment(comment: str, missing: str) -> None:
    if not comment.strip() or len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", missing)


def _take_note(row: "Action", *, by: Actor, detail: Mapping[str, Any]) -> None:
    noted = type(row).objects.filter(pk=row.pk, drifted_at__isnull=False)
    if not noted.update(drifted_at=None, updated_at=Now()):
        raise Conflict(row, "not_drifted", f"{row.label} has no difference that nobody has noted.")
    before = {"drifted_at": row.drifted_at and row.drifted_at.isoformat()}
    event(row, Kind.ACTION_DRIFT_ACKNOWLEDGED, by, before=before, after={"drifted_at": None}, detail=detail)


def _drifted(row: "Action") -> "QuerySet[ActionTarget]":
    return row.targets.filter(in_force=True, drifted_at__isnull=False).order_by("pk")


def _proposal(row: "Action", by: Actor, comment: str, idempotency_key: str) -> Proposal:
    area = Area(row.area)
    params = {**row.policy.get("params", {}), "by": by.name, "other": row.label}
    proposal = Proposal(
        type=ActionType(row.type),
        area=area,
        source=Source.MANUAL_EMAIL if area == Area.EMAIL else Source.MANUAL_DEVICE,
        decision=Decision.NOT_REQUIRED,
        targets=[_fresh(target) for target in _drifted(row)],
        parameters=_parameters(row),
        investigation_id=row.investigation_id,
        evidence=[(link.evidence_id, link.verdict, "drifted") for link in row.links.all()],
        verdict=row.verdict,
        critical=row.critical,
        group_id=row.group_id,
        group_name=row.group_name,
        policy={**row.policy, "code": "done_again", "params": params},
        reason_code="done_again",
        comment=comment,
        idempotency_key=idempotency_key,
        simulated=row.simulated,
    )
    same = type(row).objects.filter(investigation=row.investigation_id, proposal_key=proposal.intent_key)
    last = same.aggregate(last=Max("round"))["last"] if row.investigation_id else None
    return replace(proposal, round=(last or 0) + 1)


def _fresh(target: ActionTarget) -> TargetDraft:
    """The same target, without what the first time has found there."""
    return replace(draft_of(target), restore=b"")


def _parameters(row: "Action") -> dict[str, Any]:
    """What had an end keeps it."""
    name, seconds = next((each for each in SPANS if row.parameters.get(each[0])), ("", 1))
    if not name:
        return dict(row.parameters)
    left = (row.ends_at - database_now()).total_seconds() / seconds if row.ends_at else 0
    return {**row.parameters, name: max(1, math.ceil(left)) if row.ends_at else 0}
