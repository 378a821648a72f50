"""Everything in a list of several pages, chosen and decided in a browser."""

import pytest
from playwright.sync_api import expect

from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.ops.camera import VIEWS
from tests.e2e.conftest import SignIn
from tests.e2e.site import ASSETS
from tests.e2e.test_triage import queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS = (ASSETS / "looks.js").read_text(encoding="utf-8")


def test_all_pages_are_decided_at_once(sign_in: SignIn) -> None:
    queue(27)
    page = sign_in("mira")
    page.goto("/action-center/pending?size=25")
    everything = page.get_by_label("Everything in this list, on every page")
    expect(everything).not_to_be_visible()
    page.locator("#rows [data-all]").check()
    expect(page.get_by_role("button", name="Approve 25")).to_be_visible()
    everything.check()
    approve = page.locator("#bulk").get_by_role("button", name="Approve all")
    expect(page.locator("#bulk [data-count]")).to_have_text("All pages")
    for view in VIEWS:
        page.set_viewport_size({"width": view.width, "height": view.height})
        assert page.evaluate(LOOKS) == [], view.name
    page.set_viewport_size({"width": VIEWS[0].width, "height": VIEWS[0].height})
    assert Action.objects.waiting().count() == 27
    approve.click()

    expect(page.locator("#notice")).to_contain_text("27 of 27 approved")
    assert set(Action.objects.values_list("decision", flat=True)) == {Decision.APPROVED}
    expect(everything).not_to_be_visible()


def test_it_is_no_longer_meant_once_nothing_is_ticked(sign_in: SignIn) -> None:
    queue(26)
    page = sign_in("mira")
    page.goto("/action-center/pending?size=25")
    box = page.locator("#rows tbody input:enabled").first
    box.check()
    page.get_by_label("Everything in this list, on every page").check()
    box.uncheck()
    box.check()

    expect(page.get_by_role("button", name="Approve 1")).to_be_visible()
