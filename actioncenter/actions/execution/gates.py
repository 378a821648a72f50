"""Everything that is checked again before anything is sent, on the locked row and inside the fence.

A gate that doesn't let an action pass either holds it in the queue or ends it with a code. What
the same facts may ask of a person again is proposed anew (see `asking`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify, notify_admins
from actioncenter.actions import planning, reasons
from actioncenter.actions.catalogue import risk_of
from actioncenter.actions.enums import (
    ALLOWED,
    ActionType,
    Choice,
    Decision,
    Execution,
    Risk,
    SurpriseKind,
    TargetKind,
    TargetState,
)
from actioncenter.actions.execution import asking, binding, outside, overtaking, surprising
from actioncenter.actions.execution.binding import Refusal
from actioncenter.actions.execution.holding import stopped
from actioncenter.actions.models import Action, Attempt, TargetResult, attempting, settling, voting
from actioncenter.actions.permissions import Verb, rights_of
from actioncenter.actions.policy import OutcomeKind
from actioncenter.actions.queries.stopped import covered
from actioncenter.actions.recipes import BAD
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import AutomationLevel, is_raise
from actioncenter.settings.models import DeviceGroup, Safeguards, Stop
from actioncenter.web.clock import database_now
from investigations.models import Device

DUPLICATE_WINDOW = timedelta(hours=1)
AUTOMATIC_WAITS = timedelta(hours=1)
"""The window in which the rails count."""
STARTABLE = (Execution.IN_PROGRESS, Execution.QUEUED)
"""What was begun goes on first. Nothing more is sent for an action with an unknown outcome."""
NO_LONGER: Final = {
    "excluded_folder": "excluded_now",
    "indicator_allow": "allowed_now",
    "critical_device": "critical_now",
    "level_none": "level_lowered",
    "membership_stale": "membership_unsure",
    "no_threats": "verdict_withdrawn",
    "email_no_threats": "verdict_withdrawn",
    "verdict_unknown": "verdict_withdrawn",
}
"""Why policy wouldn't let it run by itself any more -> the code it is stopped with."""


class Gate(Enum):
    OPEN = auto()
    HOLD = auto()
    """Stays queued; looked at again later."""
    STOPPED = auto()
    """The runner refused; the action has ended."""


def judge(action: Action, *, by: Actor) -> Gate:
    """The caller holds the action's lock, inside `fence.decider`, and has read `approved_plan` with it."""
    if action.execution not in STARTABLE or action.decision not in ALLOWED:
        return Gate.HOLD
    if action.cancel_requested_at is not None:
        detail = f"Cancelled by {action.cancel_requested_by_name}"
        return _end(action, TargetState.CANCELLED, "cancelled_by", detail, by=by)
    refusal = binding.deviation(action, list(action.targets.order_by("pk")))
    if refusal is None and stopped(action):
        return Gate.HOLD
    if refusal is None and (left := overtaking.give_way(action, by=by)) is not True:
        return Gate.HOLD if left is None else Gate.STOPPED
    refusal = refusal or next((found for check in CHECKS if (found := check(action))), None)
    if refusal is not None:
        refuse(action, refusal, by=by)
        return Gate.STOPPED
    duplicate = _processed_within_the_hour(action)
    if duplicate:
        return _end(action, TargetState.CANCELLED, "duplicate_of", f"A-{duplicate}", by=by)
    if claim := surprising.claim_of(action):
        surprising.found(action, SurpriseKind.EVIDENCE, by=by, said=claim)
        return Gate.HOLD
    if _out_of_patience(action):
        detail = "It could not be reached in time."
        return _end(action, TargetState.TIMED_OUT, "patience_ended", detail, by=by)
    return Gate.OPEN


def _end(action: Action, state: TargetState, code: str, detail: str, *, by: Actor) -> Gate:
    settling.stop_queued(action, state, by=by, code=code, detail=detail)
    return Gate.STOPPED


def refuse(action: Action, refusal: Refusal, *, by: Actor) -> None:
    """End what hasn't been sent, say so, and ask anew where that makes sense. As `judge` for the caller."""
    sentence = reasons.render(refusal.code, _words(action, refusal))
    settling.stop_queued(action, TargetState.CANCELLED, by=by, code=refusal.code, detail=sentence)
    if refusal.code in planning.ASKED_AGAIN and settling.locked(action).execution == Execution.CANCELLED:
        asking.ask_again(action, refusal.code, by=by)
    raise_alarm(action, refusal, by=by)


