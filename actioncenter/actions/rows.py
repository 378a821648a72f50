"""A row of a list as its template shows it: ready text, no logic left.

Plain dictionaries, because templates look keys up faster than attributes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Final, TypedDict, cast

from actioncenter.actions import reasons, words
from actioncenter.actions.enums import Decision, Execution, Source, TargetKind
from actioncenter.actions.lasting import WAITS, left_of, waits_for_device
from actioncenter.actions.models import Action
from actioncenter.actions.models.settling import NOT_TAKEN_BACK
from actioncenter.actions.models.undoing import why_not_undoable
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import RawRow, Viewer, stamp
from actioncenter.actions.queries.connectors import Obstacle
from actioncenter.actions.reversing import CAME_TO_NOTHING
from actioncenter.audit.actor import AUTOMATION
from actioncenter.web.text import age_of, defanged
from investigations.enums import Verdict

DONE: Final = (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)
SOON: Final = timedelta(hours=24)
OWN_PROPOSAL: Final = "Whoever proposed an action may not decide it."
LOOK_FIRST: Final = "Nobody knows yet whether it was done. Open it and say what you see."
LOOKS: Final = {
    "undo_failed": "This undo failed. Open it, look, and acknowledge that or try again.",
    "drifted": "It is no longer in force. Open it and say what you saw, or propose it again.",
    "surprise": "Something unexpected happened. Open it, look, and acknowledge that.",
}
EXTRA_COLUMNS: Final = {
    "entity": "Entity",
    "investigation": "Investigation",
    "approval": "Approval ID",
    "source": "Source",
    "group": "Group",
    "verdict": "Verdict",
    "created": "Proposed",
}


class RowTimes(TypedDict):
    """Short texts with the moment itself beside them; empty where it doesn't apply."""

    age: str
    age_iso: str
    expires: str
    expires_iso: str
    expires_soon: bool
    ended: str
    ended_iso: str
    read_back: str
    read_back_code: str
    left: str
    left_iso: str


class Row(RowTimes):
    """What templates/actions/_row_*.html use; empty means unknown."""

    number: int
    label: str
    url: str
    type_code: str
    type_label: str
    type_icon: str
    target: str
    target_extra: str
    on: str
    on_icon: str
    critical: bool
    why: str
    verdict: str
    verdict_label: str
    group_name: str
    level_code: int | None
    undo: str
    undo_label: str
    undo_url: str
    result_code: str
    result_label: str
    waits: str
    waits_for: str
    progress: int | None
    decided_by: str
    decided_initials: str
    automation: bool
    source_label: str
    seal: str
    extras: dict[str, str]
    simulated: bool
    can_decide: bool
    disabled_reason: str
    revision: int
    plan: str


def rows_of(
    raws: Sequence[RawRow],
    viewer: Viewer,
    url: Callable[[int], str],
    *,
    history: bool,
    extras: Sequence[str] = (),
    waits: Mapping[int, Sequence[Obstacle]] | None = None,
    unsealed: Collection[int] | None = None,
) -> list[Row]:
    """`url` makes the address that opens a number beside this list; `waits` is what keeps some from being sent.

    `unsealed` are those of which not every event is sealed; None where that isn't shown.
    """
    made = []
    for raw in raws:
        row = _row(raw, viewer, url, look=_look(raw, history=history))
        blocked = _cannot_undo(raw, viewer) if history else _cannot_decide(raw, viewer)
        row["can_decide"], row["disabled_reason"] = not blocked, blocked
        row["seal"] = "" if unsealed is None else "waits" if raw.id in unsealed else "sealed"
        row["extras"] = {name: _extra(raw, name, viewer) for name in extras}
        if waits and (obstacles := waits.get(raw.id)):
            row["waits"] = obstacles[0].short
            row["waits_for"] = " ".join(obstacle.sentence for obstacle in obstacles)
        made.append(row)
    return made


