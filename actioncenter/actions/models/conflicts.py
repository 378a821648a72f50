"""What a transition answers when it can't be made."""

from typing import TYPE_CHECKING

from actioncenter.actions.enums import Decision, Execution

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

DECIDED = {
    Decision.APPROVED: "approved",
    Decision.REJECTED: "rejected",
    Decision.EXPIRED: "expired",
    Decision.WITHDRAWN: "withdrawn",
    Decision.NOT_REQUIRED: "decided",
}
RUNS = {
    Execution.QUEUED: "is queued",
    Execution.IN_PROGRESS: "is running",
    Execution.OUTCOME_UNKNOWN: "has an unknown outcome",
    Execution.SUCCEEDED: "has succeeded",
    Execution.PARTLY_SUCCEEDED: "has partly succeeded",
    Execution.FAILED: "has failed",
    Execution.TIMED_OUT: "has timed out",
    Execution.CANCELLED: "was cancelled",
}


class Invalid(ValueError):
    """Input that a transition doesn't take; `name` is the field."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class IllegalMove(Exception):
    """A change of state that the table in `actions.enums` doesn't have: our own mistake."""


class LeaseLost(Exception):
    """Another runner took the attempt over; nothing was written."""


class Conflict(Exception):
    """Somebody or something was first, or the page was old. Carries the row as it is now."""

    def __init__(self, action: "Action", code: str, message: str = "") -> None:
        self.action = action
        self.code = code
        self.message = message or describe(action)
        super().__init__(self.message)


def describe(action: "Action") -> str:
    """E.g. "A-1042 was already approved by Mira Chen at 14:02:11 UTC and is running."."""
    decision = Decision(action.decision)
    if decision == Decision.PENDING:
        return f"{action.label} is waiting for a decision."
    if decision == Decision.EXPIRED:
        return f"{action.label} expired undecided at {_clock(action)}."
    who = action.decided_by_name or "the system"
    text = f"{action.label} was already {DECIDED[decision]} by {who} at {_clock(action)}"
    state = RUNS.get(Execution(action.execution))
    return f"{text} and {state}." if state else f"{text}."


def _clock(action: "Action") -> str:
    return f"{action.decided_at:%H:%M:%S} UTC" if action.decided_at else "an unknown time"
