"""A request as views of signed-in pages get it, who it acts for, and where it came from."""

from typing import Final
from urllib.parse import urlsplit

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via

PROVED: Final = "proved"
"""Where a session keeps when its person last gave a password, in seconds since the epoch."""


class AnyRequest(HttpRequest):
    """Behind the middleware, signed in or not."""

    user: User | AnonymousUser
    htmx: HtmxDetails
    request_id: str


class Request(AnyRequest):
    """Behind sign-in, which every view is unless it says otherwise."""

    user: User


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, or nobody, with the request's id.

    Raises:
        AttributeError: the request didn't pass the middleware.
    """
    request_id: str = request.request_id  # type: ignore[attr-defined]
    if isinstance(request.user, User):
        proved_at: float | None = request.session.get(PROVED)
        return request.user.actor(Via.SESSION, request_id, proved_at=proved_at)
    return Actor("nobody", "Nobody signed in", Via.SESSION, request_id)


def way_back(request: HttpRequest, otherwise: str = "/") -> str:
    """Path to return to after a detour: the page, never a fragment or the target of a form."""
    if request.method == "GET" and request.headers.get("HX-Request") != "true":
        return request.get_full_path()
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return otherwise
    parts = urlsplit(address)
    return parts._replace(scheme="", netloc="", fragment="").geturl() or otherwise
