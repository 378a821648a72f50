"""Narrowing a list to a range of times and keeping it under a name, in a browser, also without JavaScript."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests import factories
from tests.e2e.axe import violations
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE = {"width": 1440, "height": 900}


@pytest.mark.parametrize(
    "options",
    [
        {"java_script_enabled": False, "viewport": WIDE},
        {"color_scheme": "dark", "viewport": WIDE},
        {"color_scheme": "light", "viewport": {"width": 1100, "height": 800}},
    ],
    ids=["no script", "dark", "light"],
)
def test_a_list_is_narrowed_by_times_and_kept(
    sign_in: SignIn, options: dict[str, Any], tmp_path: Path
) -> None:
    factories.waiting_action()
    page = sign_in("mira", **options)
    page.goto("/action-center/pending")
    page.get_by_text("Range", exact=True).click()
    page.get_by_label("From").fill("2026-01-01T00:00")
    page.screenshot(path=tmp_path / "range.png")
    if options.get("java_script_enabled", True):
        assert violations(page) == {}
    page.locator("details[open]").get_by_role("button", name="Apply").click()
    expect(page.locator(".filters")).to_contain_text("2026-01-01 00:00")

    page.get_by_text("Save view", exact=True).click()
    page.get_by_label("Name of this list").fill("Since January")
    page.get_by_label("Who sees it").select_option("Every responder")
    page.screenshot(path=tmp_path / "save.png")
    page.get_by_role("button", name="Save", exact=True).click()

    view = page.get_by_role("link", name="Since January")
    expect(view).to_contain_text("1")
    expect(view).to_have_attribute("aria-current", "true")
    colleague = sign_in("sam", **options)
    colleague.goto("/action-center/pending")
    colleague.get_by_role("link", name="Since January").click()
    expect(colleague.locator(".filters")).to_contain_text("2026-01-01 00:00")