def raise_alarm(action: Action, refusal: Refusal, *, by: Actor) -> None:
    """Into the log with both values; what nobody but an intruder does, to every admin too.

    Of a plan that is another one now, those are told who had agreed to it. It may pause what is like it, so
    it is the last thing that the caller's transaction does.
    """
    values = {"code": refusal.code, "agreed": refusal.agreed, "found": refusal.found}
    with transaction.atomic():
        settling.event(settling.locked(action), Kind.ACTION_REFUSED, by, detail=values)
        page = f"/action-center/actions/{action.pk}"
        if refusal.forged:
            title = f"{action.label} is not what was decided on. It was stopped."
            notify_admins(refusal.code, title=title, params=values, url=page, severity=Severity.URGENT)
        elif refusal.code == binding.PLAN_CHANGED:
            title = f"What {action.label} would do has changed since you approved it. It was stopped."
            notify(
                _approvers(action),
                refusal.code,
                title=title,
                params=values,
                url=page,
                severity=Severity.WARNING,
            )
        surprising.refused(action, refusal, by=by)


def _approvers(action: Action) -> QuerySet[User]:
    votes = action.votes.filter(revision=action.revision, choice=Choice.APPROVE)
    return User.objects.filter(pk__in=votes.values("user"), is_active=True)


def _words(action: Action, refusal: Refusal) -> dict[str, str]:
    level = AutomationLevel(action.group.level).name.lower() if action.group else ""
    return {
        "group": action.group_name,
        "device": action.on_name,
        "level": level,
        "cause": reasons.cause(refusal.about) if refusal.about else "",
    }


def refuse_attempt(attempt: Attempt, refusal: Refusal, *, by: Actor) -> None:
    """Of an attempt that has touched nothing. Raises LeaseLost."""
    with fence.decider():
        action = settling.locked(attempt.action)
        sentence = reasons.render(refusal.code, _words(action, refusal))
        left = attempt.targets.filter(state__in=attempting.OPEN).values_list("pk", flat=True)
        ended = [
            TargetResult(pk, TargetState.CANCELLED, error=sentence, error_class=refusal.code) for pk in left
        ]
        attempting.finish(attempt, ended, by=by, error=sentence, error_class=refusal.code)
        refuse(settling.locked(action), refusal, by=by)


def still_agreed(action: Action) -> bool:
    """Cheap enough for the last moment: nobody has touched what the row says was decided."""
    same = {"type", "decision", "revision", "fingerprint", "approved_fingerprint", "approved_plan_digest"}
    return Action.objects.filter(pk=action.pk, **{name: getattr(action, name) for name in same}).exists()


# What an approval still has to be


def _approved_late(action: Action) -> Refusal | None:
    """Expiry holds although no sweeper wrote it."""
    due, decided = action.expires_at, action.decided_at
    if action.decision != Decision.APPROVED or due is None or decided is None or decided < due:
        return None
    return Refusal("approved_late", agreed=_moment(due), found=_moment(decided))


def _stale(action: Action) -> Refusal | None:
    """An approval that wasn't begun in time; from the first claim on the clock stands still."""
    queued, begun = action.queued_at, action.started_at
    if action.decision != Decision.APPROVED or action.execution != Execution.QUEUED or queued is None:
        return None
    if begun is not None and begun >= queued:
        return None
    now, limit = database_now(), _may_wait(action)
    if now - queued - _held_since(action, queued, now) <= limit:
        return None
    return Refusal("stale_approval", agreed=_moment(queued), found=_moment(now))


def _may_wait(action: Action) -> timedelta:
    """By the risk in the row and by that of the catalogue: the shorter one, for a row can be edited."""
    figures = Safeguards.current()
    homes = action.targets.exclude(device=None).order_by()
    devices = homes.values("device").distinct().count()
    by_catalogue = risk_of(ActionType(action.type), critical=action.critical, devices=devices)
    minutes = {
        Risk.HIGH: figures.stale_high_minutes,
        Risk.MEDIUM: figures.stale_medium_minutes,
        Risk.LOW: figures.stale_low_minutes,
    }
    return timedelta(minutes=min(minutes[Risk(action.risk)], minutes[by_catalogue]))


def _held_since(action: Action, since: datetime, now: datetime) -> timedelta:
    """For how long stops and pauses have held it; two at a time count once."""
    lately = Stop.objects.filter(Q(lifted_at__isnull=True) | Q(lifted_at__gt=since), pulled_at__lt=now)
    held, reached = timedelta(), since
    for stop in lately.order_by("pulled_at"):
        if not Action.objects.filter(covered([stop.reach]), pk=action.pk).exists():
            continue
        until = min(stop.lifted_at or now, now)
        held += max(until - max(stop.pulled_at, reached), timedelta())
        reached = max(reached, until)
    return held


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}"


