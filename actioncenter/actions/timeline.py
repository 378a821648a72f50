"""What happened to an action, told from its audit events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actioncenter.actions.blinding import KEPT_BACK
from actioncenter.actions.enums import AttemptState
from actioncenter.actions.models import Attempt
from actioncenter.actions.queries import Viewer
from actioncenter.actions.rows import iso
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event

Told = Mapping[str, Any]
TOLD: Final[Mapping[str, tuple[str, str]]] = {
    Kind.ACTION_PROPOSED: ("pending", "Proposed"),
    Kind.ACTION_EDITED: ("clip", "Changed"),
    Kind.ACTION_VOTED: ("users", "Vote"),
    Kind.ACTION_APPROVED: ("check", "Approved"),
    Kind.ACTION_REJECTED: ("x", "Rejected"),
    Kind.ACTION_EXPIRED: ("s-exp", "Expired undecided"),
    Kind.ACTION_WITHDRAWN: ("s-rej", "Withdrawn"),
    Kind.ACTION_ESCALATED: ("warn", "Escalated"),
    Kind.ACTION_COMMENTED: ("info", "Comment"),
    Kind.ACTION_QUEUED: ("s-queued", "Queued"),
    Kind.ACTION_CLAIMED: ("s-run", "Taken up"),
    Kind.ACTION_STARTED: ("s-run", "Started"),
    Kind.ACTION_SUCCEEDED: ("s-ok", "Succeeded"),
    Kind.ACTION_PARTLY_SUCCEEDED: ("s-part", "Partly done"),
    Kind.ACTION_FAILED: ("s-fail", "Failed"),
    Kind.ACTION_TIMED_OUT: ("s-exp", "Timed out"),
    Kind.ACTION_UNKNOWN: ("s-odd", "Outcome unknown"),
    Kind.ACTION_RECONCILED: ("readback", "Confirmed by a person"),
    Kind.ACTION_CANCEL_REQUESTED: ("x", "Cancel asked for"),
    Kind.ACTION_CANCELLED: ("s-rej", "Cancelled"),
    Kind.ACTION_REFUSED: ("lock", "Refused"),
    Kind.ACTION_REHEARSED: ("info", "Dry run, nothing was sent. It would have done:"),
    Kind.ACTION_RETRIED: ("undo", "Retried"),
    Kind.ACTION_UNDONE: ("undo", "Undo asked for"),
    Kind.ACTION_OVERTOOK: ("undo", "Overtook"),
    Kind.ACTION_DRIFTED: ("warn", "No longer in force"),
    Kind.ACTION_DRIFT_ENDED: ("readback", "In force again"),
    Kind.ACTION_DRIFT_ACKNOWLEDGED: ("check", "Drift noted by"),
    Kind.ACTION_EXTENDED: ("clock", "Extended"),
    Kind.ACTION_TIMER_ENDED: ("clock", "No longer ends by itself"),
    Kind.SURPRISE_FOUND: ("warn", "Surprise:"),
    Kind.ACTION_BREAK_GLASS: ("warn", "Break glass"),
    Kind.ACTION_REVIEWED: ("check", "Reviewed:"),
    Kind.ACTION_ACKNOWLEDGED: ("check", "Acknowledged"),
    Kind.ACTION_DEFERRED: ("clock", "Put off"),
    Kind.ACTION_HANDED_OVER: ("users", "Handed over"),
    Kind.ACTION_TAKEN: ("users", "Taken on"),
    Kind.ACTION_GIVEN_BACK: ("users", "Given back"),
    Kind.PLAN_MADE: ("lock", "Plan made"),
    Kind.ARTEFACT_KEPT: ("package", "File brought back:"),
    Kind.ARTEFACT_DOWNLOADED: ("package", "File downloaded:"),
}
"""Icon and text by kind of event."""

ATTEMPTS: Final[Mapping[AttemptState, tuple[str, str]]] = {
    AttemptState.CLAIMED: ("queued", "Taken up"),
    AttemptState.SENT: ("running", "Sent"),
    AttemptState.POLLING: ("running", "In progress"),
    AttemptState.FINISHED: ("succeeded", "Finished"),
    AttemptState.UNKNOWN: ("outcome_unknown", "No answer came"),
}


def timeline_of(events: Sequence[Event], viewer: Viewer, *, blind: bool) -> list[dict[str, str]]:
    """`blind`: without what others said to their votes, so that the next vote is a judgement of its own."""
    return [_told(event, viewer, blind=blind) for event in events]


def comments_of(events: Sequence[Event], viewer: Viewer) -> list[dict[str, str]]:
    """What people said to each other, in the order they did."""
    said = [event for event in events if event.kind == Kind.ACTION_COMMENTED]
    return [
        {
            "who": event.actor_name,
            "text": str((event.detail or {}).get("comment") or ""),
            "at": viewer.when(event.at),
            "at_iso": iso(event.at),
        }
        for event in said
    ]


def attempts_of(attempts: Sequence[Attempt], viewer: Viewer) -> list[dict[str, Any]]:
    """Newest first."""
    return [
        {
            "n": attempt.number,
            "state_code": ATTEMPTS[AttemptState(attempt.state)][0],
            "text": _attempt(attempt),
            "at": f"{viewer.local(attempt.started_at):%H:%M:%S}",
            "at_iso": iso(attempt.started_at),
        }
        for attempt in attempts
    ]


def _told(event: Event, viewer: Viewer, *, blind: bool) -> dict[str, str]:
    icon, text = TOLD.get(event.kind, ("info", event.kind.replace(".", " ").replace("_", " ").capitalize()))
    detail, kept_back = event.detail or {}, blind and event.kind == Kind.ACTION_VOTED
    return {
        "icon": icon,
        "text": text,
        "detail": _detail(event),
        "who": event.actor_name,
        "at": f"{viewer.local(event.at):%H:%M:%S}",
        "at_iso": iso(event.at),
        "note": "" if kept_back else str(detail.get("comment") or ""),
        "kept_back": KEPT_BACK if kept_back else "",
    }


def _detail(event: Event) -> str:
    tell = DETAILS.get(event.kind)
    told = tell(event.after or {}, event.detail or {}) if tell else ""
    return told or str((event.detail or {}).get("detail") or "")


def _moment(text: Any) -> str:
    return f"{str(text)[:16].replace('T', ' ')} UTC"


def _put_off(after: Told, _: Told) -> str:
    until = after.get("deferred_until")
    return f"until {_moment(until)}" if until else "no longer"


DETAILS: Final[Mapping[str, Callable[[Told, Told], str]]] = {
    Kind.ACTION_VOTED: lambda after, _: "to approve" if after.get("choice") == "APPROVE" else "to reject",
    Kind.ACTION_REVIEWED: lambda after, _: "justified" if after.get("justified") else "not justified",
    Kind.ACTION_UNDONE: lambda after, _: f"with A-{after.get('undone_by')}",
    Kind.ACTION_OVERTOOK: lambda _, detail: f"A-{detail.get('overtook')}, which had not begun",
    Kind.ACTION_EXTENDED: lambda after, _: f"to {_moment(after.get('ends_at'))}",
    Kind.PLAN_MADE: lambda after, _: str(after.get("digest", ""))[:8],
    Kind.ARTEFACT_KEPT: lambda after, _: str(after.get("name", "")),
    Kind.ARTEFACT_DOWNLOADED: lambda after, _: str(after.get("name", "")),
    Kind.ACTION_HANDED_OVER: lambda after, _: f"to {after.get('assigned_to')}",
    Kind.ACTION_DEFERRED: _put_off,
    Kind.ACTION_REHEARSED: lambda after, _: "; ".join(
        map(str, after.get("changes") or [after.get("error", "")])
    ),
    Kind.ACTION_PARTLY_SUCCEEDED: lambda after, _: (
        f"{after.get('succeeded', 0)} done, {after.get('failed', 0)} not"
    ),
    Kind.ACTION_EDITED: lambda after, _: ", ".join(
        f"{name} {value}" for name, value in after.get("parameters", {}).items()
    ),
}
"""What is told of an event beside its name, from its `after` and its `detail`."""


def _attempt(attempt: Attempt) -> str:
    text = ATTEMPTS[AttemptState(attempt.state)][1]
    where = f" through {attempt.instance_name}" if attempt.instance_name else ""
    done = f", {attempt.done} of {attempt.total}" if attempt.total > 1 else ""
    said = attempt.error or attempt.message
    return f"{text}{where}{done}{f': {said}' if said else ''}"
