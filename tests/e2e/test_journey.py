"""What an analyst does at 3 a.m.: filter, read, approve, watch, undo; alone and beside others."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.execution.loop import Runner
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ApprovalRule
from investigations.enums import Verdict
from tests import factories
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SAID = "Seen on two hosts before"
SEEN_WITHIN = 3_000
"""Milliseconds in which others see a decision: a promise made to people."""


def row(page: Page, action: Action) -> object:
    return page.locator(f"#row-{action.pk}")


def test_filter_approve_watch_and_undo(sign_in: SignIn, runner: Runner) -> None:
    home = factories.group()
    wanted = factories.waiting_action(home, path=r"C:\Users\bo\Downloads\dropper.exe")
    other = factories.waiting_action(home, verdict=Verdict.SUSPICIOUS)
    page = sign_in("mira")
    page.get_by_role("link", name="Approve in Action center").click()
    expect(page.locator("#rows tr[data-number]")).to_have_count(2)
    page.get_by_placeholder(re.compile("File, device")).fill("dropper")
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr[data-number]")).to_have_count(1)
    assert "q=dropper" in page.url
    page.get_by_role("link", name="dropper.exe").click()
    pane = page.locator("#pane")
    expect(pane).to_contain_text("Waiting because Finance laptops is set to Semi – all folders")
    expect(pane).to_contain_text("Can be undone")
    pane.get_by_role("button", name="Approve").click()
    expect(row(page, wanted)).not_to_be_visible()
    page.goto("/action-center/history")
    expect(row(page, wanted)).to_contain_text("Succeeded", timeout=10_000)
    expect(row(page, wanted)).to_contain_text("Mira Chen")
    row(page, wanted).get_by_role("link", name=re.compile("Undo")).click()
    page.locator("#pane").get_by_label("Comment", exact=True).fill("false positive")
    page.locator("#pane").get_by_role("button", name="Undo").click()
    expect(row(page, wanted)).to_contain_text("Undone", timeout=10_000)
    other.refresh_from_db()
    assert other.decision == Decision.PENDING


def test_bulk_approve(sign_in: SignIn, runner: Runner) -> None:
    actions = factories.waiting_actions(3)
    page = sign_in("mira")
    page.goto("/action-center/pending")
    for action in actions:
        row(page, action).get_by_role("checkbox").check()
    page.locator("#bulk").get_by_role("button", name="Approve 3").click()
    expect(page.locator("#notice")).to_contain_text("3 of 3", timeout=10_000)
    page.goto("/action-center/history")
    for action in actions:
        expect(row(page, action)).to_contain_text("Succeeded", timeout=10_000)
    assert len(set(Action.objects.values_list("approval_id", flat=True))) == 1


def test_a_mixed_selection_says_why_it_cannot_be_decided(sign_in: SignIn) -> None:
    first, second = factories.waiting_action(), factories.waiting_mail_action()
    page = sign_in("sam")
    page.goto("/action-center/pending")
    for action in (first, second):
        row(page, action).get_by_role("checkbox").check()
    approve = page.locator("#bulk").get_by_role("button", name=re.compile("Approve"))
    expect(approve).to_be_disabled()
    expect(page.locator("#bulk")).to_contain_text(re.compile("kind", re.IGNORECASE))


def test_reject_needs_a_comment_and_is_listed_with_its_person(sign_in: SignIn) -> None:
    action = factories.waiting_action()
    page = sign_in("mira")
    page.goto(f"/action-center/pending?open={action.pk}")
    page.locator("#pane").get_by_role("button", name="Reject").click()
    action.refresh_from_db()
    assert action.decision == Decision.PENDING, "the browser asks for the comment first"
    page.locator("#pane").get_by_label("Comment", exact=True).fill("our own tool")
    page.locator("#pane").get_by_role("button", name="Reject").click()
    expect(row(page, action)).not_to_be_visible()
    page.goto("/action-center/history")
    expect(row(page, action)).to_contain_text("Rejected")
    expect(row(page, action)).to_contain_text("Mira Chen")


def test_others_see_a_decision_without_reloading(sign_in: SignIn) -> None:
    first, second = factories.waiting_actions(2)
    page = sign_in("sam")
    page.goto("/action-center/pending")
    expect(row(page, first)).to_be_visible()
    first.reject(by=factories.person("mira").actor(), comment="our own tool")
    tabs = page.get_by_role("link", name=re.compile(r"^Pending\s*1$"))
    expect(tabs).to_be_visible(timeout=SEEN_WITHIN)
    expect(row(page, second)).to_be_visible()


def test_the_slower_of_two_reads_who_was_first(sign_in: SignIn) -> None:
    action = factories.waiting_action()
    slow = sign_in("sam")
    slow.goto(f"/action-center/actions/{action.pk}")
    approve = slow.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()
    slow.route("**/action-center/actions/*", lambda route: route.abort())
    action.approve(by=factories.person("mira").actor())
    slow.unroute("**/action-center/actions/*")
    if approve.is_visible():
        approve.click()
        expect(slow.locator("[data-notice]").first).to_contain_text(
            re.compile("Already approved by Mira Chen at"), timeout=10_000
        )
    else:
        expect(slow.locator("main")).to_contain_text("Mira Chen")
    action.refresh_from_db()
    assert action.decided_by_name == "Mira Chen"


@pytest.mark.parametrize("who", ["ivo", "kim", "aiko"])
def test_without_the_right_there_are_no_buttons_and_no_back_door(sign_in: SignIn, who: str) -> None:
    action = factories.waiting_action()
    page = sign_in(who)
    page.goto(f"/action-center/pending?open={action.pk}")
    expect(page.locator("#pane")).to_contain_text(action.target_name)
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.get_by_role("button", name="Reject")).to_have_count(0)
    token = page.locator("input[name=csrfmiddlewaretoken]").first.get_attribute("value") or ""
    answer = page.request.post(
        f"/action-center/actions/{action.pk}/approve",
        form={"csrfmiddlewaretoken": token, "revision": "1"},
        headers={"Referer": page.url},
    )
    assert answer.status == 403
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def keep_stale(page: Page) -> None:
    """From now on the page hears that nothing is new; what it sends still arrives."""

    def answer(route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(status=204)
        else:
            route.continue_()

    page.route("**/*", answer)


def approve_first(page: Page, action: Action) -> None:
    page.goto(f"/action-center/pending?open={action.pk}")
    pane = page.locator("#pane")
    expect(pane).to_contain_text("Yours is approval 1 of 2")
    pane.get_by_label("Comment", exact=True).fill(SAID)
    pane.get_by_role("button", name="Approve").click()
    expect(pane).not_to_contain_text("Yours is approval")


def approve_second(page: Page, action: Action) -> None:
    page.goto(f"/action-center/actions/{action.pk}")
    expect(page.locator("#pane")).to_contain_text("Yours is approval 2 of 2. It runs at once.")
    expect(page.locator("body")).not_to_contain_text(SAID)
    page.get_by_label("Comment", exact=True).fill("Agreed")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#pane")).to_contain_text("Queued")
    expect(page.get_by_label("Comment", exact=True)).to_have_value("")


def be_too_late(stale: Page, other: Page, action: Action) -> None:
    stale.goto(f"/action-center/actions/{action.pk}")
    keep_stale(stale)
    other.goto(f"/action-center/actions/{action.pk}")
    other.get_by_role("button", name="Approve").click()
    expect(other.get_by_role("button", name="Approve")).to_have_count(0)
    stale.get_by_role("button", name="Approve").click()
    notice = stale.locator("#notice [data-notice]")
    expect(notice).to_contain_text(re.compile("Already approved by Mira Chen at"))
    expect(notice).to_contain_text("was not recorded")
    stale.unroute_all()


def test_two_decide_one_stops_and_an_admin_resumes(sign_in: SignIn, runner: Runner) -> None:
    home = factories.group()
    ApprovalRule.objects.create(group=home, quorum=2)
    both, one = factories.waiting_action(home), factories.waiting_action(factories.group("Kiosks"))
    mira, sam, noa = (sign_in(name) for name in ("mira", "sam", "noa"))
    approve_first(mira, both)
    be_too_late(sam, mira, one)
    sam.goto("/action-center/pending")
    mira.get_by_role("button", name="Stop everything").first.click()
    stopped = re.compile("All execution is stopped .* by Mira Chen")
    expect(sam.locator("#stops")).to_contain_text(stopped, timeout=SEEN_WITHIN)
    approve_second(sam, both)
    expect(sam.locator("#stops")).to_contain_text("1 approved action waits in the queue", timeout=SEEN_WITHIN)
    noa.goto("/settings/stops")
    noa.get_by_label("What has changed since").fill("looked into it")
    noa.get_by_role("button", name="Resume").click()
    expect(noa.locator("#stops")).not_to_contain_text("stopped")
    expect(sam.locator("#stops")).not_to_contain_text("stopped", timeout=SEEN_WITHIN)
    expect(sam.locator("#pane")).to_contain_text("Succeeded", timeout=10_000)
    assert list(both.votes.order_by("pk").values_list("user_name", flat=True)) == ["Mira Chen", "Sam Okoye"]


def test_another_groups_action_is_not_found(sign_in: SignIn) -> None:
    action = factories.waiting_action(factories.closed_group())
    page = sign_in("mira")
    answer = page.goto(f"/action-center/actions/{action.pk}")
    assert answer is not None
    assert answer.status == 404


def test_everything_works_without_javascript(sign_in: SignIn, runner: Runner) -> None:
    action = factories.waiting_action()
    page = sign_in("mira", java_script_enabled=False)
    page.goto("/action-center/pending")
    row(page, action).locator("a.row").click()
    page.get_by_role("button", name="Approve").first.click()
    expect(page.locator("body")).to_contain_text(f"A-{action.pk} is approved and queued")
    for _ in range(50):
        page.goto("/action-center/history")
        if "Succeeded" in page.locator(f"#row-{action.pk}").inner_text():
            break
    page.goto(f"/action-center/actions/{action.pk}")
    page.get_by_label("Comment", exact=True).fill("false positive")
    page.get_by_role("button", name=re.compile("Undo")).click()
    expect(page.locator("body")).to_contain_text("is being undone by")


def test_running_work_shows_its_progress(sign_in: SignIn) -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    page = sign_in("mira")
    page.goto("/action-center/history")
    expect(row(page, action)).to_contain_text("Queued")
    Action.objects.filter(pk=action.pk).update(execution=Execution.IN_PROGRESS)
    page.reload()
    expect(row(page, action)).to_contain_text("Running")


def test_an_admin_lowers_a_level_at_once_and_asks_for_a_raise(sign_in: SignIn) -> None:
    home = factories.group("Kiosks", AutomationLevel.SEMI_CORE)
    page = sign_in("noa")
    page.goto(f"/settings/groups/{home.pk}")
    expect(page.locator("main")).to_contain_text("Kiosks")
    page.get_by_label(re.compile("No automated response")).check(force=True)
    page.get_by_role("button", name=re.compile("Save|Change|Set", re.IGNORECASE)).first.click()
    expect(page.locator("body")).to_contain_text(re.compile("No automated response|None"))
    home.refresh_from_db()
    assert home.level == AutomationLevel.NONE
