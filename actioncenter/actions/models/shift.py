"""What the next shift has to know, as text and numbers that can be frozen.

Every section is one list of lines with its exact total. A long list is shown in part, and then its
`numbers` are still whole.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef

from actioncenter.accounts.models import Notice, RoleGrant
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import (
    ALLOWED,
    TARGET_SUCCESS,
    ActionType,
    Decision,
    Execution,
    Risk,
    TargetState,
)
from actioncenter.actions.models.action import Action
from actioncenter.actions.models.queryset import ActionQuerySet
from actioncenter.actions.models.target import ActionTarget
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.access import Scope, within
from actioncenter.settings.enums import (
    LEVEL_LABELS,
    AutomationLevel,
    BreakerState,
    IndicatorEffect,
    Role,
    StopKind,
    StopScope,
)
from actioncenter.settings.models import (
    Breaker,
    ConnectorInstance,
    DeviceGroup,
    FolderExclusion,
    Indicator,
    Safeguards,
    Stop,
)

SHOWN: Final = 200
Line = dict[str, Any]
HOLDS: Final = {
    ActionType.ISOLATE_DEVICE: ActionType.RELEASE_DEVICE,
    ActionType.RESTRICT_EXECUTION: ActionType.RELEASE_EXECUTION,
    ActionType.CONTAIN_DEVICE: ActionType.RELEASE_CONTAINMENT,
}
"""Types that go on holding a device, and what ends them."""
STILL: Final = timedelta(days=3)
"""A hold older than this is asked about."""
CHANGES: Final = (
    Kind.GROUP_LEVEL_LOWERED,
    Kind.GROUP_LEVEL_RAISE_REQUESTED,
    Kind.GROUP_LEVEL_RAISED,
    Kind.GROUP_RAISE_CANCELLED,
    Kind.SAFEGUARDS_CHANGED,
    Kind.RULE_ADDED,
    Kind.RULE_CHANGED,
    Kind.RULE_REMOVED,
)


@dataclass(frozen=True, slots=True)
class Shift:
    scope: Scope
    since: datetime
    now: datetime

    def actions(self) -> ActionQuerySet:
        return within(Action.objects.all(), self.scope)


def describe(scope: Scope, *, since: datetime, now: datetime) -> dict[str, Any]:
    """Everything in `scope`, as JSON. `groups` says whose eyes it is for; None is everybody's."""
    shift = Shift(scope, since, now)
    return {
        "groups": None if scope.groups is None else sorted(scope.groups),
        "sections": [
            {"key": key, "title": SECTIONS[key], **_cut(make(shift))} for key, make in MAKERS.items()
        ],
    }


def _cut(lines: Iterable[Line]) -> dict[str, Any]:
    lines = list(lines)
    numbers = [line["number"] for line in lines if line.get("number")]
    return {"total": len(lines), "numbers": numbers, "lines": lines[:SHOWN]}


def _stops(shift: Shift) -> Iterable[Line]:
    for stop in Stop.objects.filter(lifted_at=None).order_by("pk"):
        what = "everything" if stop.scope == StopScope.ALL else stop.value_name or f"number {stop.value}"
        verb = "Stopped" if stop.kind == StopKind.STOP else "Paused"
        until = f", until {_clock(stop.until)}" if stop.until else ""
        yield _line(f"{verb}: {what}", f"by {stop.pulled_by_name}{until}. {stop.reason}", stop.pulled_at)
    for breaker in Breaker.objects.exclude(state=BreakerState.CLOSED).select_related("group").order_by("pk"):
        where = breaker.group.name if breaker.group else "no group"
        label = CATALOGUE[ActionType(breaker.action_type)].label
        yield _line(
            f"Automation off: {label}, {where}", f"{breaker} until a person restores it", breaker.opened_at
        )
    admins = RoleGrant.objects.in_force().filter(role=Role.ADMIN).select_related("user").order_by("user_id")
    names = ", ".join(grant.user.shown_name for grant in admins) or "nobody"
    yield _line("May resume", names)


