"""Taking an action on and talking about it, in a browser: also without JavaScript, narrow, dark and on paper."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from actioncenter.actions.models import Handover
from tests import factories
from tests.e2e.axe import violations
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NARROW = {"width": 390, "height": 844}


@pytest.mark.parametrize(
    "options",
    [
        {"java_script_enabled": False},
        {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
        {"color_scheme": "light", "viewport": NARROW},
    ],
    ids=["no script", "dark", "narrow"],
)
def test_taken_on_and_talked_about(sign_in: SignIn, options: dict[str, Any], tmp_path: Any) -> None:
    action = factories.waiting_action()
    page = sign_in("mira", **options)
    page.goto(f"/action-center/actions/{action.pk}")
    page.get_by_role("button", name="Take it on").click()
    page.get_by_label("Comment for the team").fill("Sam saw this on Monday, @sam <b>?</b>")
    page.get_by_role("button", name="Add comment").click()

    assert "Sam saw this on Monday, @sam <b>?</b>" in page.locator(".thread li").inner_text()
    assert "With Mira Chen since" in page.locator("#action").inner_text()
    page.screenshot(path=tmp_path / "thread.png", full_page=True)
    if options.get("java_script_enabled", True):
        assert violations(page) == {}


def test_a_handover_prints_as_a_sheet(sign_in: SignIn) -> None:
    factories.waiting_action()
    began = timezone.now() - timedelta(hours=8)
    offered = Handover.offer(by=factories.person("sam").actor(), since=began, concerns="Look at fin-db-02")
    page = sign_in("mira")
    page.goto(f"/action-center/handover/{offered.pk}")
    page.emulate_media(media="print")

    assert page.get_by_text("Look at fin-db-02").is_visible()
    assert page.get_by_role("heading", name="Waiting for a decision").is_visible()
    for hidden in ("form", "nav", "input[type=checkbox]"):
        assert page.locator(f"{hidden}:visible").count() == 0, hidden


def test_what_others_say_arrives_and_nothing_that_is_being_written_is_lost(sign_in: SignIn) -> None:
    action = factories.waiting_action()
    page = sign_in("mira")
    page.goto(f"/action-center/actions/{action.pk}")
    page.get_by_label("Comment for the team").fill("half a thou")
    page.locator("#comment").fill("because")

    action.comment("It is the patch of Monday.", by=factories.person("sam").actor())
    page.evaluate("document.body.dispatchEvent(new CustomEvent('tick'))")

    expect(page.locator(".thread li")).to_contain_text("It is the patch of Monday.", timeout=60_000)
    assert page.get_by_label("Comment for the team").input_value() == "half a thou"
    assert page.locator("#comment").input_value() == "because"
