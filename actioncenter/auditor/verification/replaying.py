"""What an action's events, one after the other, make of its row.

Only what holds for every way in which the product itself changes a row: where one changes something that
no event names, the field is left out.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actioncenter.actions.enums import ENDS, TARGET_SUCCESS, Decision, Execution, TargetKind, TargetState
from actioncenter.actions.models.settling import CONTRADICTED, END_EVENTS
from actioncenter.audit import canonical
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.redactions import MARK

NAMED: Final = 50
"""Targets that `action.proposed` names."""
LOG: Final = "log"
GROUP: Final = "group_id"
"""Empty where the group was deleted since."""
TIMER: Final = Actor.system("timer").ref
NEAR: Final = timedelta(hours=1)
"""A row is written a moment before its event, and a clock may be set in between."""

Said = dict[str, Any]
"""Field -> what the log says that the row holds. What can't be told from the log isn't in it."""
Told = Mapping[str, Any]
"""An event as its canonical text has it."""


@dataclass(frozen=True, slots=True)
class Near:
    """The moment of an event, where the row's own was written by another statement."""

    at: datetime

    def __str__(self) -> str:
        return f"about {shown(self.at)}"


def shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool | dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value)


def named(names: Sequence[str], total: int) -> list[str]:
    more = [f"and {total - len(names)} more"] if total > len(names) else []
    return [*sorted(names), *more]


def life(texts: Iterable[tuple[int, str, bool]]) -> Said:
    """What the row holds after these events; nothing where none of them is the proposal.

    The last word of each says whether text was taken out of it.
    """
    said: Said = {}
    for seq, text, is_redacted in texts:
        try:
            _replay(said, canonical.read(text))
            if is_redacted:
                _forget_redacted(said)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return {LOG: f"event {seq} can't be replayed: {error!r}"}
    return said


def _replay(said: Said, event: Told) -> None:
    if not said and event["kind"] != Kind.ACTION_PROPOSED:
        return
    hear = HEARD.get(event["kind"])
    if hear is not None:
        hear(said, {**event, "after": event["after"] or {}, "detail": event["detail"] or {}})


def _forget_redacted(said: Said) -> None:
    """What the event said once can't be compared any more."""
    for name in [name for name, value in said.items() if _is_marked(value)]:
        del said[name]


def _is_marked(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_marked, value.values()))
    return any(map(_is_marked, value)) if isinstance(value, list) else value == MARK


def _proposed(said: Said, event: Told) -> None:
    after, detail = event["after"], event["detail"]
    said |= BEGINNING
    said |= {"area": event["area"], GROUP: event[GROUP], "created_at": Near(event["at"])}
    said |= {name: after[name] for name in PROPOSED}
    said |= {
        "reason_code": after["reason"],
        "policy": detail["policy"],
        "level": detail["policy"].get("level"),
    }
    said |= {"requested_comment": detail["comment"]}
    _take(said, detail, approval_rule="rule", proposers="proposers")
    _take(said, detail.get("rule") or {}, quorum="quorum")
    if not event["actor"].startswith("system:"):
        # The runner asks again in the name of whoever asked first, whom the event doesn't name.
        said["requested_by_name"] = event["actor_name"]
        _person(said, "requested_by", event["actor"])
    if not any(name.startswith(CLUSTER) for name in after["targets"]):
        # A cluster gives way to the messages of its plan.
        said["targets"] = named(after["targets"], after["target_count"])
    if after["decision"] == Decision.NOT_REQUIRED.name:
        _decided(said, event, Near(event["at"]))
        said |= {"execution": Execution.QUEUED.name, "queued_at": Near(event["at"])}


def _take(said: Said, told: Told, **names: str) -> None:
    """Field = key: what an event of an earlier version doesn't tell can't be compared from there on."""
    for name, key in names.items():
        said.pop(name, None)
        if key in told:
            said[name] = told[key]


def _decided(said: Said, event: Told, moment: datetime | Near) -> None:
    said |= {"decided_by_name": event["actor_name"], "decided_at": moment}
    said["decision_comment"] = event["detail"]["comment"]
    _person(said, "decided_by", event["actor"])