def _levels(shift: Shift) -> Iterable[Line]:
    rows = DeviceGroup.objects.all()
    if shift.scope.groups is not None:
        rows = rows.filter(pk__in=shift.scope.groups)
    for group in rows:
        yield _line(group.name, f"level {LEVEL_LABELS[AutomationLevel(group.level)]}")
    caps = Safeguards.current()
    yield _line(
        "Caps for each group and hour",
        f"device-wide {caps.device_cap} or {caps.device_cap_percent} %, "
        f"entities {caps.entity_cap} or {caps.entity_cap_percent} %",
    )
    events = within(Event.objects.filter(kind__in=CHANGES, at__gte=shift.since), shift.scope)
    for change in events.order_by("pk"):
        yield _line(
            f"{change.subject_name or change.subject.replace(':', ' ')}: {_word(change.kind.partition('.')[2])}",
            f"by {change.actor_name}",
            change.at,
        )


def _waiting(shift: Shift) -> Iterable[Line]:
    rows = shift.actions().waiting().order_by("-risk", "expires_at", "pk")
    for row in rows:
        clocks = [f"{Risk(row.risk).name.lower()} risk"]
        if row.answer_by:
            clocks.append(f"answer by {_clock(row.answer_by)}")
        if row.expires_at:
            clocks.append(f"expires {_clock(row.expires_at)}")
        if row.deferred_until and row.deferred_until > shift.now:
            clocks.append(f"put off until {_clock(row.deferred_until)}")
        if row.assigned_to_name:
            clocks.append(f"handed to {row.assigned_to_name}")
        yield _of(row, ", ".join(clocks), row.created_at)


def _approved(shift: Shift) -> Iterable[Line]:
    rows = shift.actions().filter(
        decision__in=sorted(ALLOWED), execution=Execution.QUEUED, history_at__isnull=True
    )
    for row in rows.order_by("queued_at", "pk"):
        yield _of(row, f"approved by {row.decided_by_name}, not started", row.decided_at)


def _running(shift: Shift) -> Iterable[Line]:
    live = shift.actions().filter(
        execution__in=[Execution.IN_PROGRESS, Execution.OUTCOME_UNKNOWN], history_at__isnull=True
    )
    words = {Execution.IN_PROGRESS: "running", Execution.OUTCOME_UNKNOWN: "outcome unknown, needs a look"}
    for row in live.order_by("-execution", "pk"):
        yield _of(row, words[Execution(row.execution)], row.started_at)
    bad = [Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED]
    undone = shift.actions().filter(undo_of__isnull=False, execution__in=bad, acknowledged_at__isnull=True)
    for row in undone.order_by("pk"):
        yield _of(row, f"undo of A-{row.undo_of_id} failed", row.finished_at)


def _held(shift: Shift) -> Iterable[Line]:
    for kind, inverse in HOLDS.items():
        ended = ActionTarget.objects.filter(
            device=OuterRef("device"), action_id__gt=OuterRef("action_id"), action__type=inverse,
            state__in=sorted(TARGET_SUCCESS),
        )  # fmt: skip
        held = ActionTarget.objects.filter(
            ~Exists(ended), action__type=kind, state=TargetState.SUCCEEDED,
            action__in=shift.actions().filter(type=kind),
        )  # fmt: skip
        for target in held.select_related("action").order_by("pk"):
            owner = target.action.decided_by_name or "automation"
            since = target.action.finished_at or target.action.started_at
            still = ", more than three days: still?" if since and shift.now - since > STILL else ""
            name = f"{target.action.entry.label}: {target.on_name or target.name}"
            yield _line(name, f"by {owner}{still}", since, number=target.action_id)


