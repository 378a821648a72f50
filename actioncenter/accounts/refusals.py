"""Refused attempts of people who are signed in, written into the log.

What was refused is known when the answer is: most refusals are no call of a model, such as an address outside
of somebody's groups. So this is the one place that writes events for a whole request. Nothing changed, so there
is no change to share a transaction with, and where the database is away it is refused all the same.
"""

import logging
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.http import HttpResponseBase

from actioncenter.accounts.models import User
from actioncenter.accounts.request import AnyRequest, actor_of
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.web.refusing import refusal_of

logger = logging.getLogger(__name__)
REFUSED: Final = frozenset({403, 404, 409})
LIMIT: Final = 100
WINDOW: Final = timedelta(minutes=5)
"""One person's attempts that are kept in it. Nobody fills the log by asking."""
LONGEST: Final = 200


def note(request: AnyRequest, response: HttpResponseBase) -> None:
    """Write down what this answer refused, if anything. An address that the product doesn't have is nothing."""
    is_ours = request.resolver_match is not None
    if not (isinstance(request.user, User) and is_ours and _is_refused(request, response)):
        return
    try:
        _record(request, response)
    except DatabaseError:
        logger.exception("a refusal of %s could not be recorded", request.user.ref)


def _record(request: AnyRequest, response: HttpResponseBase) -> None:
    actor = actor_of(request)
    stream = f"refusals:{actor.ref}"
    with transaction.atomic():
        kept = _within_window(stream)
        if kept < LIMIT:
            detail = _told(request, response) | ({"more": "not kept"} if kept == LIMIT - 1 else {})
            log.record(
                Kind.ACCESS_REFUSED, by=actor, subject=actor.ref, subject_name=actor.name, detail=detail, stream=stream
            )  # fmt: skip


def _is_refused(request: AnyRequest, response: HttpResponseBase) -> bool:
    return response.status_code in REFUSED or bool(refusal_of(request))


def _told(request: AnyRequest, response: HttpResponseBase) -> dict[str, object]:
    address = quote(request.path)[:LONGEST]
    return {"status": response.status_code, "method": request.method or "", "address": address} | dict(
        refusal_of(request)
    )


def _within_window(stream: str) -> int:
    newest = Event.objects.filter(stream=stream).order_by("-seq")[:LIMIT].values("pk")
    return Event.objects.filter(
        pk__in=list(newest.values_list("pk", flat=True)), at__gt=Now() - WINDOW
    ).count()
