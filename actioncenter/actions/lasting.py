"""What the pages say of time: when an action ends by itself, what it waits for, and what no longer holds."""

from datetime import timedelta
from typing import Any, Final

from actioncenter.actions import reasons
from actioncenter.actions.enums import RUNNING, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.models.assigning import iso as exact
from actioncenter.actions.queries import RawRow, Viewer, stamp
from actioncenter.actions.queries.details import Details
from actioncenter.web.text import age_of

WAITS: Final = "Waits for the device"
EXTENSIONS: Final = (1, 4, 8, 24, 72)
SHOWN: Final = 3


def left_of(raw: RawRow, viewer: Viewer) -> tuple[str, str]:
    """Until it ends by itself, with the moment; empty where it doesn't, "now" once the time is over."""
    ends = stamp(raw.ends_at)
    if ends is None:
        return "", ""
    return (age_of(viewer.now, ends) if ends > viewer.now else "now"), ends.isoformat(timespec="seconds")


def timer_of(action: Action, viewer: Viewer) -> dict[str, Any]:
    """What the form for a later end needs, and the words beside the end."""
    ends = action.ends_at
    text = "" if ends is None else "Ends by itself in" if ends > viewer.now else "Ends by itself"
    return {"timer_text": text, "timer_seen": exact(ends) or "", "extensions": EXTENSIONS}


def waiting_note(details: Details, viewer: Viewer) -> str:
    """Which device it waits for, when it is tried next, and until when."""
    action = details.action
    offline = [target for target in details.targets if _is_offline(target)]
    if action.execution not in RUNNING or not offline or action.queued_at is None:
        return ""
    names = list(dict.fromkeys(target.on_name or target.name for target in offline))
    device = names[0] if len(names) == 1 else f"{len(names)} devices"
    until = action.queued_at + timedelta(seconds=action.entry.patience)
    said = reasons.render("device_offline", {"device": device, "until": _when(until, viewer)})
    tries = [target.not_before for target in offline if target.not_before is not None]
    next_try = f" Next try at {_when(min(tries), viewer)}." if tries and min(tries) > viewer.now else ""
    return f"{said}{next_try}"


def _is_offline(target: ActionTarget) -> bool:
    return target.state == TargetState.QUEUED and target.error_class == "device_offline"


def drift_note(details: Details, viewer: Viewer) -> str:
    """Since when it differs, and what the first target shows instead."""
    drifted = [target for target in details.targets if target.drifted_at is not None]
    if not drifted:
        return ""
    first = drifted[0]
    shows = shown_drift(first)
    others = f" and {details.drifted - 1} more" if details.drifted > 1 else ""
    seen = f": {first.on_name or first.name}{others}" if details.action.target_count > 1 else ""
    told = f"{seen}, seen {_when(first.drifted_at, viewer)}{f' as {shows}' if shows else ''}"
    return reasons.render("drifted", {"shown": told})


def shown_drift(target: ActionTarget) -> str:
    """What it shows instead of what was done, as short text."""
    changed = {name: value for name, value in target.drift.items() if name in target.after}
    return shown_state(changed or target.drift)


def shown_state(state: Any) -> str:
    """A read-back state as short text: "status quarantined"."""
    if not isinstance(state, dict):
        return ""
    simple = [(name, value) for name, value in state.items() if isinstance(value, str | int | bool)]
    return ", ".join(f"{name.replace('_', ' ')} {_word(value)}" for name, value in simple[:SHOWN])


def _word(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:80]


def _when(moment: Any, viewer: Viewer) -> str:
    local = viewer.local(moment)
    return f"{local:%H:%M}" if local.date() == viewer.local(viewer.now).date() else f"{local:%d %b %H:%M}"


def waits_for_device(raw: RawRow) -> bool:
    return raw.execution == Execution.QUEUED and bool(raw.next_try)
