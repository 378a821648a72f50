"""Help: the documents as pages. Tour: each step leads to the page that it is about."""

from collections.abc import Callable, Mapping
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.actions.models import Action
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.guide import documents
from actioncenter.guide.steps import COOKIE, STEPS
from actioncenter.live.context import counts_of
from actioncenter.settings.access import within
from investigations.models import Investigation

AN_HOUR: Final = 3600


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return document(request, documents.INDEX)


@require_safe
def document(request: HttpRequest, name: str) -> HttpResponse:
    found = documents.document(name)
    if found is None:
        raise Http404
    context = {
        "document": found,
        "is_index": name == documents.INDEX,
        "simulator": counts_of(request).simulator,
    }
    return render(request, "guide/document.html", context)


@require_safe
def tour(request: HttpRequest, number: int) -> HttpResponse:
    """Nothing is recorded: which step a browser is at stands in a cookie of its own."""
    if not 1 <= number <= len(STEPS) or not _tour_is_on(request):
        raise Http404
    step = STEPS[number - 1]
    response = redirect(ONE[step.page](viewer_of(request)) if step.opens else reverse(step.page))
    response.set_cookie(
        COOKIE,
        str(number),
        max_age=AN_HOUR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@require_safe
def end(request: HttpRequest) -> HttpResponse:
    response = redirect("home")
    response.delete_cookie(COOKIE, samesite="Lax")
    return response


def _tour_is_on(request: HttpRequest) -> bool:
    """It asks people to try out decisions, so nothing real may be within reach."""
    counts = counts_of(request)
    return counts.simulator and not counts.real


def _first_waiting(viewer: Viewer) -> str:
    first = (
        within(Action.objects.waiting(), viewer.scope)
        .order_by("expires_at", "id")
        .values_list("pk", flat=True)
        .first()
    )
    pending = reverse("actions:pending")
    return f"{pending}?open={first}" if first else pending


def _an_investigation(viewer: Viewer) -> str:
    """One with as much to see as there is."""
    seen = within(Investigation.objects.all(), viewer.scope)
    busiest = seen.order_by("-action_count", "-threat_count", "-pk").values_list("pk", flat=True).first()
    return reverse("investigations:detail", args=[busiest]) if busiest else reverse("investigations:list")


ONE: Final[Mapping[str, Callable[[Viewer], str]]] = {
    "actions:pending": _first_waiting,
    "investigations:detail": _an_investigation,
}
"""The address at which something to look at is open; the list where there is nothing."""
