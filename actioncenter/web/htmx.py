"""Which fragment a request wants, and what every such answer says of caching."""

from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

TAG: Final = "HX-PTag"
CHANGED: Final = "changed"
"""The event that makes rows and counts read themselves again."""
VARY: Final = ("HX-Request", "HX-Target", TAG)


def fragment(request: HttpRequest) -> str:
    """The id of the element that htmx will replace; empty when a whole page is wanted."""
    if request.headers.get("HX-Request") != "true":
        return ""
    return request.headers.get("HX-Target", "").rpartition("#")[2]


def is_current(request: HttpRequest, tag: str) -> bool:
    return bool(tag) and request.headers.get(TAG) == tag


def not_modified(tag: str) -> HttpResponse:
    return live(HttpResponseNotModified(), tag)


def live(response: HttpResponse, tag: str = "") -> HttpResponse:
    """Mark an answer that depends on htmx's headers and must never come out of a cache."""
    if tag:
        response[TAG] = tag
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, VARY)
    return response


def local_path(request: HttpRequest, wanted: str, fallback: str) -> str:
    """A path of ours to go to next, never another site."""
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, {request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else fallback
