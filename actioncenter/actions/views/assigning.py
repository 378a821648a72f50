"""Putting a decision off, being on it, handing it to somebody who may make it, and talking about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts.models import RoleGrant, User
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.actions.models.assigning import COMMENT_LIMIT, obstacle_for
from actioncenter.actions.pane import title_of
from actioncenter.actions.permissions import RUNNER_ROLES, Verb, rights_of
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import visible_action
from actioncenter.actions.views.telling import told_once
from actioncenter.web import htmx
from actioncenter.web.load import LARGEST
from actioncenter.web.moments import iso, when
from actioncenter.web.refusing import refused

HOURS: Final = (1, 2, 4, 8, 24, 72)
PEOPLE: Final = 200
"""Candidates looked at; whoever isn't among them can still take the action by themselves."""


class DeferForm(forms.Form):
    """`hours` from now; 0 takes it back."""

    hours = forms.IntegerField(min_value=0, max_value=24 * 30)


class HandOverForm(forms.Form):
    to = forms.IntegerField(min_value=1, max_value=LARGEST, error_messages={"required": "Choose a person."})
    comment = forms.CharField(required=False, max_length=COMMENT_LIMIT, strip=True)


class GiveBackForm(forms.Form):
    """`seen` is who was on it on the page; oneself where it isn't said."""

    seen = forms.IntegerField(required=False, min_value=0, max_value=LARGEST)


class CommentForm(forms.Form):
    comment = forms.CharField(max_length=COMMENT_LIMIT, strip=True)


@require_safe
def assign(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    return _page(request, viewer, visible_action(viewer, number))


@require_POST
def defer(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    form = DeferForm(request.POST)
    if not form.is_valid():
        return _page(request, viewer, action, error="Choose for how long.", status=400)
    hours = form.cleaned_data["hours"]
    until = viewer.now + timedelta(hours=hours) if hours else None

    def effect() -> str:
        action.defer(until, by=actor_of(request))
        said = f"put off until {when(action.deferred_until)}" if until else "waits again"
        return f"{action.label} {said}."

    return _do(request, viewer, action, effect)


@require_POST
def hand_over(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    form = HandOverForm(request.POST)
    person = User.objects.filter(pk=form.cleaned_data["to"]).first() if form.is_valid() else None
    if person is None:
        return _page(request, viewer, action, error="Choose a person who may decide it.", status=400)

    def effect() -> str:
        action.hand_over(person, by=actor_of(request), comment=form.cleaned_data["comment"])
        return f"{action.label} was handed to {person.shown_name}."

    return _do(request, viewer, action, effect)


@require_POST
def take(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)

    def effect() -> str:
        action.take(by=actor_of(request))
        return f"{action.label} is with you now."

    return _do(request, viewer, action, effect)


@require_POST
def give_back(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)

    form = GiveBackForm(request.POST)
    if not form.is_valid():
        return refused(request, 400, "Not recorded", "Load the page of the action again.")
    seen = form.cleaned_data["seen"]
    seen = request.user.pk if seen is None else seen

    def effect() -> str:
        action.give_back(by=actor_of(request), seen=seen)
        return f"{action.label} is with nobody now."

    return _do(request, viewer, action, effect)


@require_POST
def comment(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return refused(request, 400, "Not recorded", "Write something, at most 4,000 characters.")

    def effect() -> str:
        missed = action.comment(form.cleaned_data["comment"], by=actor_of(request))
        names = ", ".join(f"@{name}" for name in missed)
        return f"Your comment is kept.{f' Nobody who can see it is called {names}.' if names else ''}"

    return _do(request, viewer, action, effect)


def _do(request: Request, viewer: Viewer, action: Action, change: Callable[[], str]) -> HttpResponse:
    def way() -> HttpResponse:
        own = reverse("actions:detail", args=[action.pk])
        return redirect(htmx.local_path(request, request.POST.get("next", ""), own))

    def again(error: str) -> HttpResponse:
        return _page(request, viewer, action, error=error, status=422)

    return told_once(request, change, way=way, again=again)


def _page(
    request: Request, viewer: Viewer, action: Action, *, error: str = "", status: int = 200
) -> HttpResponse:
    may_decide = viewer.rights.refusal(Verb.APPROVE, action) is None
    may_hand = viewer.rights.refusal(Verb.PROPOSE, action) is None
    waits = action.decision == Decision.PENDING and bool(action.expires_at and action.expires_at > viewer.now)
    context = {
        "number": action.pk,
        "label": action.label,
        "title": title_of(action),
        "waits": waits,
        "expires": when(action.expires_at),
        "expires_iso": iso(action.expires_at),
        "deferred": when(action.deferred_until) if _is_deferred(action, viewer) else "",
        "assigned_to": action.assigned_to_name,
        "hours": _hours(action, viewer) if waits and may_decide else [],
        "people": _people(action) if waits and may_hand else [],
        "why_not": "" if may_hand else "Handing over needs a role that works on actions.",
        "error": error,
    }
    return render(request, "actions/assign.html", context, status=status)


def _is_deferred(action: Action, viewer: Viewer) -> bool:
    return action.deferred_until is not None and action.deferred_until > viewer.now


def _hours(action: Action, viewer: Viewer) -> list[int]:
    return [
        hours
        for hours in HOURS
        if action.expires_at and viewer.now + timedelta(hours=hours) < action.expires_at
    ]


def _people(action: Action) -> list[dict[str, Any]]:
    """Who may decide it, by name."""
    roles = RUNNER_ROLES[action.entry.runner_role]
    holders = RoleGrant.objects.in_force().filter(role__in=roles).values("user_id")
    people = User.objects.filter(pk__in=holders).order_by("display_name", "username")[:PEOPLE]
    return [
        {"pk": person.pk, "name": person.shown_name}
        for person in people
        if not obstacle_for(action, person.ref, rights_of(person), person.shown_name)
    ]
