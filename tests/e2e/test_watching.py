"""Templates that are wrong on purpose: the watch over hostile names must see each, or it proves nothing."""

from collections.abc import Iterator

import pytest
from django.template import Context, Engine
from playwright.sync_api import Browser, Page, Route

from tests.e2e.hostile import ATTRIBUTES, SCRIPTS, TAGS
from tests.e2e.hostile_scene import cleaned
from tests.e2e.watching import Watch

pytestmark = pytest.mark.browser
HOME = "http://planted.example/"
HARMLESS = "harmless-name.exe"
WRONG = {
    "safe": "<main><p>{{ text|safe }}</p></main>",
    "no quotes": "<main><p title={{ text }}>x</p></main>",
    "address": '<main><a href="{{ text }}">x</a></main>',
    "script": "<main><script>String('{{ text|safe }}')</script></main>",
}
STRICT = {"Content-Security-Policy": "default-src 'none'"}


@pytest.fixture
def bare(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def see(page: Page, template: str, text: str, headers: dict[str, str]) -> None:
    body = Engine().from_string(WRONG[template]).render(Context({"text": cleaned(text, "name")}))

    def answer(route: Route) -> None:
        if route.request.url == HOME:
            route.fulfill(body=f"<!doctype html><title>x</title><body>{body}", headers=headers, content_type="text/html; charset=utf-8")  # fmt: skip
        else:
            route.abort()

    page.unroute_all()
    page.route("**/*", answer)
    page.goto(HOME, wait_until="commit")
    page.wait_for_load_state()


@pytest.mark.parametrize(
    ("template", "texts", "headers", "told", "least"),
    [
        ("safe", TAGS, {}, "ran pwn", 10),
        ("safe", TAGS, STRICT, "refused", 10),
        ("safe", TAGS, {}, "asked https://evil.example/", 3),
        ("script", SCRIPTS, {}, "ran pwn", 2),
    ],
    ids=["script", "refusal", "request", "breakout"],
)
def test_what_a_wrong_template_lets_through_is_seen(
    bare: Page, template: str, texts: list[str], headers: dict[str, str], told: str, least: int
) -> None:
    watch = Watch(bare, HOME)
    caught = []
    for text in texts:
        see(bare, template, text, headers)
        if any(fault.startswith(told) for fault in watch.faults()):
            caught.append(text)

    assert len(caught) >= least


@pytest.mark.parametrize(
    ("template", "texts"), [("safe", TAGS[::2]), ("no quotes", ATTRIBUTES)], ids=["elements", "attributes"]
)
def test_what_a_name_adds_to_the_page_is_seen(bare: Page, template: str, texts: list[str]) -> None:
    watch = Watch(bare, HOME)
    see(bare, template, HARMLESS, STRICT)
    harmless = watch.shape("body")
    changed = []
    for text in texts:
        see(bare, template, text, STRICT)
        if watch.shape("body") != harmless:
            changed.append(text)

    assert len(changed) >= len(texts) / 2
