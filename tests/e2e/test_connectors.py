"""An admin adds a connector, tests it, enables it and confirms the levels; with scripts and without."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from actioncenter.actions.execution.loop import Runner
from actioncenter.connectors import simulator
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from tests.e2e.axe import violations
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 30_000
CANARY = "canary-Zw7-never-shown"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_add_test_enable_and_confirm_the_levels(
    sign_in: SignIn, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripts: bool
) -> None:
    monkeypatch.setattr(simulator, "SIMULATED", False)
    DeviceGroup.objects.filter(is_default=True).update(level=AutomationLevel.FULL, level_confirmed=False)
    page = sign_in("noa", java_script_enabled=scripts)
    _add(page, tmp_path / "lab.sqlite3", scripts)
    expect(page.get_by_text("Not checked yet")).to_be_visible()
    page.get_by_role("button", name="Test it now").click()
    _until_it_says(page, "Well", scripts)
    _sound(page, scripts)
    _enable_and_confirm(page, scripts)
    row = ConnectorInstance.objects.get(name="Lab")
    page.goto(f"/settings/connectors/{row.pk}")
    page.get_by_role("button", name="Dry run", exact=True).click()
    expect(page.get_by_text("Nothing is sent through it")).to_be_visible()
    assert CANARY not in page.content()
    _sound(page, scripts)


def _add(page: Page, estate: Path, scripts: bool) -> None:
    """What was typed stays where something is wrong, but for the secret."""
    page.goto("/settings/connectors")
    page.get_by_role("link", name="Simulator", exact=True).last.click()
    page.get_by_label("Name", exact=True).fill("Lab")
    page.get_by_label("Estate file").fill(str(estate))
    page.get_by_label("Targets per step").fill("0")
    page.get_by_label("Token").fill(CANARY)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("greater than or equal to 1")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Lab")
    expect(page.get_by_label("Token")).to_have_value("")
    _sound(page, scripts)
    page.get_by_label("Targets per step").fill("10")
    page.get_by_label("Token").fill(CANARY)
    page.get_by_role("button", name="Add").click()


def _enable_and_confirm(page: Page, scripts: bool) -> None:
    expect(page.get_by_text("It is the first that reaches real systems")).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page).to_have_url(re.compile("/settings/groups$"))
    expect(page.get_by_text("until you confirm a level")).to_be_visible()
    expect(page.get_by_text("Confirm its level")).to_be_visible()
    _sound(page, scripts)
    group = DeviceGroup.objects.get(is_default=True)
    assert group.level == AutomationLevel.SEMI_ALL
    page.get_by_role("link", name=group.name).click()
    _sound(page, scripts)
    page.get_by_role("button", name="Confirm this level").click()
    expect(page.get_by_text("keeps its level")).to_be_visible()
    group.refresh_from_db()
    assert group.level_confirmed


def _until_it_says(page: Page, text: str, scripts: bool) -> None:
    """By itself; without scripts by loading the page again."""
    found = page.locator("#connector-check").get_by_text(text, exact=True)
    if scripts:
        expect(found).to_be_visible(timeout=PATIENCE)
        return
    for _ in range(PATIENCE // 500):
        if found.is_visible():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"It never says {text}.")


@pytest.mark.parametrize(
    "address", ["/settings/streams/add", "/audit/retention", "/settings/connectors/add/imap"]
)
def test_the_other_forms_are_sound(sign_in: SignIn, address: str) -> None:
    page = sign_in("noa")
    page.goto(address)
    if address == "/audit/retention":
        page.get_by_label("Actions, evidence and log").fill("365")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    _sound(page, scripts=True)


def _sound(page: Page, scripts: bool) -> None:
    if scripts:
        assert violations(page) == {}