def iso(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


def _look(raw: RawRow, *, history: bool) -> str:
    """The code of what somebody has to go and see."""
    if raw.execution == Execution.OUTCOME_UNKNOWN:
        return "outcome_unknown"
    if history or raw.decision == Decision.PENDING:
        return ""
    if raw.drifted_at:
        return "drifted"
    # Nothing else that was decided stands among what is pending.
    undo_failed = raw.undo_of_id and Execution(raw.execution) in NOT_TAKEN_BACK
    return "undo_failed" if undo_failed else "surprise"


def _row(raw: RawRow, viewer: Viewer, url: Callable[[int], str], *, look: str) -> Row:
    entry = raw.entry
    overdue = raw.decision == Decision.PENDING and not _waits(raw, viewer)
    result = "expired" if overdue else words.result_of(raw.decision, raw.execution, raw.undo_execution)
    undo, undo_label, undo_url = _undo(raw, url)
    asked_for = raw.requested_by_id is not None or raw.source == Source.TIMER
    # The name lasts, where the account was deleted since.
    by_policy = raw.decided_by_name in {"", AUTOMATION}
    automatic = raw.decision == Decision.NOT_REQUIRED and not asked_for and by_policy
    unclear = raw.execution == Execution.OUTCOME_UNKNOWN
    verdict, verdict_label = ("odd", "Unconfirmed") if unclear else words.VERDICTS[Verdict(raw.verdict)]
    by = raw.decided_by_name or ("Nobody" if result == "expired" else "")
    return {
        "number": raw.id,
        "label": raw.label,
        "url": url(raw.id),
        "type_code": entry.code,
        "type_label": entry.short,
        "type_icon": entry.icon,
        "target": shown_target(raw.target_kind, raw.target_name),
        "target_extra": "",
        "on": raw.on_name,
        "on_icon": "device" if raw.device_id else words.PLACE_ICONS.get(TargetKind(raw.target_kind), "device"),
        "critical": bool(raw.critical),
        "why": _why(raw, viewer, look=look),
        "verdict": verdict,
        "verdict_label": verdict_label,
        "group_name": raw.group_name,
        "level_code": raw.level,
        **_times(raw, viewer),
        "undo": undo,
        "undo_label": undo_label,
        "undo_url": undo_url,
        "result_code": "outcome_unknown" if look == "drifted" else result,
        "result_label": reasons.cause(look) if look == "drifted" else _result_label(raw, result),
        "waits": "",
        "waits_for": "",
        "progress": progress_of(raw.done, raw.total) if raw.execution == Execution.IN_PROGRESS else None,
        "decided_by": AUTOMATION if automatic else by,
        "decided_initials": words.initials(raw.decided_by_name) if raw.decided_by_name and not automatic else "",
        "automation": automatic,
        "source_label": words.SOURCES[Source(raw.source)],
        "seal": "",
        "extras": {},
        "simulated": bool(raw.simulated) and raw.execution != Execution.NONE,
        "can_decide": False,
        "disabled_reason": "",
        "revision": raw.revision,
        "plan": raw.plan or "",
    }  # fmt: skip


def _why(raw: RawRow, viewer: Viewer, *, look: str) -> str:
    """What the person should know first of an open one: that it was put off, or is somebody's."""
    cause = reasons.cause(look or raw.reason_code) if raw.reason_code or look else ""
    if raw.decision != Decision.PENDING:
        return cause
    until = stamp(raw.deferred_until)
    if until is not None and until > viewer.now:
        same_day = viewer.local(until).date() == viewer.local(viewer.now).date()
        return f"Put off until {viewer.local(until):{'%H:%M' if same_day else '%d %b %H:%M'}}"
    return f"With {raw.assigned_to_name}: {cause}" if raw.assigned_to_name else cause


def _times(raw: RawRow, viewer: Viewer) -> RowTimes:
    created, ended, read = stamp(raw.created_at), stamp(raw.history_at), stamp(raw.read_back_at)
    expires = stamp(raw.expires_at) if _waits(raw, viewer) else None
    left, left_iso = left_of(raw, viewer)
    return {
        "age": age_of(created, viewer.now) if created else "",
        "age_iso": iso(created),
        "expires": age_of(expires, viewer.now) if expires else "",
        "expires_iso": iso(expires),
        "expires_soon": bool(expires and expires - viewer.now < SOON),
        "ended": f"{viewer.local(ended):%H:%M:%S}" if ended else "",
        "ended_iso": iso(ended),
        "read_back": f"{viewer.local(read):%H:%M}" if read else "",
        "read_back_code": _read_back(raw),
        "left": left,
        "left_iso": left_iso,
    }


def _read_back(raw: RawRow) -> str:
    if raw.drifted_at:
        return "drift"
    return "ok" if raw.read_back_at else "none" if raw.execution in DONE else ""


def _waits(raw: RawRow, viewer: Viewer) -> bool:
    """Undecided and not past expiry, whether or not the sweeper has come by."""
    expires = stamp(raw.expires_at)
    return raw.decision == Decision.PENDING and expires is not None and expires > viewer.now


def shown_target(kind: int, name: str) -> str:
    return defanged(name) if kind == TargetKind.URL else name


def progress_of(done: int | None, total: int | None) -> int | None:
    """Per cent, or None when nothing is known."""
    return min(100, 100 * (done or 0) // total) if total else None


def _result_label(raw: RawRow, result: str) -> str:
    if waits_for_device(raw):
        return WAITS
    if raw.execution == Execution.CANCELLED and raw.code == words.DRY_RUN:
        return words.REHEARSED
    if raw.target_count > 1 and result in {"succeeded", "partly_succeeded"}:
        return f"{raw.succeeded_count:,} of {raw.target_count:,}"
    return words.RESULTS.get(result, "")


def _undo(raw: RawRow, url: Callable[[int], str]) -> tuple[str, str, str]:
    """Code, text beside it, address: what the last column of a row says."""
    if raw.undo_of_id:
        return "of", f"A-{raw.undo_of_id}", url(raw.undo_of_id)
    if raw.undone_by_id and raw.undo_execution not in CAME_TO_NOTHING:
        return "done", f"A-{raw.undone_by_id}", url(raw.undone_by_id)
    if raw.entry.inverse is None:
        return "oneway", "", ""
    if raw.decision == Decision.PENDING or not _why_not(raw):
        return "can", "", url(raw.id)
    return "none", "", ""


def _why_not(raw: RawRow) -> str:
    # A raw row has the few fields the rule reads.
    return why_not_undoable(cast(Action, _Ended(raw)))


class _Ended:
    """The part of an action that decides whether it can be undone."""

    def __init__(self, raw: RawRow) -> None:
        self.entry, self.execution, self.source = raw.entry, raw.execution, raw.source
        self.undone_by_id, self.finished_at = raw.undone_by_id, stamp(raw.finished_at)
        self.undone_by = SimpleNamespace(execution=raw.undo_execution)


def _cannot_decide(raw: RawRow, viewer: Viewer) -> str:
    refusal = viewer.rights.refusal(Verb.APPROVE, raw)
    if refusal:
        return str(refusal)
    if raw.decision != Decision.PENDING:
        return LOOKS.get(_look(raw, history=False), LOOK_FIRST)
    if '"four_eyes": true' in raw.approval_rule and f'{viewer.user.ref}"' in raw.proposers:
        return OWN_PROPOSAL
    return ""


def _cannot_undo(raw: RawRow, viewer: Viewer) -> str:
    refusal = viewer.rights.refusal(Verb.UNDO, raw)
    return str(refusal) if refusal else _why_not(raw)


def _extra(raw: RawRow, name: str, viewer: Viewer) -> str:
    created = stamp(raw.created_at)
    return {
        "entity": lambda: words.ENTITIES[TargetKind(raw.target_kind)],
        "investigation": lambda: f"INV-{raw.investigation_id}" if raw.investigation_id else "–",
        "approval": lambda: str(raw.approval_id or "–"),
        "source": lambda: words.SOURCES[Source(raw.source)],
        "group": lambda: raw.group_name or "–",
        "verdict": lambda: words.VERDICTS[Verdict(raw.verdict)][1],
        "created": lambda: f"{viewer.local(created):%d %b %H:%M}" if created else "–",
    }[name]()
