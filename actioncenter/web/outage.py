"""While the database is locked, gone or being changed: a calm answer instead of a failure, and a short wait where waiting harms."""

import sqlite3
import sys
from contextlib import suppress
from typing import Final

from django.db import DatabaseError, Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from actioncenter import schema

RETRY_AFTER: Final = 5
"""Seconds."""
SHORT_WAIT: Final = 2.0
"""Seconds that whoever must not wait waits for whoever holds the database."""


def server_error(request: HttpRequest) -> HttpResponse:
    """The handler of what no view caught: 503 where trying again helps, else 500."""
    error = sys.exc_info()[1]
    if not is_passing(error):
        return defaults.server_error(request)
    # Without a request: what every page shows of a person is read from the database.
    page = render_to_string("503.html")
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER)})


def is_passing(error: BaseException | None) -> bool:
    """It is an outage, or an update that is under way: everything else fails too until it is over."""
    return is_outage(error) or _is_being_updated(error)


def is_outage(error: BaseException | None) -> bool:
    """Locked, full, shut down, out of reach; not a statement that no database would take."""
    if isinstance(error, InterfaceError):
        return True
    wrong = getattr(error.__cause__ if error else None, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, OperationalError) and not wrong


def _is_being_updated(error: BaseException | None) -> bool:
    """A statement that this database doesn't take, because an update of it is under way."""
    with suppress(Error):
        return isinstance(error, DatabaseError) and bool(schema.unknown())
    return False
