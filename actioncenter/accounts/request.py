"""A request as views of signed-in pages get it, and who it acts for."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via


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
        return request.user.actor(Via.SESSION, request_id)
    return Actor("nobody", "Nobody signed in", Via.SESSION, request_id)
