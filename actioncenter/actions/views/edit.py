"""Changing what a pending action would do, for the next who decides: votes are void afterwards."""

from typing import Any

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.catalogue import ParameterError
from actioncenter.actions.enums import Decision
from actioncenter.actions.forms import parameter_form
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.pane import title_of
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url, visible_action
from actioncenter.actions.views.lost import lost, notice
from actioncenter.web import htmx
from actioncenter.web.load import LARGEST
from actioncenter.web.refusing import refused


class RevisionForm(forms.Form):
    revision = forms.IntegerField(min_value=1, max_value=LARGEST)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    if not action.entry.parameters:
        raise Http404
    if request.method != "POST":
        return _page(request, viewer, action)
    # Before the values are looked at: whoever may not change them isn't told what is wrong with them.
    if refusal := viewer.rights.refusal(Verb.EDIT, action):
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    return _save(request, viewer, action)


def _save(request: Request, viewer: Viewer, action: Action) -> HttpResponse:
    revision, form = RevisionForm(request.POST), parameter_form(action.entry, action.parameters, request.POST)
    if not revision.is_valid() or not form.is_valid():
        return _page(request, viewer, action, error="One of the values can't be.", form=form, status=422)
    seen = revision.cleaned_data["revision"]

    def effect() -> Outcome:
        try:
            action.edit(form.cleaned_data, by=actor_of(request), revision=seen)
        except Conflict as conflict:
            return lost(conflict, "edit", revision=seen)
        return {"said": f"{action.label} was changed. Votes cast before are void."}

    def answer(outcome: Outcome) -> HttpResponse:
        if "conflict" in outcome:
            now = visible_action(viewer, action.pk)
            return _page(request, viewer, now, conflict=notice(request, now, outcome), status=409)
        return redirect(page_url(action.pk))

    try:
        return once(request, effect, answer)
    except Refused as refusal:
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    except (Invalid, ParameterError) as wrong:
        return _page(request, viewer, action, error=wrong.reason, form=form, status=422)
    except NotVisible as gone:
        raise Http404 from gone


def _page(
    request: Request,
    viewer: Viewer,
    action: Action,
    *,
    error: str = "",
    conflict: dict[str, Any] | None = None,
    form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    refusal = viewer.rights.refusal(Verb.EDIT, action)
    waits = action.decision == Decision.PENDING and bool(action.expires_at and action.expires_at > viewer.now)
    context: dict[str, Any] = {
        "label": action.label,
        "number": action.pk,
        "title": title_of(action),
        "revision": action.revision,
        "form": form or parameter_form(action.entry, action.parameters),
        "error": error,
        "conflict": conflict,
        "why_not": str(refusal) if refusal else "" if waits else "It no longer waits for a decision.",
        "back_url": reverse("actions:detail", args=[action.pk]),
    }
    return htmx.live(render(request, "actions/edit.html", context, status=status))
