"""The product's addresses beside a page, a form and a poll that need sign-in."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.http import require_POST


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"zone {timezone.get_current_timezone_name()}")


urlpatterns = [
    path("page", page),
    path("form", require_POST(page)),
    path("live/counts", page),
    path("", include("actioncenter.urls")),
]
