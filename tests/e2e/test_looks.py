"""Every page at every width: nothing is cut, nothing scrolls sideways, decisions wait for a person's own hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Browser, FloatRect, Page, expect
from pytest_django import DjangoDbBlocker

from actioncenter.ops import camera
from actioncenter.ops.camera import STOPS, VIEWS, Stop, View
from tests.e2e.site import ASSETS, Site, demo_site

pytestmark = pytest.mark.browser
LIGHT, DARK, NARROW, PHONE = VIEWS
BY_NAME = {stop.name: stop for stop in STOPS}
LOOKS = (ASSETS / "looks.js").read_text(encoding="utf-8")
NO_PAGES = {
    "sign_out": "only POST",
    "theme": "only POST",
    "actions:decide": "only POST",
    "actions:bulk": "only POST",
    "settings:level": "only POST",
    "settings:confirm_level": "only POST",
    "settings:cancel_level": "only POST",
    "live:counts": "a part of other pages",
}
"""Addresses that draw no page of their own, and why."""


@pytest.fixture(scope="module")
def transactional_db() -> None:
    """The name alone makes pytest-django set the database up; one `site` serves all tests."""


@pytest.fixture(scope="module")
def site(
    chromium: Browser, transactional_db: None, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    with demo_site(chromium, django_db_blocker) as made:
        yield made


def routes(patterns: list[Any] | None = None, namespace: str = "") -> Iterator[str]:
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from routes(entry.url_patterns, inner)
        else:
            assert isinstance(entry, URLPattern)
            yield f"{namespace}{entry.name}"


def test_every_address_is_looked_at_or_says_why_not() -> None:
    assert {stop.route for stop in STOPS} | set(NO_PAGES) == set(routes())


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_page_is_drawn_whole(site: Site, stop: Stop, view: View) -> None:
    page, status = site.visit(stop, view)

    assert status == (404 if stop.name == "not-found" else 200)
    assert resolve(page.evaluate("location.pathname")).view_name == stop.route
    assert page.evaluate(LOOKS) == []
    assert page.evaluate("document.activeElement.matches('button[name=verb]')") is False
    assert site.complaints(view) == []


def box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).bounding_box()
    assert found is not None
    return found
