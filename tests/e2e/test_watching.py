"""Templates that are wrong on purpose: the watch over hostile names must see each, or it proves nothing."""

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from django.conf import settings
from django.template import Context, Engine
from playwright.sync_api import Browser, Page, Request, Route

from tests.e2e.hostile import ATTRIBUTES, HTMX, SCHEMES, SCRIPTS, TAGS
from tests.e2e.hostile_scene import cleaned
from tests.e2e.watching import Watch

pytestmark = pytest.mark.browser
HOME = "http://planted.example/"
HARMLESS = "harmless-name.exe"
WRONG = {
    "safe": "<main><p>{{ text|safe }}</p></main>",
    "no quotes": "<main><p title={{ text }}>x</p></main>",
    "address": '<main><a href="{{ text }}">x</a></main>',
    "none": "<main>x</main>",
    "script": "<main><script>String('{{ text|safe }}')</script></main>",
}
LIVE = {
    "safe": "<p>{{ text|safe }}</p>",
    "confirm": """<form hx-post="/own" hx-confirm="{{ text }}"><button>Approve</button></form>""",
    "by hand": """<form hx-post="/own" hx-vals='{"verb": "{{ text|safe }}"}'><button>Approve</button></form>""",
    "right": """<form hx-post="/own" aria-label="{{ text }}"><button>Approve</button></form>""",
}
"""Wrong where only htmx minds, and what is right beside them."""
STRICT = {"Content-Security-Policy": "default-src 'none'"}
PRODUCT = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'"
}
SCRIPT = settings.BASE_DIR / "static/vendor/htmx-4.0.1/htmx.min.js"


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


class Live:
    """A page with htmx on it, under the policy that the product has. Whatever it asks for comes to `sent`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.watch = Watch(page, HOME)
        self.watch.own.add("/own")
        self.sent: list[Request] = []
        page.route("**/*", self.answer)

    def answer(self, route: Route) -> None:
        if route.request.url == HOME:
            route.fulfill(body=self.body, headers=PRODUCT, content_type="text/html; charset=utf-8")
        elif route.request.url.endswith("/htmx.js"):
            route.fulfill(path=SCRIPT, content_type="text/javascript")
        else:
            self.sent.append(route.request)
            route.fulfill(status=204)

    def show(self, template: str, text: str) -> None:
        inside = Engine().from_string(LIVE[template]).render(Context({"text": cleaned(text, "name")}))
        self.body = f"<!doctype html><title>x</title><main>{inside}</main><script src=/htmx.js></script>"
        self.page.goto(HOME)
        self.settle()

    def settle(self) -> None:
        """A request that a page makes by itself starts within the next frames."""
        self.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 20))")


def test_a_request_in_the_name_of_the_viewer_is_seen(bare: Page) -> None:
    live = Live(bare)
    forging = []
    for text in HTMX:
        # What ends the page before htmx comes forges nothing.
        live.show("safe", text)
        if any(fault.startswith("forged") for fault in live.watch.faults()):
            forging.append(text)

    assert len(forging) >= 4


@pytest.mark.parametrize(
    ("template", "text", "told"),
    [("right", "js:pwn(1)", ""), ("confirm", "js:pwn(1)", "dead"), ("by hand", '","confirm":"yes', "more")],
    ids=["right", "dead", "more"],
)
def test_a_button_that_is_dead_or_says_more_is_seen(bare: Page, template: str, text: str, told: str) -> None:
    live = Live(bare)
    live.show(template, text)
    bare.get_by_role("button").click()
    live.settle()

    sent = [parse_qs(request.post_data or "") for request in live.sent]
    assert told == ("dead" if not sent else "more" if "confirm" in sent[0] else "")


@pytest.mark.parametrize(("template", "seen"), [("address", 4), ("meta", 1)])
def test_a_way_out_is_seen(bare: Page, template: str, seen: int) -> None:
    """A link that leads away, pressed; an element that leads away by itself."""
    watch, left = Watch(bare, HOME), 0
    for text in (
        [text for text in SCHEMES if "evil" in text][:8]
        if template == "address"
        else [text for text in TAGS if "refresh" in text]
    ):
        see(bare, "address" if template == "address" else "safe", text, STRICT)
        if template == "address":
            bare.locator("a").click(no_wait_after=True)
        bare.wait_for_timeout(20)
        left += any(fault.startswith(("asked", "left", "refused")) for fault in watch.faults())

    assert left >= seen


@pytest.mark.parametrize(
    ("header", "value", "told"),
    [
        ("Set-Cookie", "pwned=1; Path=/", "cookie pwned"),
        ("HX-Redirect", "https://evil.example/", "header hx-redirect"),
        ("X-File", "n\u00e4me", "header x-file"),
    ],
)
def test_a_header_that_a_name_got_into_is_seen(bare: Page, header: str, value: str, told: str) -> None:
    watch = Watch(bare, HOME)
    see(bare, "none", HARMLESS, {header: value})

    assert any(fault.startswith(told) for fault in watch.faults())
