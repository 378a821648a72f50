"""Columns arranged by keyboard, with and without JavaScript; and an undo applied to every instance of a file."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution.loop import Runner
from actioncenter.actions.models import Action
from tests import factories
from tests.e2e.axe import violations
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PENDING = "/action-center/pending"
LOOKS = pytest.mark.parametrize(
    "options",
    [
        {"java_script_enabled": False, "viewport": WIDE},
        {"color_scheme": "dark", "viewport": WIDE},
        {"color_scheme": "light", "viewport": PHONE},
    ],
    ids=["no script", "dark", "phone"],
)


def headings(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".grid thead th").all_text_contents()][1:]


def check(page: Page, options: dict[str, Any]) -> None:
    """Nothing that axe finds, and nothing wider than the screen."""
    if not options.get("java_script_enabled", True):
        return
    assert violations(page) == {}
    page.set_viewport_size(options["viewport"])
    page.emulate_media(color_scheme=options["color_scheme"])
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def arrange(page: Page) -> None:
    """Verdict first, by keys alone; On wider, Age away, rows closer."""
    page.get_by_role("button", name="Move Verdict left").focus()
    for place in (3, 2, 1, 0):
        page.keyboard.press("Enter")
        expect(page.locator(".arrange-l li").nth(place)).to_contain_text("Verdict")
        side = "left" if place else "right"
        expect(page.locator("button:focus")).to_have_accessible_name(f"Move Verdict {side}")
    page.get_by_label("Width of On").select_option("wide")
    page.get_by_label("Age", exact=True).uncheck()
    page.get_by_label("Compact").check()


@LOOKS
def test_columns_are_arranged_with_keys(sign_in: SignIn, options: dict[str, Any], tmp_path: Path) -> None:
    factories.waiting_actions(3)
    page, phone = sign_in("mira", **options), options["viewport"] == PHONE
    page.goto("/preferences" if phone else f"{PENDING}?verdict=malicious")
    page.locator("main").get_by_role("link", name="Pending" if phone else "Columns", exact=True).click()

    arrange(page)
    page.screenshot(path=tmp_path / "columns.png", full_page=True)
    check(page, options)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".grid tbody tr[data-number]")).to_have_count(3)
    page.screenshot(path=tmp_path / "list.png")
    check(page, options)
    if not phone:
        assert "verdict=malicious" in page.url
        assert headings(page) == [
            "Verdict",
            "Action",
            "Target",
            "On",
            "Why it waits",
            "Group",
            "Expires",
            "Undo",
        ]
        box = page.locator("th.c-on").bounding_box()
        assert box is not None
        assert 230 < box["width"] < 245
    page.goto("/action-center/pending/columns")
    page.get_by_role("button", name="Usual columns").click()
    page.goto(PENDING)
    assert headings(page)[:3] == ["Action", "Target", "On"]


def quarantined(number: int) -> list[Action]:
    """The same file on so many devices, carried out by the runner."""
    actions = [factories.waiting_action(sha256="5a" * 32) for _ in range(number)]
    for action in actions:
        action.approve(by=factories.actor(factories.person("noa")))
    return actions


@LOOKS
def test_an_undo_goes_to_every_instance(
    sign_in: SignIn, runner: Runner, options: dict[str, Any], tmp_path: Path
) -> None:
    first, second, third = quarantined(3)
    page = sign_in("mira", **options)
    page.goto("/action-center/history")
    expect_done(page, 3)
    page.goto(f"/action-center/history?open={first.pk}")
    tick = page.get_by_label("Apply to 2 more instances of this file")
    expect(tick).not_to_be_checked()
    page.get_by_label("Comment", exact=True).fill("Our own tool")
    tick.check()
    page.screenshot(path=tmp_path / "tick.png")
    check(page, options)
    if options.get("java_script_enabled", True):
        page.locator("#pane [value=undo][data-htmx-powered]").wait_for()
    page.locator("#pane").get_by_role("button", name="Undo").click()

    expect(page.locator("#notice")).to_contain_text("3 of 3 being undone")
    page.screenshot(path=tmp_path / "results.png")
    undos = Action.objects.filter(type=ActionType.RELEASE_FILE)
    assert set(undos.values_list("undo_of", flat=True)) == {first.pk, second.pk, third.pk}
    assert len(set(undos.values_list("approval_id", flat=True))) == 1


def expect_done(page: Page, number: int) -> None:
    """However long the runner takes."""
    for _ in range(100):
        page.goto("/action-center/history?result=succeeded")
        if page.locator(".grid tbody tr[data-number]").count() == number:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the quarantines weren't carried out")