def _person(said: Said, name: str, ref: str) -> None:
    """The account; of a token the row has the person behind it, whom the event may not name."""
    who, _, number = ref.partition(":")
    said[name] = number if who == "user" else None
    if who == "token":
        del said[name]


def _planned(said: Said, event: Told) -> None:
    """A plan may find another number of targets, which the event doesn't say."""
    said.pop("target_count", None)


def _edited(said: Said, event: Told) -> None:
    said |= {name: event["after"][name] for name in ("parameters", "revision", "fingerprint", "proposers")}


def _approved(said: Said, event: Told) -> None:
    detail = event["detail"]
    _decided(said, event, Near(event["at"]))
    said |= {
        "decision": Decision.APPROVED.name,
        "execution": Execution.QUEUED.name,
        "queued_at": Near(event["at"]),
    }
    _take(said, detail, approved_fingerprint="fingerprint", plan="plan", approved_plan_digest="sealed")


def _rejected(said: Said, event: Told) -> None:
    _decided(said, event, Near(event["at"]))
    said["decision"] = Decision.REJECTED.name
    said |= dict.fromkeys(("history_at", "finished_at"), Near(event["at"]))


def _closed(said: Said, event: Told) -> None:
    """Nobody decided it: expired or withdrawn."""
    expired = event["after"]["decision"] == Decision.EXPIRED.name
    said |= dict.fromkeys(("decided_at", "history_at", "finished_at"), Near(event["at"]))
    said |= {"decision": event["after"]["decision"], "code": event["detail"]["code"]}
    said["decided_by_name"] = "" if expired else event["actor_name"]
    _person(said, "decided_by", event["actor"])


def _broken_glass(said: Said, event: Told) -> None:
    said["break_glass"] = True


def _started(said: Said, event: Told) -> None:
    said["execution"] = Execution.IN_PROGRESS.name
    said["started_at"] = said["started_at"] or Near(event["at"])
    if "approval_rule" not in said:
        # Proposed by the first version, which wrote no event when something went back to the queue.
        for name in ("execution", "code", "status_detail"):
            said.pop(name, None)


def _settled(said: Said, event: Told) -> None:
    after, detail = event["after"], event["detail"]
    said |= {"execution": after["execution"], "code": detail["code"], "status_detail": detail["detail"][:500]}
    if after["execution"] not in OVER:
        return
    said |= dict.fromkeys(("history_at", "finished_at"), Near(event["at"]))
    for name in FIGURES:
        said |= dict.fromkeys((f"{name}_count", f"{name}_targets"), after[name])
    if after.get("ends_at"):
        said["ends_at"] = datetime.fromisoformat(after["ends_at"])


def _retried(said: Said, event: Told) -> None:
    said |= {"execution": Execution.QUEUED.name, "queued_at": Near(event["at"])}
    said |= {name: BEGINNING[name] for name in ANEW}
    _figures_open(said, event)


def _figures_open(said: Said, event: Told) -> None:
    """Targets changed, or are about to, and no event says how many are in which state."""
    for name in FIGURES:
        said.pop(f"{name}_count", None)
        said.pop(f"{name}_targets", None)


def _refused(said: Said, event: Told) -> None:
    if event["detail"].get("code") == CONTRADICTED:
        _figures_open(said, event)


def _cancel_asked(said: Said, event: Told) -> None:
    said |= {"cancel_requested_at": Near(event["at"]), "cancel_requested_by_name": event["actor_name"]}


def _acknowledged(said: Said, event: Told) -> None:
    said |= {"acknowledged_at": Near(event["at"]), "acknowledged_by_name": event["actor_name"]}


def _undone(said: Said, event: Told) -> None:
    said["undone_by"] = event["after"]["undone_by"]
    if event["actor"] == TIMER:
        said["ends_at"] = None


def _extended(said: Said, event: Told) -> None:
    said["ends_at"] = datetime.fromisoformat(event["after"]["ends_at"])


