"""What somebody reads who came too late: who was faster, when, and how it stands now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from actioncenter.accounts.answers import Outcome
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, Conflict
from actioncenter.actions.models.conflicts import DECIDED, RUNS
from actioncenter.actions.queries import viewer_of
from actioncenter.actions.queries.details import changed_since, last_edit, plan_since
from actioncenter.actions.rows import iso
from actioncenter.actions.views.detail import page_url
from actioncenter.web import htmx
from actioncenter.web.refusing import because

NOUNS: Final = {
    "break-glass": "approval", "approve": "approval", "reject": "rejection", "undo": "undo", "cancel": "cancellation",
    "retry": "retry", "happened": "answer", "not-happened": "answer", "acknowledge": "answer", "edit": "change",
    "seen": "answer", "again": "proposal", "extend": "extension",
}  # fmt: skip
STILL_WAITS: Final = "It still waits for a decision."


def lost(conflict: Conflict, verb: str, *, revision: int, plan: str | None = None) -> Outcome:
    """The outcome of a form that changed nothing. It is kept, so that the form sent again reads the same."""
    did, who, at, stands = _told(conflict, revision, plan or "")
    return {
        "conflict": conflict.code,
        "verb": verb,
        "did": did,
        "who": who,
        "at": iso(at),
        "stands": stands,
    }


def in_words(outcome: Outcome) -> str:
    """All of it as one line, for the list of what became of many."""
    by = f" by {outcome['who']}" if outcome["who"] else ""
    at = f" at {datetime.fromisoformat(outcome['at']):%H:%M:%S} UTC" if outcome["at"] else ""
    return f"{outcome['did']}{by}{at}. {outcome['stands']}"


def notice(request: HttpRequest, action: Action, outcome: Outcome) -> dict[str, Any]:
    """What templates/actions/_conflict.html shows."""
    viewer, at = viewer_of(request), outcome["at"]
    local = viewer.local(datetime.fromisoformat(at)) if at else None
    return {
        **outcome,
        "when": f"{local:%H:%M:%S}" if local else "",
        "when_iso": at,
        "noun": NOUNS[outcome["verb"]],
        "label": action.label,
        "comment": action.decision_comment if outcome["conflict"] == "decided" else "",
        "url": page_url(action.pk),
    }


def conflicted(request: HttpRequest, action: Action, outcome: Outcome) -> HttpResponse:
    """409: who was faster and how it stands now, or what changed meanwhile."""
    because(request, outcome["conflict"])
    template = "actions/_conflict.html" if htmx.fragment(request) else "actions/conflict.html"
    context = {"conflict": notice(request, action, outcome)}
    response = htmx.live(render(request, template, context, status=409))
    response["HX-Trigger"] = htmx.CHANGED
    return response


def _told(conflict: Conflict, revision: int, plan: str) -> tuple[str, str, datetime | None, str]:
    """What happened, by whom, when, and how it stands."""
    action = conflict.action
    expired = conflict.code == "decided" and action.decision == Decision.EXPIRED
    match "expired" if expired else conflict.code:
        case "decided" if action.decided_at:
            return (
                f"Already {DECIDED[Decision(action.decision)]}", action.decided_by_name, action.decided_at, _stands(action),
            )  # fmt: skip
        case "expired":
            return (
                "Expired undecided",
                "",
                action.expires_at,
                "That counts as a rejection: nothing will be done.",
            )
        case "changed":
            who, at = last_edit(action)
            return "Changed", who, at, _sentence(STILL_WAITS, "Changed", _edits(action, revision))
        case "plan_changed":
            newest = action.plans.filter(revision=action.revision).order_by("-id").first()
            now = _sentence(STILL_WAITS, "Now", plan_since(action, plan))
            return (
                f"A {'new' if plan else 'first'} plan was made",
                "",
                newest.made_at if newest else None,
                now,
            )
        case "not_undoable" if action.undone_by is not None:
            inverse = action.undone_by
            return (
                "Already undone", inverse.requested_by_name, inverse.created_at,
                f"{inverse.label}, which takes it back, {RUNS[Execution(inverse.execution)]}.",
            )  # fmt: skip
        case _:
            return "Not recorded", "", None, conflict.message


def _stands(action: Action) -> str:
    runs = RUNS.get(Execution(action.execution))
    return f"It {runs}." if runs else "Nothing will be done."


def _edits(action: Action, revision: int) -> Sequence[str]:
    changes = changed_since(action, revision)
    return [f"{name} was {then}, is now {now}" for name, (then, now) in changes.items()]


def _sentence(first: str, word: str, parts: Sequence[str]) -> str:
    return f"{first} {word}: {'; '.join(parts)}." if parts else first
