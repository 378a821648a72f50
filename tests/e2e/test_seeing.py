"""For eyes that need more: high contrast, the system's own few colours, and everything twice as large."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from pytest_django import DjangoDbBlocker

from actioncenter.ops.camera import STOPS, VIEWS, Stop, View
from tests.e2e.axe import AXE, RUN, TAGS
from tests.e2e.site import ASSETS, Site, demo_site

pytestmark = pytest.mark.browser
LIGHT = VIEWS[0]
TWICE = View("twice", "light", LIGHT.width // 2, LIGHT.height // 2)
"""What is left of the usual window at 200 %."""
LOOKS = (ASSETS / "looks.js").read_text(encoding="utf-8")
UNFRAMED = """() => [...document.querySelectorAll("button:not([disabled]), .btn, input:not([type=hidden]), select, textarea")]
  .filter((one) => one.checkVisibility() && one.matches(".btn, .text, textarea") && !one.matches(".quiet"))
  .filter((one) => getComputedStyle(one).borderStyle === "none")
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What is a box only by its colour, which the system's colours take away."""


@pytest.fixture(scope="module")
def transactional_db() -> None:
    """The name alone makes pytest-django set the database up; one `site` serves all tests."""


@pytest.fixture(scope="module")
def site(
    chromium: Browser, transactional_db: None, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    with demo_site(chromium, django_db_blocker) as made:
        yield made


def broken(page: Page) -> list[str]:
    page.evaluate(AXE)
    found: list[str] = page.evaluate(RUN, TAGS)
    return found


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
@pytest.mark.sampled(8)
def test_high_contrast_breaks_no_rule(site: Site, stop: Stop) -> None:
    page, _ = site.visit(stop, LIGHT)
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, contrast="more", reduced_motion="reduce")
        found[scheme] = broken(page)
    page.emulate_media(color_scheme="light", contrast="null", forced_colors="active")
    found["forced"] = page.evaluate(UNFRAMED)
    page.emulate_media(forced_colors="null")

    assert found == {"light": [], "dark": [], "forced": []}


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
@pytest.mark.sampled(8)
def test_twice_as_large_nothing_is_cut(site: Site, stop: Stop) -> None:
    page, _ = site.visit(stop, TWICE)

    assert page.evaluate(LOOKS) == []


def test_the_checker_sees_a_box_without_a_frame(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<a class='btn' style='border:0;background:#00f'>Approve</a>")
    assert page.evaluate(UNFRAMED)
    page.close()