def _put_off(said: Said, event: Told) -> None:
    until = event["after"]["deferred_until"]
    said["deferred_until"] = datetime.fromisoformat(until) if until else None


def _handed_over(said: Said, event: Told) -> None:
    after = event["after"]
    said |= {"assigned_to_name": after["assigned_to"], "deferred_until": None}
    _take(said, after, assigned_at="assigned_at")
    if "assigned_at" in said:
        said["assigned_at"] = datetime.fromisoformat(said["assigned_at"])
    _person(said, "assigned_to", after["assigned_ref"])


def _given_back(said: Said, event: Told) -> None:
    said |= {"assigned_to_name": "", "assigned_to": None, "assigned_at": None}


def _since(name: str) -> Callable[[Said, Told], None]:
    return lambda said, event: said.update({name: Near(event["at"])})


def _no_longer(name: str) -> Callable[[Said, Told], None]:
    return lambda said, event: said.update({name: None})


PROPOSED: Final = ("type", "parameters", "decision", "fingerprint", "undo_of", "target_count")
ANEW: Final = (
    "history_at", "finished_at", "code", "status_detail", "cancel_requested_at", "cancel_requested_by_name",
    "acknowledged_at", "acknowledged_by_name",
)  # fmt: skip
"""What a retry puts back to how it was in the beginning."""
BEGINNING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(ANEW), **dict.fromkeys(("decided_by_name", "decided_by", "decided_at", "decision_comment")),
    **dict.fromkeys(("queued_at", "started_at", "approved_fingerprint", "approved_plan_digest", "plan")),
    **dict.fromkeys(("ends_at", "drifted_at", "deferred_until", "escalated_at")),
    **dict.fromkeys(("assigned_to", "assigned_to_name", "assigned_at")),
    "execution": Execution.NONE.name, "revision": 1, "break_glass": False, "undone_by": None,
}  # fmt: skip
"""Of a row that was just proposed; nothing is compared as an empty text is."""
FIGURES: Final = {
    "succeeded": TARGET_SUCCESS,
    "failed": frozenset({TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED}),
    "unknown": frozenset({TargetState.UNKNOWN}),
}
OVER: Final = frozenset(end.name for end in ENDS)
CLUSTER: Final = f"{TargetKind.CLUSTER.name.lower()}|"
HEARD: Final[Mapping[str, Callable[[Said, Told], None]]] = {
    Kind.ACTION_PROPOSED: _proposed,
    Kind.PLAN_MADE: _planned,
    Kind.ACTION_EDITED: _edited,
    Kind.ACTION_APPROVED: _approved,
    Kind.ACTION_REJECTED: _rejected,
    Kind.ACTION_EXPIRED: _closed,
    Kind.ACTION_WITHDRAWN: _closed,
    Kind.ACTION_BREAK_GLASS: _broken_glass,
    Kind.ACTION_STARTED: _started,
    **dict.fromkeys(END_EVENTS.values(), _settled),
    Kind.ACTION_RETRIED: _retried,
    Kind.ACTION_RECONCILED: _figures_open,
    Kind.ACTION_REFUSED: _refused,
    Kind.ACTION_CANCEL_REQUESTED: _cancel_asked,
    Kind.ACTION_ACKNOWLEDGED: _acknowledged,
    Kind.ACTION_UNDONE: _undone,
    Kind.ACTION_EXTENDED: _extended,
    Kind.ACTION_TIMER_ENDED: _no_longer("ends_at"),
    Kind.ACTION_DEFERRED: _put_off,
    Kind.ACTION_HANDED_OVER: _handed_over,
    Kind.ACTION_TAKEN: _handed_over,
    Kind.ACTION_GIVEN_BACK: _given_back,
    Kind.ACTION_ESCALATED: _since("escalated_at"),
    Kind.ACTION_DRIFTED: _since("drifted_at"),
    Kind.ACTION_DRIFT_ENDED: _no_longer("drifted_at"),
    Kind.ACTION_DRIFT_ACKNOWLEDGED: _no_longer("drifted_at"),
}
