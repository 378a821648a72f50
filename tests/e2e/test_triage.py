"""A queue worked through without the mouse."""

import re
from collections.abc import Sequence

import pytest
from django.db.models import Count
from playwright.sync_api import Page, expect

from actioncenter.actions.enums import Decision, Risk
from actioncenter.actions.models import Action, Vote
from tests import factories
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PENDING = "/action-center/pending"


def queue(number: int) -> Sequence[Action]:
    """As many waiting quarantines of files, in the order in which they expire."""
    home, found_in = factories.group(), factories.investigation()
    on = [factories.device(in_group=home) for _ in range(number)]
    factories.planned(*(factories.file_evidence(device, found_in) for device in on))
    return list(Action.objects.waiting().order_by("expires_at", "pk"))


def focused_row(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr[data-number]')?.dataset.number ?? ''"))


class Hands:
    """Counts the keys."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.pressed += 1


def open_at(page: Page, action: Action) -> None:
    """With the pane ready for keys: a button pressed before htmx knows it is a plain form."""
    page.goto(f"{PENDING}?open={action.pk}")
    page.locator("#pane [value=approve][data-htmx-powered]").wait_for()


def shows(page: Page, action: Action) -> None:
    """In the pane, while the list keeps the focus."""
    expect(page.locator("#action")).to_have_attribute("data-number", str(action.pk))
    expect(page.locator(f"#row-{action.pk} a.row")).to_be_focused()


@pytest.mark.oversight("X-8")
@pytest.mark.parametrize("number", [12, pytest.param(100, marks=pytest.mark.long)])
def test_many_are_approved_with_few_keys(sign_in: SignIn, number: int) -> None:
    actions = queue(number)
    assert {action.risk for action in actions} <= {Risk.LOW, Risk.MEDIUM}
    page = sign_in("mira")
    page.goto(PENDING)
    hands = Hands(page)
    hands.press("j")
    hands.press("a")
    for at, action in enumerate(actions):
        shows(page, action)
        hands.press("a")
        if at + 1 < len(actions):
            shows(page, actions[at + 1])
    expect(page.locator("#rows .empty")).to_be_visible()

    assert set(Action.objects.values_list("decision", flat=True)) == {Decision.APPROVED}
    assert set(Vote.objects.values_list("mode", flat=True)) == {"key"}
    assert hands.pressed <= 1.2 * len(actions)
    assert page.evaluate("document.activeElement !== document.body"), "the last swap loses nothing either"


def test_what_is_not_shown_is_shown_first(sign_in: SignIn) -> None:
    """A decision is never about a row that the pane doesn't show."""
    first, second = queue(2)
    page = sign_in("mira")
    open_at(page, first)
    page.locator(f"#row-{second.pk} a.row").focus()
    page.keyboard.press("a")
    shows(page, second)

    assert Action.objects.waiting().count() == 2


def test_many_selected_are_never_decided_by_a_key(sign_in: SignIn) -> None:
    actions = queue(3)
    page = sign_in("mira")
    page.goto(PENDING)
    for key in ("j", "x", "j", "x", "a"):
        page.keyboard.press(key)
    approve = page.locator("#bulk").get_by_role("button", name="Approve 2")
    expect(approve).to_be_focused()
    assert Action.objects.waiting().count() == 3
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("2 of 2")
    expect(page.locator("#rows tr[data-number]")).to_have_count(1)
    expect(page.locator(f"#row-{actions[2].pk} a.row")).to_be_focused()


def test_a_rejection_asks_for_its_comment_and_goes_on(sign_in: SignIn) -> None:
    first, second = queue(2)
    page = sign_in("mira")
    open_at(page, first)
    page.keyboard.press("r")
    comment = page.get_by_label("Comment", exact=True)
    expect(comment).to_be_focused()
    page.keyboard.type("our own tool")
    page.keyboard.press("Control+Enter")
    shows(page, second)
    expect(page.locator("#notice")).to_contain_text(f"{first.label} is rejected")
    expect(comment).to_have_value("")
    assert f"open={second.pk}" in page.url

    first.refresh_from_db()
    assert (first.decision, first.decision_comment) == (Decision.REJECTED, "our own tool")


def test_what_was_asked_of_one_is_not_asked_of_the_next(sign_in: SignIn) -> None:
    first, second, _ = queue(3)
    page = sign_in("mira")
    open_at(page, first)
    page.keyboard.press("a")
    shows(page, second)
    page.keyboard.press("c")
    page.keyboard.type("is this ours?")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#action")).not_to_have_attribute("data-number", str(second.pk))

    assert Action.objects.waiting().count() == 2


def test_nobody_is_moved_who_has_clicked_beside_everything(sign_in: SignIn) -> None:
    queue(2)
    page = sign_in("mira")
    page.goto(PENDING)
    page.keyboard.press("j")
    page.evaluate("document.activeElement.blur()")
    with page.expect_response(re.compile(PENDING)):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('changed'))")
    with page.expect_response(re.compile(PENDING)):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('changed'))")

    assert page.evaluate("document.activeElement === document.body")


