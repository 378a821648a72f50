"""Every page at every width: nothing is cut, nothing scrolls sideways, decisions wait for a person's own hand."""

from collections.abc import Callable, Iterator
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
EVERY_VIEW = pytest.mark.parametrize(
    "view",
    [LIGHT, pytest.param(DARK, marks=pytest.mark.long), pytest.param(NARROW, marks=pytest.mark.long), PHONE],
    ids=lambda view: view.name,
)
BY_NAME = {stop.name: stop for stop in STOPS}
LOOKS = (ASSETS / "looks.js").read_text(encoding="utf-8")
NO_PAGES = {
    "sign_out": "only POST",
    "theme": "only POST",
    "read_notice": "only POST",
    "read_notices": "only POST",
    "notices_by_mail": "only POST",
    "choose_keys": "only POST",
    "switch_keys": "only POST",
    "actions:decide": "only POST",
    "actions:bulk": "only POST",
    "actions:export": "a file",
    "actions:targets_file": "a file",
    "actions:reports_file": "a file",
    "actions:defer": "only POST",
    "actions:hand_over": "only POST",
    "actions:offer_handover": "only POST",
    "actions:accept_handover": "only POST",
    "actions:cancel_handover": "only POST",
    "actions:judge": "only POST",
    "actions:take": "only POST",
    "actions:give_back": "only POST",
    "actions:comment": "only POST",
    "actions:look_again": "only POST",
    "actions:artefact_file": "a file",
    "actions:save_view": "only POST",
    "actions:rename_view": "only POST",
    "actions:remove_view": "only POST",
    "settings:authority_file": "a file",
    "settings:level": "only POST",
    "settings:keep_level": "only POST",
    "settings:confirm_level": "only POST",
    "settings:cancel_level": "only POST",
    "settings:restore_breaker": "only POST",
    "settings:renew": "only POST",
    "settings:add_rule": "only POST",
    "settings:remove_rule": "only POST",
    "settings:pace": "only POST",
    "settings:reset_connector": "only POST",
    "settings:check_connector": "only POST",
    "settings:switch_connector": "only POST",
    "settings:rehearse_connector": "only POST",
    "settings:switch_stream": "only POST",
    "settings:remove_stream": "only POST",
    "settings:stop": "only POST",
    "settings:resume": "only POST",
    "settings:explain": "only POST",
    "auditor:report_file": "a file",
    "auditor:verify": "only POST",
    "auditor:change_retention": "only POST",
    "auditor:agree_to_shortening": "only POST",
    "auditor:drop_shortening": "only POST",
    "auditor:place_hold": "only POST",
    "auditor:release_hold": "only POST",
    "feeds:add": "only POST",
    "feeds:revoke": "only POST",
    "feeds:pull": "a file",
    "feeds:pull_by_address": "a file",
    "feeds:click": "for whoever has a signed link",
    "guide:tour": "leads on to a page",
    "guide:end_tour": "leads back",
    "live:counts": "a part of other pages",
    "ops:metrics": "figures for Prometheus",
    "ops:accept_restored": "only POST",
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


@EVERY_VIEW
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
@pytest.mark.sampled(26)
def test_page_is_drawn_whole(site: Site, stop: Stop, view: View) -> None:
    page, status = site.visit(stop, view)

    assert status == (404 if stop.name == "not-found" else 200)
    assert resolve(page.evaluate("location.pathname")).view_name == stop.route
    assert page.evaluate(LOOKS) == []
    assert page.evaluate("document.activeElement.matches('button[name=verb]')") is False
    assert site.complaints(view) == []


ENDS = ("action", "action-ended")
REFUSALS = {
    "bad address": ("sam", "GET", "/action-center/pending?page=nonsense", {}, 400),
    "no right": ("kim", "POST", "{action}/approve", {"revision": "1"}, 403),
    "no token": ("sam", "POST", "{action}/approve", {"csrfmiddlewaretoken": "x"}, 403),
    "out of date": ("sam", "POST", "{action}/approve", {"revision": "99"}, 409),
    "already decided": ("sam", "POST", "{ended}/approve", {"revision": "1"}, 409),
    "no comment": ("sam", "POST", "{action}/reject", {"revision": "1"}, 422),
}
"""Name -> who, method, address, fields and status."""
SUBMIT = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: path });
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: token, ...fields }))
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  document.body.append(form);
  setTimeout(() => form.submit());
}"""


@EVERY_VIEW
@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.sampled(4)
def test_refusal_is_a_page_like_any_other(site: Site, name: str, view: View) -> None:
    who, method, path, fields, status = REFUSALS[name]
    page = site.windows(view).page_of(who)
    action, ended = (site.guide.address(site.windows(view).page_of("sam"), BY_NAME[end]) for end in ENDS)
    page.goto("/")
    with page.expect_navigation() as navigation:
        if method == "GET":
            page.goto(path)
        else:
            page.evaluate(SUBMIT, [path.format(action=action, ended=ended), fields])

    assert navigation.value.status == status
    expect(page.locator("[data-notice]")).to_be_visible()
    assert page.evaluate(LOOKS) == []
    assert site.complaints(view) == []


@pytest.mark.parametrize(
    "view", [PHONE, pytest.param(NARROW, marks=pytest.mark.long)], ids=["phone", "narrow"]
)
def test_every_action_and_investigation_fits(site: Site, view: View) -> None:
    """Names, results and warnings differ; nothing may be too wide."""
    page = site.windows(view).page_of("sam")
    wrong = {}
    for tab in (camera.PENDING, camera.HISTORY, camera.INVESTIGATIONS):
        page.goto(tab)
        for path in [row.get_attribute("href") or "" for row in page.locator(camera.ROW).all()]:
            page.goto(path)
            wrong[path] = page.evaluate(LOOKS)

    assert len(wrong) > 50
    assert {path: found for path, found in wrong.items() if found} == {}


def box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).bounding_box()
    assert found is not None
    return found


@pytest.mark.oversight("X-8")
@EVERY_VIEW
@pytest.mark.parametrize("name", ["pending-open", "action"])
def test_buttons_equal_weight(site: Site, name: str, view: View) -> None:
    page, _ = site.visit(BY_NAME[name], view)
    looks = "button => { const s = getComputedStyle(button); return [s.backgroundColor, s.color, s.fontWeight, s.borderColor] }"
    approve, reject = (box(page, f"#pane [value={verb}]") for verb in ("approve", "reject"))

    assert (approve["width"], approve["height"], approve["y"]) == pytest.approx(
        (reject["width"], reject["height"], reject["y"]), abs=1
    )
    assert page.locator("#pane [value=approve]").evaluate(looks) == page.locator(
        "#pane [value=reject]"
    ).evaluate(looks)


@EVERY_VIEW
def test_many_are_approved_and_rejected_by_equal_buttons_too(site: Site, view: View) -> None:
    page, _ = site.visit(BY_NAME["pending"], view)
    boxes = page.locator("#rows input[data-type=quarantine_file]")
    for at in (0, 1):
        boxes.nth(at).check()
    approve, reject = (page.locator(f"#bulk [value={verb}]") for verb in ("approve", "reject"))

    expect(approve).to_have_text("Approve 2")
    expect(approve).to_be_in_viewport(ratio=1)
    sizes = [button.bounding_box() or {} for button in (approve, reject)]
    assert sizes[0]["width"] == pytest.approx(sizes[1]["width"], abs=1)
    assert sizes[0]["height"] == pytest.approx(sizes[1]["height"], abs=1)
    assert page.evaluate(LOOKS) == []


def click_row(page: Page) -> None:
    page.goto(camera.PENDING)
    page.locator(camera.WAITS).first.click()


def open_by_key(page: Page) -> None:
    page.goto(camera.PENDING)
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)


def walk_inside(page: Page) -> None:
    click_row(page)
    page.locator("#pane [value=approve]").wait_for()
    number = page.locator("#action").get_attribute("data-number") or ""
    page.keyboard.press("j")
    expect(page.locator("#action")).not_to_have_attribute("data-number", number)


def open_by_address(page: Page) -> None:
    click_row(page)
    page.wait_for_url("**open=*")
    page.goto(page.url)


def look_at_the_page(page: Page) -> None:
    open_by_address(page)
    page.goto(f"/action-center/actions/{page.locator('#action').get_attribute('data-number')}")


def ask_for_the_comment(page: Page) -> None:
    click_row(page)
    page.locator("#pane [value=reject]").click()
    expect(page.locator("#comment")).to_be_focused()


@pytest.mark.oversight("X-8")
@pytest.mark.parametrize(
    "way", [click_row, open_by_key, walk_inside, open_by_address, look_at_the_page, ask_for_the_comment]
)
@pytest.mark.parametrize("view", [LIGHT, PHONE], ids=lambda view: view.name)
@pytest.mark.sampled(6)
def test_focus_never_on_approve(site: Site, way: Callable[[Page], None], view: View) -> None:
    """However an action is opened, a stray Enter or space decides nothing."""
    page, _ = site.visit(BY_NAME["pending"], view)
    way(page)
    expect(page.locator("#pane [value=approve]")).to_be_visible()
    expect(page.locator("button[name=verb]:focus")).to_have_count(0)
    before = page.locator("#action").get_attribute("data-number") or ""
    page.keyboard.press("Enter")
    page.goto(f"/action-center/actions/{before}")
    expect(page.locator("#pane [value=approve]")).to_be_visible()


@pytest.mark.parametrize("view", [LIGHT, PHONE], ids=lambda view: view.name)
def test_an_opened_row_puts_focus_on_its_evidence(site: Site, view: View) -> None:
    page, _ = site.visit(BY_NAME["pending"], view)
    page.locator(camera.WAITS).first.click()
    expect(page.locator("#pane [data-focus]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pane [value=approve]")).to_be_visible()


@pytest.mark.parametrize("name", ["pending-open", "pending-odd", "history-open", "action", "action-ended"])
def test_decisions_stay_in_reach_of_the_thumb(site: Site, name: str) -> None:
    page, _ = site.visit(BY_NAME[name], PHONE)
    bar = box(page, ".decide")
    buttons = page.locator(".decide button[name=verb]").all()

    assert buttons
    assert bar["y"] + bar["height"] == pytest.approx(PHONE.height, abs=1)
    for button in buttons:
        expect(button).to_be_in_viewport(ratio=1)
        assert (button.bounding_box() or {"height": 0})["height"] >= 44
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator("#pane .pb section").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= box(page, ".decide")["y"], "the bar covers the end of the page"


def test_the_checker_sees_what_is_wrong(chromium: Browser) -> None:
    """Planted faults: each must be found, or the tests above prove nothing."""
    page = chromium.new_page()
    for fault, markup in {
        "the page scrolls sideways": "<p style='width:3000px'>wide</p>",
        "scrolls sideways inside": "<div style='overflow:auto;width:90px'><p style='width:300px'>wide</p></div>",
        "cut without a sign": "<p style='overflow:hidden;width:40px;white-space:nowrap'>a name that is long</p>",
        "text spills over its border": "<button style='width:40px;white-space:nowrap'>Undo, move back</button>",
        "lies on": "<table><tr><td>one<td><span style='position:relative;left:-20px'>other</table>",
    }.items():
        page.set_content(markup)
        assert any(fault in said for said in page.evaluate(LOOKS)), fault
    page.set_content("<table><tr><td>one<td>other</table><p>fine</p>")
    assert page.evaluate(LOOKS) == []
    page.close()
