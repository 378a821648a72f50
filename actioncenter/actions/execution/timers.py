"""Housekeeping of timed actions: what is over is taken back, if it is still what was decided on."""

import logging
from typing import Any, Final

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.execution import binding
from actioncenter.actions.models import Action, settling, timing
from actioncenter.actions.models.assigning import iso
from actioncenter.audit import reading
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

logger = logging.getLogger(__name__)
AT_ONCE: Final = 50
SET_BY: Final = (Kind.ACTION_SUCCEEDED, Kind.ACTION_PARTLY_SUCCEEDED, Kind.ACTION_EXTENDED)
TIMER: Final = Actor.system("timer")


def waiting() -> bool:
    return timing.over(Action).exists()


def mind(by: Actor) -> int:
    """End what is over, the oldest first; returns how many. It is the timer that decides."""
    rows = timing.over(Action).order_by("ends_at", "pk")[:AT_ONCE]
    return sum(_end_alone(row) for row in rows)


def _end_alone(action: Action) -> bool:
    """One that can't be ended must not hold up the others."""
    try:
        return _end(action)
    except Exception:
        logger.exception("the timer of action %s broke", action.pk)
        return False


def _end(action: Action) -> bool:
    with fence.decider():
        row = settling.locked(action)
        if row.ends_at is None:
            return False
        if _is_genuine(row):
            return timing.end(row, by=TIMER)
        timing.stop_timer(row, binding.TAMPERED, "It is not what was decided on.", by=TIMER)
        notify_admins(
            binding.TAMPERED,
            title=f"{row.label} or its end is not what was decided on. It was not taken back.",
            params={"action": row.pk},
            url=f"/action-center/actions/{row.pk}",
            severity=Severity.URGENT,
        )
    return True


def _is_genuine(row: Action) -> bool:
    """What would be taken back, and when, is what the log says; a row alone may have been edited."""
    said = binding.recorded(row)
    same = binding.fingerprint_of(row, list(row.targets.order_by("pk"))) == said.fingerprint
    return bool(said.fingerprint) and same and _recorded_end(row) == iso(row.ends_at)


def _recorded_end(row: Action) -> str:
    told: list[dict[str, Any]] = reading.genuine([f"action:{row.pk}"], SET_BY)
    ends = [event["after"]["ends_at"] for event in told if (event["after"] or {}).get("ends_at")]
    return str(ends[-1]) if ends else ""
