"""Failed sign-ins, counted in the audit log itself: every process sees the same number."""

import unicodedata
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from actioncenter.accounts.models import User
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event

LIMIT: Final = 10
WINDOW: Final = timedelta(minutes=5)


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def too_many(username: str, address: str) -> bool:
    """Whether this name has failed too often from this address of late."""
    return _recent(_stream(username, address)) >= LIMIT


def record_failure(username: str, address: str, *, by: Actor) -> None:
    """The typed name is kept only if such an account exists: people type passwords there."""
    # PostgreSQL refuses to look for a NUL.
    user = None if "\0" in username else User.objects.filter(username=username).first()
    who: dict[str, Any] = {
        "by": by,
        "subject": user.ref if user else "user:unknown",
        "subject_name": user.shown_name if user else "",
        "detail": {"address": address},
        "stream": _stream(username, address),
    }
    with transaction.atomic():
        log.record(Kind.SESSION_SIGN_IN_FAILED, **who)
        if _recent(who["stream"]) == LIMIT:
            log.record(Kind.SESSION_LOCKED, **who)


def _recent(stream: str) -> int:
    failures = Event.objects.filter(stream=stream, kind=Kind.SESSION_SIGN_IN_FAILED)
    return failures.filter(at__gt=Now() - WINDOW).count()


def _stream(username: str, address: str) -> str:
    name = unicodedata.normalize("NFKC", username).casefold()
    digest = salted_hmac("accounts.attempts", f"{name}\n{address}", algorithm="sha256").hexdigest()
    return f"sign-in:{digest[:32]}"
