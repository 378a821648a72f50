"""What stands above and below every page: stops, urgent notices, the question who one is, the broken glass."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify
from actioncenter.accounts.request import PROVED
from actioncenter.ops.camera import VIEWS
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.e2e.axe import violations
from tests.e2e.conftest import SignIn
from tests.e2e.site import ASSETS
from tests.settings.stopping import pull, stop_file

__all__ = ["stop_file"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("stop_file"),
]
LOOKS = (ASSETS / "looks.js").read_text(encoding="utf-8")
LONG = "<script>alert(1)</script>\u202e" + "invoice_that_never_ends_" * 8


def forget_the_password() -> None:
    """Everybody signed in gave it too long ago."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for key in Session.objects.values_list("session_key", flat=True):
        session = store(key)
        session[PROVED] = 0
        session.save()


def stopped(page: Page) -> None:
    factories.waiting_action()
    pull().explain(LONG, by=factories.person("noa").actor())
    page.goto("/action-center/pending")
    expect(page.locator("#stops")).to_contain_text("All execution is stopped")


def stopped_on_its_page(page: Page) -> None:
    pull()
    page.goto("/settings/stops")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def urgent(page: Page) -> None:
    notify([factories.person("noa")], "test", title=LONG, url="/", severity=Severity.URGENT)
    page.goto("/")
    expect(page.get_by_role("button", name="Dismiss")).to_be_visible()


def asked_who_one_is(page: Page) -> None:
    ApprovalRule.objects.create(reauthenticate=True)
    page.goto(f"/action-center/actions/{factories.waiting_action().pk}")
    forget_the_password()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_label("Password")).to_be_focused()


def breaking_glass(page: Page) -> None:
    ApprovalRule.objects.create(quorum=2)
    page.goto(f"/action-center/actions/{factories.waiting_action().pk}")
    page.get_by_text("Nobody else can be reached?").click()
    expect(page.get_by_role("button", name="Break the glass")).to_be_visible()


SCENES = [stopped, stopped_on_its_page, urgent, asked_who_one_is, breaking_glass]


@pytest.mark.parametrize("scene", SCENES)
def test_it_is_drawn_whole_and_breaks_no_rule(sign_in: SignIn, scene: Callable[[Page], None]) -> None:
    page = sign_in("noa")
    scene(page)
    found = {}
    for view in VIEWS:
        page.set_viewport_size({"width": view.width, "height": view.height})
        found[view.name] = page.evaluate(LOOKS)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert violations(page) == {}


def test_a_stop_form_sends_only_what_applies(sign_in: SignIn) -> None:
    """What was typed for a pause must not refuse a stop."""
    page = sign_in("mira")
    page.goto("/settings/stops")
    minutes = page.get_by_label("Minutes, for a pause")
    expect(minutes).to_be_hidden()
    page.get_by_label("Do", exact=True).select_option("pause")
    minutes.fill("30")
    page.get_by_label("Do", exact=True).select_option("stop")
    expect(minutes).to_be_hidden()
    page.get_by_label("What", exact=True).select_option("investigation")
    expect(page.get_by_label("Number of the investigation")).to_be_visible()
    page.get_by_label("What", exact=True).select_option("all")
    page.get_by_role("button", name="Stop or pause now").click()
    expect(page.locator("#stops")).to_contain_text("All execution is stopped")
