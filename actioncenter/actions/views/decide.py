"""A decision on one action."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from actioncenter.accounts.answers import Outcome, Unchanged, key_of_form, once
from actioncenter.accounts.request import actor_of
from actioncenter.actions.abilities import BUTTONS, to_type
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.forms import DecisionForm
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.pane import pane_of
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.details import details
from actioncenter.actions.views.detail import page_url, pane_context, tag_beside, visible_action
from actioncenter.actions.views.everywhere import everywhere, go_on, results_of
from actioncenter.actions.views.lists import listed
from actioncenter.actions.views.looking import recounted
from actioncenter.actions.views.lost import conflicted, lost
from actioncenter.actions.views.refusing import denied, refused
from actioncenter.actions.views.state import state_at
from actioncenter.audit.actor import Actor
from actioncenter.auditor.looking import shown
from actioncenter.live.tag import action_tag
from actioncenter.settings.access import within
from actioncenter.web import htmx
from actioncenter.web.moments import when

Sent = dict[str, Any]


def _approve(action: Action, by: Actor, sent: Sent) -> str:
    wanted = to_type(action)
    mode = "typed" if wanted else sent["mode"]
    action.approve(
        by=by, comment=sent["comment"], revision=sent["revision"], plan=sent["plan"], mode=mode,
        with_new=sent["with_new"],
    )  # fmt: skip
    _require_typed(wanted, sent)
    if action.decision == Decision.PENDING:
        return f"{action.label}: your approval counts, more are needed."
    return f"{action.label} is approved and queued."


def _reject(action: Action, by: Actor, sent: Sent) -> str:
    action.reject(by=by, comment=sent["comment"], revision=sent["revision"], mode=sent["mode"])
    if action.decision == Decision.PENDING:
        return f"{action.label}: your rejection counts, more are needed."
    return f"{action.label} is rejected. Nothing will be done."


def _break_glass(action: Action, by: Actor, sent: Sent) -> str:
    wanted = to_type(action)
    action.break_the_glass(by=by, comment=sent["comment"], revision=sent["revision"], plan=sent["plan"])
    _require_typed(wanted, sent)
    return f"{action.label} is approved on your word alone. Every admin was told, and it will be reviewed."


def _require_typed(wanted: str, sent: Sent) -> None:
    """Last of all, so that whoever may not approve it is told that first; it takes back what was recorded."""
    if wanted and _as_one(sent["typed"]) != _as_one(wanted):
        raise Invalid("typed", f"Type “{wanted}” to approve what nothing brings back.")


def _as_one(text: str) -> str:
    return " ".join(text.split()).casefold()


def _undo(action: Action, by: Actor, sent: Sent) -> str:
    inverse = action.undo(
        by=by, comment=sent["comment"], idempotency_key=key_of_form(sent["idempotency_key"], by=by)
    )
    if inverse.execution == Execution.CANCELLED:
        return f"{action.label} was cancelled before anything was sent."
    return f"{action.label} is being undone by {inverse.label}."


def _cancel(action: Action, by: Actor, sent: Sent) -> str:
    action.request_cancel(by=by, comment=sent["comment"])
    return f"{action.label} was asked to stop."


def _retry(action: Action, by: Actor, sent: Sent) -> str:
    action.retry(by=by)
    return f"{action.label} is queued again for what is unfinished."


def _acknowledge(action: Action, by: Actor, sent: Sent) -> str:
    action.acknowledge(by=by, comment=sent["comment"])
    return f"{action.label} is acknowledged. Other actions may go on there."


def _seen(action: Action, by: Actor, sent: Sent) -> str:
    action.acknowledge_drift(by=by, comment=sent["comment"])
    return f"{action.label}: that it is no longer in force is noted. Nothing else was done."


def _again(action: Action, by: Actor, sent: Sent) -> str:
    key = key_of_form(sent["idempotency_key"], by=by)
    made = action.do_again(by=by, comment=sent["comment"], idempotency_key=key)
    waits = made.decision == Decision.PENDING
    return (
        f"{action.label} is proposed again as {made.label}{', which waits for a decision' if waits else ''}."
    )


def _extend(action: Action, by: Actor, sent: Sent) -> str:
    action.extend(by=by, hours=sent["hours"] or 0, comment=sent["comment"], seen=sent["ends"])
    return f"{action.label} ends by itself at {when(action.ends_at)}."


def _happened(action: Action, by: Actor, sent: Sent) -> str:
    action.resolve_unknown(by=by, happened=True, comment=sent["comment"])
    return f"{action.label} is recorded as done."


def _not_happened(action: Action, by: Actor, sent: Sent) -> str:
    action.resolve_unknown(by=by, happened=False, comment=sent["comment"])
    return f"{action.label} is recorded as not done."


VERBS: Final[dict[str, Callable[[Action, Actor, Sent], str]]] = {
    "approve": _approve,
    "reject": _reject,
    "break-glass": _break_glass,
    "undo": _undo,
    "cancel": _cancel,
    "retry": _retry,
    "acknowledge": _acknowledge,
    "seen": _seen,
    "again": _again,
    "extend": _extend,
    "happened": _happened,
    "not-happened": _not_happened,
}
"""Each returns what to tell the person."""


def _begin(action: Action, verb: str, by: Actor, sent: Sent) -> Outcome:
    try:
        if verb == "undo" and sent["instances"]:
            return everywhere(action, by, sent)
        return {"said": VERBS[verb](action, by, sent)}
    except Conflict as conflict:
        raise Unchanged(lost(conflict, verb, revision=sent["revision"], plan=sent["plan"])) from conflict


@require_POST
def decide(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    if verb not in BUTTONS:
        raise Http404
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return refused(request, 400, "Not understood", f"{form.complaint} Nothing was recorded.")
    sent, by = form.cleaned_data, actor_of(request)

    def answer(outcome: Outcome) -> HttpResponse:
        now = visible_action(viewer, number)
        if "conflict" in outcome:
            recounted(now, outcome["conflict"], by)
            return conflicted(request, now, outcome)
        return _done(request, viewer, now, sent, outcome)

    try:
        return once(
            request, lambda: _begin(action, verb, by, sent), answer, lambda outcome: go_on(by, sent, outcome)
        )
    except Refused as refusal:
        return denied(request, refusal, back=page_url(number), way=_instead(refusal, action))
    except Invalid as invalid:
        return refused(
            request, 422, "Something is missing", f"{invalid.name}: {invalid.reason} Nothing was recorded."
        )
    except NotVisible as gone:
        raise Http404 from gone


def _instead(refusal: Refused, action: Action) -> tuple[str, str] | None:
    """Who may not decide it can ask somebody who may."""
    if refusal.code != "role" or action.decision != Decision.PENDING:
        return None
    return "Hand to…", reverse("actions:assign", args=[action.pk])


def _done(request: HttpRequest, viewer: Viewer, action: Action, sent: Sent, outcome: Outcome) -> HttpResponse:
    """The pane of what was decided, or of the next one for who goes through a list."""
    back = htmx.local_path(request, sent["next"], reverse("actions:pending"))
    results = results_of(request, outcome)
    if not htmx.fragment(request):
        return _with_results(request, viewer, action, back, results) if results else redirect(back)
    following = within(Action.objects.all(), viewer.scope).filter(pk=sent["then"]).first()
    context = _pane(viewer, following or action, back)
    context["results"] = results
    context |= {"said": outcome["said"], "decided": action} if following and not results else {}
    if following:
        shown(request, f"action:{following.pk}")
    tag: str = context["action"]["ptag"]
    response = htmx.live(render(request, "actions/_decided.html", context), tag)
    response["HX-Trigger"] = htmx.CHANGED
    return response


def _with_results(
    request: HttpRequest, viewer: Viewer, action: Action, back: str, results: Mapping[str, Any]
) -> HttpResponse:
    """The page that the form stands on, with what became of each."""
    state = state_at(viewer, back)
    if state is not None:
        return listed(request, state.tab, query=state.query, results=results)
    context = {**_pane(viewer, action, back), "fragment": "", "results": results}
    return htmx.live(render(request, "actions/detail.html", context))


def _pane(viewer: Viewer, action: Action, back: str) -> dict[str, Any]:
    """The pane in its new state, beside the list it was opened from."""
    state = state_at(viewer, back)
    if state is not None:
        return pane_context(state, action, tag_beside(state, action))
    tag = action_tag(viewer, action, page_url(action.pk))
    return {"action": pane_of(details(action, viewer), viewer, url=page_url, tag=tag), "fragment": "pane"}
