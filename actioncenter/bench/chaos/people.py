"""Analysts who poll, look around and decide, as browsers do it: over HTTP, with what htmx sends along."""

import random
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, RemoteDisconnected
from typing import Final
from urllib.parse import urlencode

from django.test import Client
from django.utils.crypto import get_random_string

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.bench.chaos.journal import TIMED_OUT, Journal, Told
from actioncenter.settings.enums import Role

PATIENCE: Final = 30.0
"""Seconds that a person waits for an answer."""
POLLS_EVERY: Final = 2.0
"""As live.js beats."""
ROWS: Final = {"HX-Request": "true", "HX-Target": "div#rows"}
PANE: Final = {"HX-Request": "true", "HX-Target": "aside#pane"}
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    cookies: str
    token: str
    port: int

    @classmethod
    def enrol(cls, name: str, role: Role, port: int) -> "Person":
        user = User.objects.enrol(name, by=Actor.command("bench"), roles=[role])
        client = Client()
        client.force_login(user)
        token = get_random_string(32)
        cookies = [f"{key}={morsel.value}" for key, morsel in client.cookies.items()]
        return cls("; ".join([*cookies, f"csrf={token}"]), token, port)


class Browser:
    """One connection that is kept. Used by one thread."""

    def __init__(self, person: Person, journal: Journal) -> None:
        self.person = person
        self.journal = journal
        self.line = HTTPConnection("127.0.0.1", person.port, timeout=PATIENCE)

    def get(self, stream: str, address: str, headers: Headers) -> tuple[int, str]:
        """Status and tag of the answer."""
        return self._ask(stream, "GET", address, headers, None)

    def post(self, stream: str, address: str, fields: Headers) -> int:
        body = urlencode({**fields, "csrfmiddlewaretoken": self.person.token})
        headers = {**PANE, "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask(stream, "POST", address, headers, body)[0]

    def _ask(
        self, stream: str, method: str, address: str, headers: Headers, body: str | None
    ) -> tuple[int, str]:
        began = self.journal.now()
        headers = {**headers, "Cookie": self.person.cookies}
        status, tag, retry_after, error = TIMED_OUT, "", "", ""
        try:
            status, tag, retry_after = self._send(method, address, headers, body)
        except (OSError, HTTPException) as problem:
            self.line.close()
            error = f"{type(problem).__name__}: {problem}"
        self.journal.tell(Told(stream, began, self.journal.now(), status, retry_after, error))
        return status, tag

    def _send(self, method: str, address: str, headers: Headers, body: str | None) -> tuple[int, str, str]:
        kept = self.line.sock is not None
        try:
            return self._once(method, address, headers, body)
        except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server closed what was kept; browsers then send it again on a new line.
            self.line.close()
            if not kept:
                raise
            return self._once(method, address, headers, body)

    def _once(self, method: str, address: str, headers: Headers, body: str | None) -> tuple[int, str, str]:
        self.line.request(method, address, body, headers)
        answer = self.line.getresponse()
        answer.read()
        return answer.status, answer.getheader("HX-PTag", ""), answer.getheader("Retry-After", "")


def poll(person: Person, address: str, journal: Journal, over: threading.Event) -> None:
    """As long as the page is open. Asked again only after an answer, as the page does."""
    browser, tag = Browser(person, journal), ""
    rng = random.Random(person.token)  # noqa: S311 - jitter
    time.sleep(rng.uniform(0, POLLS_EVERY))
    while not over.wait(POLLS_EVERY * rng.uniform(0.9, 1.1)):
        headers = {**ROWS, "HX-PTag": tag} if tag else ROWS
        _, tag = browser.get("poll", address, headers)
