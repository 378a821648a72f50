"""Addresses that leave an audit event each time they really do something."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path
from django.utils.crypto import get_random_string

from actioncenter.accounts.answers import Outcome, Unchanged, once
from actioncenter.accounts.request import actor_of
from actioncenter.audit import log
from actioncenter.audit.enums import Kind


class NotNow(Exception):
    """Something the person can put right."""


def act(request: HttpRequest, number: int = 0) -> None:
    actor = actor_of(request)
    log.record(Kind.SESSION_ENDED, by=actor, subject=f"{actor.ref}:{number}", subject_name="a test")


def do(request: HttpRequest) -> HttpResponse:
    def effect() -> Outcome:
        act(request)
        if request.POST.get("wrong"):
            raise NotNow
        if request.POST.get("late"):
            raise Unchanged({"conflict": True})
        return {"said": "Done.", "conflict": False}

    def render(outcome: Outcome) -> HttpResponse:
        if request.POST.get("page"):
            return redirect("/page")
        status = 409 if outcome["conflict"] else 200
        return HttpResponse(get_random_string(12), status=status, headers={"HX-Trigger": "changed"})

    try:
        return once(request, effect, render)
    except NotNow:
        return HttpResponse("not now", status=422)


def do_one_by_one(request: HttpRequest) -> HttpResponse:
    """Three steps; the second fails as often as the form says it was cut off."""

    def rest(outcome: Outcome) -> Outcome:
        first, *left = outcome["left"]
        act(request, first)
        if first == 2 and request.headers.get("X-Cut-Off"):
            raise RuntimeError
        return {"left": left, "done": [*outcome["done"], first]}

    return once(
        request,
        lambda: {"left": [1, 2, 3], "done": []},
        lambda outcome: HttpResponse(str(outcome["done"])),
        rest,
    )


urlpatterns = [
    path("do", do),
    path("other", do),
    path("steps", do_one_by_one),
    path("", include("actioncenter.urls")),
]