def _approver_lost(action: Action) -> Refusal | None:
    """The votes that approved it must still be those of active people with the right."""
    if action.decision != Decision.APPROVED:
        return None
    holds = _breaker_holds(action) if action.break_glass else voting.suffices(action)
    return None if holds else Refusal("approver_lost", agreed=action.decided_by_name)


def _breaker_holds(action: Action) -> bool:
    """Whoever broke the glass did it alone, whatever the rule says of proposers."""
    person = action.decided_by
    if person is None or not person.is_active:
        return False
    rights = rights_of(person)
    return rights.sees(action) and rights.refusal(Verb.APPROVE, action) is None


# What an automatic action still has to be


def _stale_automatic(action: Action) -> Refusal | None:
    """Its place under the cap was that of its hour; what stops held counts too, or they would pile up."""
    queued, begun = action.queued_at, action.started_at
    if not action.automatic or action.execution != Execution.QUEUED or queued is None:
        return None
    now = database_now()
    if (begun is not None and begun >= queued) or now - queued <= AUTOMATIC_WAITS:
        return None
    return Refusal("stale_automatic", agreed=_moment(queued), found=_moment(now))


def _level_lowered(action: Action) -> Refusal | None:
    """In the group it was planned in, and in the one its device is in now."""
    if not action.automatic or action.level is None or action.execution != Execution.QUEUED:
        return None
    homes = Device.objects.filter(pk__in=action.targets.values("device")).values("group")
    groups = DeviceGroup.objects.filter(Q(pk__in=homes) | Q(pk__in=[action.group_id]))
    allowed = AutomationLevel(action.level)
    for level in groups.values_list("level", flat=True):
        if is_raise(AutomationLevel(level), allowed):
            return Refusal("level_lowered", agreed=allowed.name, found=AutomationLevel(level).name)
    return None


def _offboarded(action: Action) -> Refusal | None:
    if not action.automatic or action.type == ActionType.OFFBOARD_DEVICE:
        return None
    gone = action.targets.filter(device__offboarded=True)
    return Refusal("offboarded") if gone.exists() else None


def _no_longer_automatic(action: Action) -> Refusal | None:
    """Policy would ask a person now, or propose nothing: exclusions, indicators, criticality, membership …"""
    if not action.automatic or action.execution != Execution.QUEUED:
        return None
    outcome = planning.judged_again(action)
    if outcome is None:
        return Refusal("verdict_withdrawn")
    if outcome.kind is OutcomeKind.AUTO:
        return None
    code = NO_LONGER.get(outcome.code, "no_longer_automatic")
    return Refusal(code, agreed=action.reason_code, found=outcome.code, about=outcome.code)


def _verdict_withdrawn(action: Action) -> Refusal | None:
    """What it was approved for is no longer called bad by anyone."""
    if action.undo_of_id or action.decision != Decision.APPROVED or action.execution != Execution.QUEUED:
        return None
    bad = [int(verdict) for verdict in BAD]
    links = action.links.filter(verdict__in=bad)
    if not links.exists() or links.filter(evidence__verdict__in=bad).exists():
        return None
    return Refusal("verdict_withdrawn")


CHECKS: Final[tuple[Callable[[Action], Refusal | None], ...]] = (
    surprising.identity_changed,
    _approved_late,
    _stale,
    _approver_lost,
    _verdict_withdrawn,
    _level_lowered,
    _offboarded,
    _no_longer_automatic,
    _stale_automatic,
)


def _processed_within_the_hour(action: Action) -> int | None:
    """Domain Q21: the same cluster, approved before within the hour and not undone since."""
    if action.target_kind != TargetKind.CLUSTER or action.started_at is not None:
        return None
    others = Action.objects.filter(
        intent_key=action.intent_key, queued_at__gt=Now() - DUPLICATE_WINDOW, undone_by__isnull=True
    ).exclude(pk=action.pk)
    done = [Execution.IN_PROGRESS, Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED]
    return others.filter(execution__in=done).values_list("pk", flat=True).first()


def _out_of_patience(action: Action) -> bool:
    queued = action.queued_at
    if action.execution != Execution.QUEUED or queued is None:
        return False
    now, limit = database_now(), timedelta(seconds=outside.patience(action))
    return now - queued > limit and now - queued - _held_since(action, queued, now) > limit
