"""WCAG 2.2 A and AA as far as axe can tell, and the keyboard as far as a person needs it."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from actioncenter.ops.camera import STOPS, VIEWS, Stop
from tests.e2e.axe import AXE, RUN, TAGS, violations
from tests.e2e.site import ASSETS, Site, demo_site

pytestmark = pytest.mark.browser
LIGHT = VIEWS[0]
MANIFEST: list[dict[str, Any]] = json.loads((ASSETS / "manifest.json").read_text(encoding="utf-8"))[
    "vendored"
]
SCENES = {
    "help": lambda page: page.keyboard.press("?"),
    "columns": lambda page: page.get_by_text("Columns").click(),
    "selection": lambda page: page.locator("#rows tbody input:enabled").first.check(),
    "conflict": lambda page: page.locator("#notice").evaluate(NOTICE),
}
"""What a person opens on the list of what waits."""
NOTICE = """(place) => {
  place.replaceChildren(document.getElementById("failed").content.cloneNode(true));
  place.querySelector("[data-title]").textContent = "Already approved by Mira Chen";
  place.querySelector("[data-text]").textContent = "Your approval was not recorded.";
}"""


@pytest.fixture(scope="module")
def transactional_db() -> None:
    """The name alone makes pytest-django set the database up; one `site` serves all tests."""


@pytest.fixture(scope="module")
def site(
    chromium: Browser, transactional_db: None, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    with demo_site(chromium, django_db_blocker) as made:
        yield made


@pytest.fixture
def pending(site: Site) -> Page:
    page, _ = site.visit(next(stop for stop in STOPS if stop.name == "pending"), LIGHT)
    return page


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["package"])
def test_the_checker_is_what_was_reviewed(entry: dict[str, Any]) -> None:
    folder = ASSETS / entry["folder"]
    digests = {path.name: hashlib.sha384(path.read_bytes()).digest() for path in folder.iterdir()}

    assert {name: f"sha384-{base64.b64encode(digest).decode()}" for name, digest in digests.items()} == entry[
        "files"
    ]


@pytest.mark.oversight("X-8")
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
@pytest.mark.sampled(13)
def test_page_breaks_no_rule(site: Site, stop: Stop) -> None:
    page, _ = site.visit(stop, LIGHT)

    assert violations(page) == {}


@pytest.mark.parametrize("name", SCENES)
def test_what_a_person_opens_breaks_no_rule(pending: Page, name: str) -> None:
    SCENES[name](pending)

    assert violations(pending) == {}


def test_the_checker_sees_what_is_wrong(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content(
        "<title>x</title><main><img src='x.png'><p style='color:#aaa;background:#fff'>pale</p></main>"
    )
    page.evaluate(AXE)

    found = " ".join(page.evaluate(RUN, TAGS))
    assert all(rule in found for rule in ("image-alt", "color-contrast", "html-has-lang"))
    page.set_content("<style>button:focus { outline: 0 }</style><button>Approve</button>")
    page.keyboard.press("Tab")
    assert "Approve" in page.evaluate(LOOK)
    page.close()


def focused_row(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr[data-number]')?.dataset.number ?? ''"))


def numbers(page: Page) -> list[str]:
    return [row.get_attribute("data-number") or "" for row in page.locator("#rows tr[data-number]").all()]


@pytest.mark.oversight("X-8")
def test_keys_walk_select_open_and_close(pending: Page) -> None:
    first, second, third = numbers(pending)[:3]
    for key, at in (("j", first), ("j", second), ("j", third), ("k", second), ("k", first), ("k", first)):
        pending.keyboard.press(key)
        assert focused_row(pending) == at, key
    pending.keyboard.press("j")
    pending.keyboard.press("x")
    expect(pending.locator(f"#row-{second} input")).to_be_checked()
    expect(pending.locator("#bulk")).to_be_visible()
    pending.keyboard.press("x")
    expect(pending.locator("#bulk")).not_to_be_visible()
    pending.locator(f"#row-{second} a.row").focus()
    pending.keyboard.press("Enter")
    expect(pending.locator("#action")).to_have_attribute("data-number", second)
    assert f"open={second}" in pending.url
    pending.keyboard.press("j")
    expect(pending.locator("#action")).to_have_attribute("data-number", third)
    pending.keyboard.press("Escape")
    expect(pending.locator("#action")).to_have_count(0)
    assert focused_row(pending) == third
    assert "open=" not in pending.url


def test_slash_searches_and_keys_are_only_letters_while_typing(pending: Page) -> None:
    pending.keyboard.press("/")
    search = pending.locator("[data-search]")
    expect(search).to_be_focused()
    before = pending.url
    pending.keyboard.type("jkxarujk?/c")
    expect(search).to_have_value("jkxarujk?/c")
    expect(pending.locator("dialog[open]")).to_have_count(0)
    expect(pending.locator("#rows input:checked")).to_have_count(0)
    assert pending.url == before


def test_keys_are_only_letters_in_the_comment_of_a_decision(pending: Page) -> None:
    number = numbers(pending)[1]
    pending.goto(f"/action-center/pending?open={number}")
    pending.keyboard.press("c")
    comment = pending.locator("#pane #comment")
    expect(comment).to_be_focused()
    pending.keyboard.type("arjuxk?")
    expect(comment).to_have_value("arjuxk?")
    expect(pending.locator("#action")).to_have_attribute("data-number", number)
    expect(pending.locator("#pane [value=approve]")).to_be_visible()
    pending.keyboard.press("Escape")
    expect(comment).not_to_be_focused()
    expect(pending.locator("#action")).to_be_visible()


def test_help_opens_by_question_mark_and_switches_the_keys_off(pending: Page) -> None:
    pending.keyboard.press("?")
    help_ = pending.get_by_role("dialog", name="Keys")
    expect(help_).to_be_visible()
    pending.keyboard.press("j")
    assert focused_row(pending) == "", "keys rest while the help is open"
    help_.get_by_label("Single-key shortcuts").uncheck()
    pending.keyboard.press("Escape")
    expect(help_).not_to_be_visible()
    pending.keyboard.press("j")
    assert focused_row(pending) == ""
    pending.get_by_role("button", name="Keys").click()
    help_.get_by_label("Single-key shortcuts").check()
    help_.get_by_role("button", name="Close").click()
    pending.keyboard.press("j")
    assert focused_row(pending) == numbers(pending)[0]


LOOK = """() => {
  const focused = document.activeElement;
  if (focused === document.body || focused.matches("main, [data-focus]")) return "";
  const near = [focused];
  for (let at = focused.parentElement; at && near.length < 6; at = at.parentElement) near.push(at, ...at.children);
  const look = () => near.map((one) => {
    const s = getComputedStyle(one);
    return [s.outlineStyle === "none" ? "" : s.outlineWidth, s.boxShadow, s.borderColor, s.top].join();
  }).join("|");
  const before = look();
  focused.blur();
  const after = look();
  focused.focus({ focusVisible: true });
  return before === after ? focused.outerHTML.slice(0, 200) : "";
}"""


@pytest.mark.parametrize(
    "name",
    ["sign-in", "dashboard", "pending-open", "history", "group", "rules", "safeguards", "stops", "handover"],
)
@pytest.mark.sampled(4)
def test_focus_is_always_seen(site: Site, name: str) -> None:
    page, _ = site.visit(next(stop for stop in STOPS if stop.name == name), LIGHT)
    page.emulate_media(reduced_motion="reduce")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        unseen.append(page.evaluate(LOOK))

    assert [element for element in unseen if element] == []
