"""Head and progress of an investigation's page."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q

from actioncenter.actions.enums import ALLOWED, RUNNING, Decision, Execution
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel
from actioncenter.web.moments import iso, lasting, when
from investigations import words
from investigations.enums import InvestigationState, Severity, Verdict
from investigations.models.evidence import UNPLANNED
from investigations.views.acting import actions_of
from investigations.views.tables import Part

S = InvestigationState
Step = dict[str, str]
WENT_WRONG: Final = frozenset(
    {
        S.PARTIALLY_REMEDIATED,
        S.FAILED,
        S.TERMINATED_BY_SYSTEM,
        S.TERMINATED_BY_USER,
        S.TERMINATED_BY_THROTTLING,
    }
)
FAILED: Final = (Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED, Execution.CANCELLED)
WAITED: Final = (Decision.APPROVED, Decision.REJECTED, Decision.EXPIRED)
INTERVALS: Final = 1000
WORTH_TELLING: Final = timedelta(minutes=1)


def head(part: Part, *, waiting: int, decide_url: str) -> dict[str, Any]:
    inv, now = part.investigation, part.viewer.now
    status_code, status_label = words.STATES[S(inv.state)]
    severity_code, severity_label = words.SEVERITIES[Severity(inv.severity)]
    return {
        "label": str(inv),
        "title": inv.title,
        "status_code": status_code,
        "status_label": status_label,
        "severity_code": severity_code,
        "severity_label": severity_label,
        "started": when(inv.started_at, now),
        "started_iso": iso(inv.started_at),
        "duration": lasting((inv.ended_at or now) - inv.started_at),
        "waiting_time": _waiting_time(part),
        "source": inv.detection_source or inv.source,
        "decide_url": decide_url,
        "waiting": waiting,
        "level_label": _level(part),
        "changed": when(inv.changed_at, now),
        "changed_iso": iso(inv.changed_at),
    }


def _level(part: Part) -> str:
    """The level now; each action keeps the one that it was decided under."""
    group = part.investigation.group
    if group is None:
        return "No device group"
    return f"{group.name}: {LEVEL_LABELS[AutomationLevel(group.level)]}"


def _waiting_time(part: Part) -> str:
    """How long it waited for people, shown once somebody answered or time ran out (domain §2.1)."""
    decided = actions_of(part).filter(decision__in=WAITED).order_by("created_at")
    spans = decided.values_list("created_at", "decided_at")[:INTERVALS]
    total = covered((start, end) for start, end in spans if end)
    return lasting(total) if total >= WORTH_TELLING else ""


def covered(spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """The time that spans cover together, each moment once; given by their starts."""
    total, reached = timedelta(), None
    for start, end in spans:
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


def steps(part: Part, *, waiting: int) -> list[Step]:
    """Alert, analysis, decision, execution, result: what has happened and what has not yet."""
    numbers = actions_of(part).filter(undo_of__isnull=True).aggregate(
        proposed=Count("pk"),
        approved=Count("pk", filter=Q(decision__in=sorted(ALLOWED))),
        rejected=Count("pk", filter=Q(decision=Decision.REJECTED)),
        expired=Count("pk", filter=Q(decision=Decision.EXPIRED)),
        running=Count("pk", filter=Q(execution__in=sorted(RUNNING))),
        succeeded=Count("pk", filter=Q(execution=Execution.SUCCEEDED)),
        failed=Count("pk", filter=Q(execution__in=FAILED)),
    )  # fmt: skip
    made = [_alerted(part), _analysed(part)]
    if numbers["proposed"]:
        made.append(_decided(numbers, waiting))
    if numbers["approved"] or waiting:
        made.append(_carried_out(numbers))
    return [*made, _result(part)]


def _alerted(part: Part) -> Step:
    count = part.alerts.count()
    what = f"{count:,} alerts" if count != 1 else "1 alert"
    return _step("Alert received", f"{what}, {when(part.investigation.started_at, part.viewer.now)}", "done")


def _analysed(part: Part) -> Step:
    found = part.evidence.aggregate(
        all=Count("pk"),
        bad=Count("pk", filter=Q(verdict__in=[Verdict.MALICIOUS, Verdict.SUSPICIOUS])),
        left=Count("pk", filter=UNPLANNED),
    )
    detail = f"{found['all']:,} entities, {found['bad']:,} malicious or suspicious"
    return _step("Analysed", detail, "now" if found["left"] else "done")


def _decided(numbers: dict[str, int], waiting: int) -> Step:
    told = [f"{numbers[key]:,} {key}" for key in ("approved", "rejected", "expired") if numbers[key]]
    if waiting:
        return _step("Waiting for approval", ", ".join([f"{waiting:,} waiting", *told]), "now")
    return _step("Decided", ", ".join(told) or "nothing to decide", "done")


def _carried_out(numbers: dict[str, int]) -> Step:
    told = [f"{numbers[key]:,} {key}" for key in ("running", "succeeded", "failed") if numbers[key]]
    detail = ", ".join(told) or "nothing yet"
    if numbers["running"]:
        return _step("Carrying out", detail, "now")
    if numbers["failed"]:
        return _step("Carried out", detail, "bad")
    return _step("Carried out", detail, "done" if numbers["succeeded"] else "todo")


def _result(part: Part) -> Step:
    inv = part.investigation
    if inv.is_active:
        return _step("Result", "", "todo")
    state = S(inv.state)
    detail = words.REASONS.get(inv.state_reason, "")
    if state == S.TERMINATED_BY_USER and inv.terminated_by_name:
        detail = f"Stopped by {inv.terminated_by_name}."
    return _step(words.STATES[state][1], detail, "bad" if state in WENT_WRONG else "done")


def _step(label: str, detail: str, state: str) -> Step:
    return {"label": label, "detail": detail, "state": state}
