"""The product's addresses beside a page, a form, a poll, and something that wants a fresh proof."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from actioncenter.accounts import proof
from actioncenter.accounts.request import actor_of


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"zone {timezone.get_current_timezone_name()}")


def proved(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(actor_of(request).proved_within(proof.FRESH)))


@require_POST
def dangerous(request: HttpRequest) -> HttpResponse:
    if not actor_of(request).proved_within(proof.FRESH):
        return proof.ask(
            request, back=request.GET.get("back", "/subject"), why="Deleting everything wants your password."
        )
    request.session["done"] = request.session.get("done", 0) + 1
    return HttpResponse("done")


def done(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("done", 0)))


urlpatterns = [
    path("page", page),
    path("form", require_POST(page)),
    path("live/counts", page),
    path("proved", proved),
    path("dangerous", dangerous),
    path("done", done),
    path("", include("actioncenter.urls")),
]