def _exceptions(shift: Shift) -> Iterable[Line]:
    figures = Safeguards.current()
    for exclusion in FolderExclusion.objects.in_force(figures).order_by("pk"):
        detail = f"{_until(exclusion.review_by(figures))}. {exclusion.description}"
        yield _line(f"Not investigated: {exclusion}", detail, exclusion.created_at)
    allowed = Indicator.objects.in_force(figures).filter(effect=IndicatorEffect.ALLOW)
    for indicator in allowed.exclude(expires_at__lte=shift.now).order_by("pk"):
        ends = [at for at in (indicator.expires_at, indicator.review_by(figures)) if at]
        detail = f"{_until(min(ends, default=None))}. {indicator.description}"
        yield _line(f"Allowed: {indicator.value}", detail, indicator.created_at)


def _until(end: datetime | None) -> str:
    return f"until {_clock(end)}" if end else "without end"


def _rejected(shift: Shift) -> Iterable[Line]:
    rows = shift.actions().filter(decision=Decision.REJECTED, history_at__gte=shift.since)
    for row in rows.order_by("pk"):
        yield _of(row, f"rejected by {row.decided_by_name}: {row.decision_comment}", row.decided_at)


def _connectors(shift: Shift) -> Iterable[Line]:
    for instance in ConnectorInstance.objects.order_by("pk"):
        told = {True: "well", False: "unwell", None: "never checked"}[instance.health.get("ok")]
        detail = f"{'on' if instance.enabled else 'off'}, {told}. {instance.health.get('detail', '')}"
        yield _line(instance.name, detail, instance.health_at)


def _undelivered(shift: Shift) -> Iterable[Line]:
    failed = Notice.objects.filter(mailed_at=None, created_at__gte=shift.since).exclude(mail_error="")
    for notice in failed.select_related("user").order_by("pk"):
        yield _line(
            f"Mail to {notice.user.shown_name}", f"{notice.kind}: {notice.mail_error}", notice.created_at
        )


def _audit(shift: Shift) -> Iterable[Line]:
    head = Event.objects.order_by("-pk").first()
    if head is not None:
        yield _line(
            f"Newest event {head.pk}", f"{head.stream} number {head.seq}, chain {head.chain[:16]}", head.at
        )
    verified = Event.objects.filter(kind=Kind.AUDIT_VERIFIED).order_by("-pk").first()
    yield _line("Last verified" if verified else "Never verified", "", verified.at if verified else None)


def _of(row: Action, detail: str, at: datetime | None) -> Line:
    place = f" on {row.on_name}" if row.on_name else ""
    return _line(f"{row.entry.short}: {row.target_name}{place}", detail, at, number=row.pk)


def _line(text: str, detail: str = "", at: datetime | None = None, *, number: int | None = None) -> Line:
    return {"text": text, "detail": detail, "at": at.isoformat() if at else "", "number": number}


def _clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _word(name: str) -> str:
    return name.replace("_", " ").lower()


MAKERS: Final[Mapping[str, Callable[[Shift], Iterable[Line]]]] = {
    "stops": _stops,
    "levels": _levels,
    "waiting": _waiting,
    "approved": _approved,
    "running": _running,
    "held": _held,
    "exceptions": _exceptions,
    "rejected": _rejected,
    "connectors": _connectors,
    "undelivered": _undelivered,
    "audit": _audit,
}
SECTIONS: Final[Mapping[str, str]] = {
    "stops": "Stops, pauses, open breakers",
    "levels": "Levels and caps, changes this shift",
    "waiting": "Waiting for a decision",
    "approved": "Approved, not yet run",
    "running": "Running, unknown, failed undo",
    "held": "Devices held",
    "exceptions": "Exclusions and allowed indicators",
    "rejected": "Rejected this shift, may return",
    "connectors": "Connectors",
    "undelivered": "Notices that didn't arrive",
    "audit": "Audit log",
}
"""In the order of a handover. Every one is ticked by whoever takes over."""
