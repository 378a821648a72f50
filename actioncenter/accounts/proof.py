"""Showing again who one is, right before something dangerous.

A session remembers when its person last gave a password. A transition that wants it fresher refuses
with code `reauthenticate`; its view then answers with `ask`. Nothing is ever done again by itself:
after the password the person is back on the page and presses the button once more.
"""

import time
from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth import authenticate, update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from actioncenter.accounts import attempts
from actioncenter.accounts.models import User
from actioncenter.accounts.request import PROVED, actor_of, way_back
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.web import htmx
from actioncenter.web.refusing import because

MINUTES: Final = 10
FRESH: Final = MINUTES * 60
"""How long a proof counts, in seconds."""
CODE: Final = "reauthenticate"
"""The code of a refusal that a fresh proof lifts."""
WHY: Final = f"This needs your password, given within the last {MINUTES} minutes."


def mark(request: HttpRequest) -> None:
    """The person has just shown who they are."""
    request.session[PROVED] = time.time()


def ask(request: HttpRequest, *, back: str = "", why: str = WHY) -> HttpResponse:
    """A page, or for htmx a docked notice (403), that asks for the password. Nothing was done yet.

    Afterwards the person is on `back` (a path), or else on the page they were on. Under htmx it is
    the other way round: the address of the window is a page for sure, the target of a form may not be.
    """
    because(request, CODE)
    place = htmx.local_path(request, back, "") or way_back(request)
    if htmx.fragment(request):
        place = way_back(request, place)
        context = {"next": place, "why": why}
        return htmx.live(render(request, "accounts/_prove.html", context, status=403))
    messages.warning(request, f"{why} Nothing was recorded.")
    return redirect(f"{reverse('confirm_identity')}?{urlencode({'next': place})}")


def give(request: HttpRequest, password: str) -> bool:
    """Whether this is the password of the person signed in; the session remembers it, under a new key."""
    person = request.user
    if not isinstance(person, User):
        return False
    found = authenticate(request, username=person.username, password=password)
    if found is None or found.pk != person.pk:
        attempts.record_failure(person.username, attempts.address_of(request), by=actor_of(request))
        return False
    with transaction.atomic():
        # A new session key, and the session outlives a password hash that was just renewed.
        update_session_auth_hash(request, found)
        mark(request)
        actor = actor_of(request)
        log.record(
            Kind.SESSION_PROVED,
            by=actor,
            subject=actor.ref,
            subject_name=actor.name,
            detail={"address": attempts.address_of(request)},
        )
    return True
