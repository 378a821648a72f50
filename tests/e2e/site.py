"""The demo behind a real server, for all tests of a module; every window of it keeps a list of complaints."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.test import TransactionTestCase
from playwright.sync_api import Browser, ConsoleMessage, Page
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from actioncenter.ops import camera
from tests import factories

ASSETS = Path(__file__).parent / "assets"
REFUSED = "document.addEventListener('securitypolicyviolation', (event) => console.error(`refused: ${event.violatedDirective} ${event.blockedURI}`))"


class Windows(camera.Visitors):
    """Those of one view. What their consoles say, page errors and refusals by the policy are complaints."""

    complaints: list[str]

    def open(self) -> Page:
        page = super().open()
        self.complaints = getattr(self, "complaints", [])
        page.add_init_script(REFUSED)
        page.on("console", self.complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def complain(self, message: ConsoleMessage) -> None:
        # The browser itself writes about every 4xx answer, also one that a test asked for.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


class Site:
    def __init__(self, base: str, chromium: Browser) -> None:
        self.base = base
        self.chromium = chromium
        self.guide = camera.Guide()
        self.opened: dict[str, Windows] = {}

    def windows(self, view: camera.View) -> Windows:
        if view.name not in self.opened:
            self.opened[view.name] = Windows(self.chromium, self.base, factories.PASSWORD, view)
        return self.opened[view.name]

    def visit(self, stop: camera.Stop, view: camera.View) -> tuple[Page, int]:
        """Go there; gives the page and the HTTP status."""
        page = self.windows(view).page_of(stop.who)
        answer = page.goto(self.guide.address(page, stop))
        assert answer is not None
        page.evaluate("document.fonts.ready")
        return page, answer.status

    def complaints(self, view: camera.View) -> list[str]:
        """Since the last question."""
        windows = self.windows(view)
        said, windows.complaints = windows.complaints, []
        return said

    def leave(self) -> None:
        for windows in self.opened.values():
            windows.leave()


@contextmanager
def serving(blocker: DjangoDbBlocker) -> Iterator[str]:
    """The address of a server over the test database, which is emptied at the end."""
    with blocker.unblock():
        server = LiveServer("localhost")
        try:
            yield server.url
        finally:
            server.stop()
            empty_database()
            for file in Path(settings.DATA_DIR).glob("simulator.sqlite3*"):
                file.unlink()


def empty_database() -> None:
    """The way every transactional test does it (tests/conftest.py)."""
    case: Any = TransactionTestCase()
    case._fixture_teardown()


@contextmanager
def demo_site(chromium: Browser, blocker: DjangoDbBlocker) -> Iterator[Site]:
    with serving(blocker) as base:
        call_command("demo", password=factories.PASSWORD, verbosity=0)
        site = Site(base, chromium)
        yield site
        site.leave()
