"""The log of views: who looked at what. Kept in memory by each process and written in batches beside requests.

A page that somebody opens costs an append to a list. What a process had in its memory is lost when it
is killed outright, at most FLUSH_SECONDS of views; the audit log itself loses nothing.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.accounts.request import AnyRequest
from actioncenter.auditor.models import PageView

logger = logging.getLogger(__name__)
LONGEST: Final = 500
LONGEST_NUMBER: Final = 18
KEPT: Final = 10_000
"""While the database is away the oldest go first."""
BATCH: Final = 500
LOOK: Final = 0.25
"""Seconds between two looks whether the process ends."""
NO_VIEWS: Final = frozenset({"live", "sign_in", "sign_out"})
"""Counts that pages ask for by themselves, and pages without a person."""
SUBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "actions": ("action", "number"),
    "investigations": ("investigation", "number"),
    "investigations:device": ("device", "number"),
    "investigations:act": ("device", "number"),
    "auditor:story": ("action", "number"),
    "auditor:event": ("event", "number"),
    "actions:handover": ("handover", "pk"),
    "actions:mail_search": ("search", "pk"),
    "actions:act_on_mail": ("search", "pk"),
    "actions:mail_message": ("search", "pk"),
    "settings:group": ("group", "pk"),
    "settings:rule": ("rule", "pk"),
    "actions:pending": ("action", "open"),
    "actions:history": ("action", "open"),
}
"""View or app -> what its address names, and the name of the number in it."""
SHOWN: Final = "actioncenter_shown"
GetResponse = Callable[[AnyRequest], HttpResponseBase]


Row = TypeVar("Row", bound=Model)


class Batches(Generic[Row]):
    """Rows of one table that wait in this process to be written."""

    def __init__(self, model: type[Row], name: str) -> None:
        self._model, self._name = model, name
        self._waiting: deque[Row] = deque(maxlen=KEPT)
        self._writing = threading.Lock()
        self._writer = 0

    def note(self, row: Row) -> None:
        self._waiting.append(row)
        if settings.VIEWS_FLUSH_SECONDS and self._writer != os.getpid():
            self._start()

    def flush(self) -> int:
        """Write what waits; how many that were. What can't be written waits on."""
        with self._writing:
            written = 0
            while batch := self._next():
                try:
                    self._model._default_manager.bulk_create(batch)
                except Exception:
                    self._waiting.extendleft(reversed(batch))
                    raise
                written += len(batch)
            return written

    def _next(self) -> list[Row]:
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _start(self) -> None:
        """One thread for each process: what was started before a fork isn't there after it."""
        with self._writing:
            if self._writer != os.getpid():
                self._writer = os.getpid()
                # No daemon: at its end a process waits for it, and it writes once more.
                threading.Thread(target=self._write_on, name=self._name, daemon=False).start()

    def _write_on(self) -> None:
        main, at_last = threading.main_thread(), time.monotonic()
        while main.is_alive():
            time.sleep(LOOK)
            if self._waiting and time.monotonic() - at_last >= settings.VIEWS_FLUSH_SECONDS:
                self._try()
                at_last = time.monotonic()
        self._try()
        connection.close()

    def _try(self) -> None:
        close_old_connections()
        try:
            self.flush()
        except Exception:
            logger.exception("%s could not be written", self._name)


views: Final = Batches(PageView, "views")


def noted(get_response: GetResponse) -> GetResponse:
    """Middleware, behind sign-in: note what a person was shown."""

    def middleware(request: AnyRequest) -> HttpResponseBase:
        response = get_response(request)
        opened = is_view(request) or hasattr(request, SHOWN)
        if isinstance(request.user, User) and response.status_code == 200 and opened:
            views.note(_view(request, request.user))
        return response

    return middleware


def is_view(request: AnyRequest) -> bool:
    """Whether somebody opened this. What pages read by themselves, and fragments within a page, don't count."""
    match = request.resolver_match
    if request.method != "GET" or match is None or not match.view_name:
        return False
    if match.view_name.partition(":")[0] in NO_VIEWS or "HX-PTag" in request.headers:
        return False
    if request.headers.get("HX-Request") == "true":
        return request.headers.get("HX-Target", "").rpartition("#")[2] == "pane"
    return True


def _view(request: AnyRequest, user: User) -> PageView:
    page = request.resolver_match.view_name if request.resolver_match else ""
    return PageView(
        at=timezone.now(),
        actor=user.ref,
        actor_name=user.shown_name,
        page=page,
        subject=_subject(request, page),
        address=request.get_full_path()[:LONGEST],
        request_id=request.request_id,
    )


def shown(request: HttpRequest, subject: str) -> None:
    """Note that the answer to what changes something shows this too, as the next action after a decision."""
    setattr(request, SHOWN, subject)


def _subject(request: AnyRequest, page: str) -> str:
    if hasattr(request, SHOWN):
        return str(getattr(request, SHOWN))
    known = SUBJECTS.get(page) or SUBJECTS.get(page.partition(":")[0])
    if known is None or request.resolver_match is None:
        return ""
    kind, name = known
    number = str(request.resolver_match.kwargs.get(name) or request.GET.get(name, ""))
    return (
        f"{kind}:{number}" if number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER else ""
    )