def test_the_last_of_the_list_leads_back_to_the_one_above(sign_in: SignIn) -> None:
    first, last = queue(2)
    page = sign_in("mira")
    open_at(page, last)
    page.keyboard.press("a")
    shows(page, first)


def test_a_row_decided_elsewhere_hands_its_focus_on(sign_in: SignIn) -> None:
    _, second, third = queue(3)
    page = sign_in("mira")
    page.goto(PENDING)
    page.locator(f"#row-{second.pk} a.row").focus()
    second.reject(by=factories.person("sam").actor(), comment="known")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('changed'))")
    expect(page.locator(f"#row-{second.pk}")).to_have_count(0)
    expect(page.locator(f"#row-{third.pk} a.row")).to_be_focused()


def test_two_keys_go_to_the_other_tab_and_back(sign_in: SignIn) -> None:
    page = sign_in("mira")
    page.goto(PENDING)
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/action-center/history")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/action-center/pending")


def test_keys_are_each_persons_own(sign_in: SignIn) -> None:
    first, second = queue(2)
    page = sign_in("mira")
    page.goto("/preferences")
    page.get_by_label("Next row").fill("n")
    page.get_by_label("Previous row").fill("g k")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_contain_text("Your keys are kept")
    page.goto(PENDING)
    expect(page.locator(".foot .keys")).to_contain_text("n")
    for keys, row in (("j", ""), ("n", first), ("n", second), ("gk", first)):
        for key in keys:
            page.keyboard.press(key)
        assert focused_row(page) == (str(row.pk) if isinstance(row, Action) else row), keys
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("g k")
    other = sign_in("sam")
    other.goto(PENDING)
    other.keyboard.press("j")
    assert focused_row(other) == str(first.pk)


def test_keys_stay_off_wherever_the_person_signs_in(sign_in: SignIn) -> None:
    queue(1)
    page = sign_in("mira")
    page.goto(PENDING)
    page.keyboard.press("?")
    with page.expect_response(re.compile("/preferences/keys/switch")):
        page.get_by_label("Single-key shortcuts").uncheck()
    elsewhere = sign_in("mira")
    elsewhere.goto(PENDING)
    elsewhere.keyboard.press("j")
    assert focused_row(elsewhere) == ""
    expect(elsewhere.locator(".foot kbd").first).to_be_hidden()


def test_nobody_votes_twice_by_holding_a_key(sign_in: SignIn) -> None:
    first, second = queue(2)
    page = sign_in("mira")
    open_at(page, first)
    page.keyboard.down("a")
    page.keyboard.down("a")
    shows(page, second)
    page.keyboard.down("a")
    page.keyboard.up("a")
    expect(page.locator("#rows tr[data-number]")).to_have_count(1)

    assert list(Vote.objects.values_list("action").annotate(Count("pk"))) == [(first.pk, 1)]


def test_tab_and_icon_say_how_many_wait(sign_in: SignIn) -> None:
    first, _ = queue(2)
    page = sign_in("mira")
    page.goto(PENDING)
    icon = page.locator("link[rel=icon]")
    expect(page).to_have_title("(2) Pending · Action center")
    first.reject(by=factories.person("sam").actor(), comment="known")
    expect(page).to_have_title("(1) Pending · Action center", timeout=15_000)
    expect(icon).to_have_attribute("href", re.compile("waiting"))
    Action.objects.exclude(pk=first.pk).get().reject(by=factories.person("sam").actor(), comment="known")
    expect(page).to_have_title("Pending · Action center", timeout=15_000)
    expect(icon).not_to_have_attribute("href", re.compile("waiting"))
