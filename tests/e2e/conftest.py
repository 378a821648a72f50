"""A real browser against a real server with a real runner. Any console error fails the test."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from actioncenter.actions import housekeeping
from actioncenter.actions.execution.loop import Runner
from actioncenter.audit import roles
from actioncenter.audit.actor import Actor
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import forget_estate

SignIn = Callable[..., Page]
EXPECTED = ("Failed to load resource",)
"""What Chromium itself writes about a 4xx answer that a test asked for."""


@pytest.fixture
def runner(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """Carries out what is decided in the browser, in threads of this process."""
    # On PostgreSQL it is its own database's superuser.
    monkeypatch.setattr(roles, "trouble", lambda: "")
    by = Actor.system("runner")
    forget_estate()
    ConnectorInstance.objects.update(settings={"pace": 0})
    working = Runner(by=by, threads=2)
    threads = [
        threading.Thread(target=_run, args=(working,), name="runner"),
        threading.Thread(target=housekeeping.run_until, args=(working.stopping,), kwargs={"by": by}),
    ]
    for thread in threads:
        thread.start()
    yield working
    working.stop()
    for thread in threads:
        thread.join()
    forget_estate()


def _run(working: Runner) -> None:
    try:
        working.run()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def chromium(browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**browser_type_launch_args)
        yield started
        started.close()


@pytest.fixture
def sign_in(live_server: LiveServer, chromium: Browser) -> Iterator[SignIn]:
    """Sign somebody of the cast in, in a browser of their own; gives the page they land on."""
    complaints: list[str] = []
    opened: list[BrowserContext] = []

    def complain(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    def enter(username: str, **options: Any) -> Page:
        factories.person(username)
        context = chromium.new_context(base_url=live_server.url, **options)
        opened.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/sign-in")
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill(factories.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(live_server.url + "/")
        return page

    yield enter
    for context in opened:
        context.close()
    assert complaints == []
