"""What the pane says about taking an action back, and about what took it back."""

from collections.abc import Callable, Mapping
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ENDS, RUNNING, Execution
from actioncenter.actions.models import Action
from actioncenter.actions.models.undoing import why_not_undoable

CAME_TO_NOTHING: Final[Mapping[Execution, str]] = {
    Execution.FAILED: "failed",
    Execution.TIMED_OUT: "timed out",
    Execution.CANCELLED: "was cancelled",
}
"""Ends of an undo after which everything is as if nobody had asked for it."""


def reversibility(action: Action) -> dict[str, str]:
    entry = action.entry
    if entry.is_inverse:
        return {
            "kind": "none",
            "text": "This takes something back.",
            "detail": "Take the action again to reverse it.",
        }
    if entry.inverse is None:
        return {
            "kind": "oneway",
            "text": "Can't be undone.",
            "detail": "Nothing brings back what it changes.",
        }
    if action.undone_by is not None and action.undone_by.execution in RUNNING:
        return {"kind": "none", "text": "It is being undone.", "detail": ""}
    if action.execution in ENDS or action.undone_by_id:
        reason = why_not_undoable(action)
        if reason:
            return {"kind": "none", "text": reason, "detail": ""}
    days = f"Can be undone for {entry.undo_days} days." if entry.undo_days else "Can be undone."
    return {"kind": "can", "text": days, "detail": entry.undo_note}


def undo_button(action: Action) -> str:
    inverse = action.entry.inverse
    return f"Undo: {CATALOGUE[inverse].short.lower()}" if inverse else "Undo"


def link(number: int | None, url: Callable[[int], str]) -> dict[str, str] | None:
    return {"label": f"A-{number}", "url": url(number)} if number else None


def undone_by(action: Action, url: Callable[[int], str]) -> dict[str, str] | None:
    """As `link`, with what stands `before` and `after` it: "Undone by A-80", "Undo A-80 failed"."""
    linked, undo = link(action.undone_by_id, url), action.undone_by
    if linked is None or undo is None:
        return None
    state = Execution(undo.execution)
    if state in CAME_TO_NOTHING:
        return {**linked, "before": "Undo", "after": CAME_TO_NOTHING[state]}
    before = {Execution.SUCCEEDED: "Undone by", Execution.PARTLY_SUCCEEDED: "Partly undone by"}
    return {**linked, "before": before.get(state, "Being undone by"), "after": ""}
