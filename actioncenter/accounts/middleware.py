"""What every request passes: its id, the limits of a session, sign-in, the person's time zone."""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control

from actioncenter import logs
from actioncenter.accounts import refusals
from actioncenter.accounts.models import User
from actioncenter.accounts.request import AnyRequest, actor_of, way_back
from actioncenter.audit import log
from actioncenter.audit.enums import Kind

IDLE: Final = 30 * 60
ABSOLUTE: Final = 12 * 3600
"""Seconds."""
NOTED_EVERY: Final = 60
"""Seconds between two writes of the time of last activity."""

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def request_id(get_response: GetResponse) -> Callable[[AnyRequest], HttpResponseBase]:
    """First of all. The id is ours: one sent along would let outsiders write into the audit log."""

    def middleware(request: AnyRequest) -> HttpResponseBase:
        request.request_id = uuid.uuid4().hex
        with logs.bound(request_id=request.request_id):
            response = get_response(request)
        response["X-Request-Id"] = request.request_id
        return response

    return middleware


def session_limits(get_response: GetResponse) -> Callable[[AnyRequest], HttpResponseBase]:
    """After sign-in and messages: end a session that is too old or was left alone."""

    def middleware(request: AnyRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            now = int(time.time())
            started = request.session.setdefault("started", now)
            seen = request.session.setdefault("seen", now)
            if now - started >= ABSOLUTE or now - seen >= IDLE:
                _end(request)
            elif now - seen >= NOTED_EVERY and not _is_poll(request):
                request.session["seen"] = now
        return get_response(request)

    return middleware


def refusals_recorded(get_response: GetResponse) -> Callable[[AnyRequest], HttpResponseBase]:
    """After sign-in: what a person was refused is an event."""

    def middleware(request: AnyRequest) -> HttpResponseBase:
        response = get_response(request)
        refusals.note(request, response)
        return response

    return middleware


def signed_in_pages(get_response: GetResponse) -> Callable[[AnyRequest], HttpResponseBase]:
    """Show a person's own time zone, and leave nothing of what they see in a cache."""

    def middleware(request: AnyRequest) -> HttpResponseBase:
        if not isinstance(request.user, User):
            return get_response(request)
        with timezone.override(request.user.zone):
            response = get_response(request)
        patch_cache_control(response, no_store=True)
        return response

    return middleware


class SignInRequired(LoginRequiredMiddleware):
    """A fragment answers 401 and sends the whole page to sign-in; a page redirects."""

    def handle_no_permission(  # type: ignore[override]  # Django only redirects
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        back = way_back(request)
        if request.headers.get("HX-Request") != "true":
            return redirect_to_login(back, self.get_login_url(view_func))
        address = f"{reverse(self.get_login_url(view_func))}?{urlencode({'next': back})}"
        return HttpResponse(status=401, headers={"HX-Redirect": address})


def _end(request: AnyRequest) -> None:
    with transaction.atomic():
        actor = actor_of(request)
        log.record(Kind.SESSION_ENDED, by=actor, subject=actor.ref, subject_name=actor.name)
        logout(request)
    messages.info(request, "You were signed out because the session had been idle or open for too long.")


def _is_poll(request: HttpRequest) -> bool:
    """A page that refreshes itself is no sign of a person."""
    return request.method == "GET" and (request.path.startswith("/live/") or "HX-PTag" in request.headers)
