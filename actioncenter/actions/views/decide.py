"""A decision on one action."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from actioncenter.accounts.request import actor_of
from actioncenter.actions.abilities import BUTTONS
from actioncenter.actions.enums import Decision
from actioncenter.actions.forms import DecisionForm
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.conflicts import DECIDED
from actioncenter.actions.pane import pane_of
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.actions.queries import Tab, Viewer, viewer_of
from actioncenter.actions.queries.details import changed_since, details
from actioncenter.actions.rows import iso
from actioncenter.actions.views.detail import page_url, pane_context, tag_beside, visible_action
from actioncenter.actions.views.refusing import refused
from actioncenter.actions.views.state import ListState
from actioncenter.audit.actor import Actor
from actioncenter.live.tag import action_tag
from actioncenter.web import htmx
from actioncenter.web.keyset import BadToken

NOUNS: Final = {
    "approve": "approval", "reject": "rejection", "undo": "undo", "cancel": "cancellation", "retry": "retry",
    "happened": "answer", "not-happened": "answer",
}  # fmt: skip
Sent = dict[str, Any]


def _approve(action: Action, by: Actor, sent: Sent) -> str:
    action.approve(by=by, comment=sent["comment"], revision=sent["revision"])
    if action.decision == Decision.PENDING:
        return f"{action.label}: your approval counts, more are needed."
    return f"{action.label} is approved and queued."


def _reject(action: Action, by: Actor, sent: Sent) -> str:
    action.reject(by=by, comment=sent["comment"], revision=sent["revision"])
    if action.decision == Decision.PENDING:
        return f"{action.label}: your rejection counts, more are needed."
    return f"{action.label} is rejected. Nothing will be done."


def _undo(action: Action, by: Actor, sent: Sent) -> str:
    inverse = action.undo(by=by, comment=sent["comment"], idempotency_key=sent["idempotency_key"])
    return f"{action.label} is being undone by {inverse.label}."


def _cancel(action: Action, by: Actor, sent: Sent) -> str:
    action.request_cancel(by=by, comment=sent["comment"])
    return f"{action.label} was asked to stop."


def _retry(action: Action, by: Actor, sent: Sent) -> str:
    action.retry(by=by)
    return f"{action.label} is queued again for what is unfinished."


def _happened(action: Action, by: Actor, sent: Sent) -> str:
    action.resolve_unknown(by=by, happened=True, comment=sent["comment"])
    return f"{action.label} is recorded as done."


def _not_happened(action: Action, by: Actor, sent: Sent) -> str:
    action.resolve_unknown(by=by, happened=False, comment=sent["comment"])
    return f"{action.label} is recorded as not done."


VERBS: Final[dict[str, Callable[[Action, Actor, Sent], str]]] = {
    "approve": _approve,
    "reject": _reject,
    "undo": _undo,
    "cancel": _cancel,
    "retry": _retry,
    "happened": _happened,
    "not-happened": _not_happened,
}
"""Each returns what to tell the person."""


@require_POST
def decide(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    if verb not in BUTTONS:
        raise Http404
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return refused(request, 400, "Not understood", f"{form.complaint} Nothing was recorded.")
    sent = form.cleaned_data
    try:
        said = VERBS[verb](action, actor_of(request), sent)
    except Conflict as conflict:
        return conflicted(request, conflict, verb, sent["revision"])
    except Refused as refusal:
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    except Invalid as invalid:
        return refused(
            request, 422, "Something is missing", f"{invalid.name}: {invalid.reason} Nothing was recorded."
        )
    except NotVisible as gone:
        raise Http404 from gone
    return _done(request, viewer, number, sent["next"], said)


def _done(request: HttpRequest, viewer: Viewer, number: int, wanted: str, said: str) -> HttpResponse:
    back = htmx.local_path(request, wanted, reverse("actions:pending"))
    if not htmx.fragment(request):
        messages.success(request, said)
        return redirect(back)
    action = visible_action(viewer, number)
    context = _pane(viewer, action, back)
    tag: str = context["action"]["ptag"]
    response = htmx.live(render(request, "actions/_pane.html", context), tag)
    response["HX-Trigger"] = htmx.CHANGED
    return response


def _pane(viewer: Viewer, action: Action, back: str) -> dict[str, Any]:
    """The pane in its new state, beside the list it was opened from."""
    state = state_of(viewer, back)
    if state is not None:
        return pane_context(state, action, tag_beside(state, action))
    tag = action_tag(viewer, action, page_url(action.pk))
    return {"action": pane_of(details(action, viewer), viewer, url=page_url, tag=tag), "fragment": "pane"}


def state_of(viewer: Viewer, address: str) -> ListState | None:
    """The list that an address of ours shows; None for any other page."""
    parts = urlsplit(address)
    tab = next((tab for tab in Tab if parts.path == reverse(f"actions:{tab}")), None)
    if tab is None:
        return None
    try:
        return ListState(tab=tab, query=QueryDict(parts.query), viewer=viewer)
    except BadToken:
        return ListState(tab=tab, query=QueryDict(), viewer=viewer)


def conflicted(request: HttpRequest, conflict: Conflict, verb: str, revision: int | None) -> HttpResponse:
    """409: who was faster, or what changed meanwhile."""
    if conflict.code == "decided" and conflict.action.decided_by_name:
        template = "actions/_conflict.html" if htmx.fragment(request) else "actions/conflict.html"
        context = {"conflict": _lost(viewer_of(request), conflict.action, verb)}
        response = htmx.live(render(request, template, context, status=409))
    else:
        response = refused(request, 409, "Not recorded", _explained(conflict, revision))
    response["HX-Trigger"] = htmx.CHANGED
    return response


def _lost(viewer: Viewer, action: Action, verb: str) -> dict[str, str]:
    at = action.decided_at
    return {
        "who": action.decided_by_name,
        "when": f"{viewer.local(at):%H:%M:%S}" if at else "",
        "when_iso": iso(at),
        "did": DECIDED[Decision(action.decision)],
        "your_verb": NOUNS[verb],
        "label": action.label,
        "url": page_url(action.pk),
        "comment": action.decision_comment,
    }


def _explained(conflict: Conflict, revision: int | None) -> str:
    if conflict.code != "changed" or not revision:
        return conflict.message
    changes = changed_since(conflict.action, revision)
    told = "; ".join(f"{name} was {then}, is now {now}" for name, (then, now) in changes.items())
    return f"{conflict.message} Changed: {told}." if told else conflict.message
