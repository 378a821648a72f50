"""Whatever somebody calls a file: it is shown as it is, does nothing, breaks nothing, and can be decided."""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.execution.loop import drain
from actioncenter.audit.actor import Actor
from actioncenter.ops.camera import ROW, TABS
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import ConnectorInstance, Stop
from actioncenter.web.text import INVISIBLE
from tests import factories
from tests.e2e.hostile import ALWAYS, CORPUS
from tests.e2e.hostile_scene import Case, is_altered, store
from tests.e2e.site import serving
from tests.e2e.watching import Watch

pytestmark = pytest.mark.browser
SAMPLE = 5
PLAIN, PLAIN_ALTERED = "harmless name.exe", "harmless\x00name.exe"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
CAP = 300
NOT_ON_OVERVIEW = sorted(set(TABS) - {"alerts", "evidence", "pending"})
DECIDED = (
    "js:alert(1)",
    "<img src=x onerror=pwn(1)>",
    "');pwn(1)//",
    '" hx-get="/sign-out" hx-trigger="load',
)


def shown(text: str) -> str:
    """What a reader must see: the middle of a long name goes, what can't be seen is named."""
    text = text if len(text) <= CAP else f"{text[: CAP - CAP // 3 - 1]}…{text[-(CAP // 3) :]}"
    hidden = (unicodedata.category(char) in HIDDEN or char in INVISIBLE for char in text)
    return "".join(f"U+{ord(char):04X}" if named else char for char, named in zip(text, hidden, strict=True))


@dataclass
class World:
    """Findings with hostile names, and one page on which Sam looks at them. Faults are kept by place."""

    base: str
    page: Page
    watch: Watch
    cases: list[Case]
    plain: list[Case]
    shapes: dict[tuple[str, bool], str] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def blame(self, place: str, *faults: str) -> None:
        if faults:
            self.wrong.setdefault(place, []).extend(faults)

    def look(self, address: str) -> None:
        self.page.goto(address)
        self.blame(address, *self.watch.faults())

    def says(self, selector: str, expected: str) -> None:
        found = self.page.locator(selector).first.text_content() or ""
        if found.strip() != expected.strip():
            self.blame(self.page.url, f"{selector} says {found[:200]!r}, not {expected[:200]!r}")

    def keeps_shape(self, kind: str, case: Case, selector: str = "main") -> None:
        """The first of a kind, a harmless one, is what the others are measured by."""
        key = (kind, is_altered(case.text))
        ours = self.watch.shape(selector)
        if case.text in (PLAIN, PLAIN_ALTERED):
            self.shapes[key] = ours
        elif ours != self.shapes[key]:
            self.blame(
                self.page.url,
                f"{case.text[:60]!r} changed the elements of {kind}: {difference(self.shapes[key], ours)}",
            )


def difference(one: str, other: str) -> str:
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return f"{one[max(0, at - 60) : at + 60]} / {other[max(0, at - 60) : at + 60]}"


@pytest.fixture(scope="module")
def transactional_db() -> None:
    """The name alone makes pytest-django set the database up; one world serves several tests."""


@pytest.fixture(scope="module", params=["sample", pytest.param("all", marks=pytest.mark.long)])
def texts(request: pytest.FixtureRequest) -> list[str]:
    """Another sample with every seed of pytest-randomly, whose number stands at the head of the output."""
    if request.param == "all":
        return CORPUS
    chance = random.Random(request.config.getoption("randomly_seed", default=None))
    return [*ALWAYS, *chance.sample([text for text in CORPUS if text not in ALWAYS], SAMPLE)]


@pytest.fixture(scope="module")
def world(
    texts: list[str],
    chromium: Browser,
    transactional_db: None,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    with serving(django_db_blocker) as base:
        plain, altered, *cases = [
            store(number, text) for number, text in enumerate([PLAIN, PLAIN_ALTERED, *texts])
        ]
        ConnectorInstance.objects.update(settings={"pace": 0})
        for case in (plain, altered, *cases):
            decide(case)
        drain(by=Actor.system("runner"))
        page = window(chromium, base, "sam")
        yield World(base, page, Watch(page, base), cases, [plain, altered])
        page.context.close()


@pytest.fixture(autouse=True)
def nothing_wrong(world: World) -> Iterator[None]:
    """Faults are collected, so that one run tells of all; each test answers for its own."""
    world.wrong.clear()
    yield
    assert world.wrong == {}


def window(chromium: Browser, base: str, username: str) -> Page:
    client = Client()
    client.force_login(factories.person(username))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = chromium.new_context(base_url=base)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": base}])
    return context.new_page()


def decide(case: Case) -> None:
    """By somebody with such a name, who says such things."""
    name, comment = case.stored("person"), case.stored("comment") or "-"
    person = factories.person("mira")
    User.objects.filter(pk=person.pk).update(display_name=name)
    by = User.objects.get(pk=person.pk).actor()
    case.actions[ActionType.STOP_SERVICE].reject(by=by, comment=comment)
    case.actions[ActionType.KILL_PROCESS].approve(by=by, comment=comment)


def test_names_in_lists(world: World) -> None:
    for address in (
        "/",
        "/action-center/pending",
        "/action-center/history",
        "/investigations/",
        "/settings/groups",
        "/settings/connectors",
        "/settings/rules",
        "/settings/stops",
        "/settings/authority",
        "/notices",
        "/action-center/handover",
        "/action-center/reviews",
    ):
        world.look(address)
        following = world.page.locator(".foot a", has_text="Next")
        while following.count():
            read_rows(world)
            following.click()
            world.blame(world.page.url, *world.watch.faults())
        read_rows(world)


WORDS = """(selectors) => Object.fromEntries([...document.querySelectorAll("#rows tr[data-number]")].map((row) =>
  [row.dataset.number, selectors.map((one) => row.querySelector(one)?.textContent.trim() ?? null)]))"""
CELLS = [".c-tgt .mid", ".c-on .tx", ".c-grp .tx", ".c-by .tx"]


def read_rows(world: World) -> None:
    """Each row says its names, also after htmx has read it again."""
    if world.page.locator("#rows").count():
        with world.page.expect_response("**/action-center/**"):
            world.page.evaluate("setTimeout(() => document.body.dispatchEvent(new CustomEvent('changed')))")
        world.blame(world.page.url, *world.watch.faults())
    told = world.page.evaluate(WORDS, CELLS)
    for case in world.cases:
        name = shown(case.stored("name"))
        for kind, expected in {
            ActionType.QUARANTINE_FILE: [name, name, shown(case.group.name).strip(), None],
            ActionType.STOP_SERVICE: [name, name, None, shown(case.stored("person")) or "mira"],
        }.items():
            found = told.get(str(case.actions[kind].pk))
            if found not in (None, expected):
                world.blame(world.page.url, f"{found} instead of {expected}")


VISITS = ["action", "investigation", "group", "pane", "stop", "notice", "assign"]


@pytest.mark.parametrize("kind", VISITS)
@pytest.mark.sampled(2)
def test_names_on_pages_of_their_own(world: World, kind: str) -> None:
    seeing = (see_actions, see_investigation, see_group, see_pane, see_stop, see_notice, see_assign)
    visits = dict(zip(VISITS, seeing, strict=True))
    for case in (*world.plain, *world.cases):
        User.objects.filter(username="sam").update(display_name=case.stored("person"))
        visits[kind](world, case)
        world.says(".me .who bdi", shown(case.stored("person") or "sam"))


def see_actions(world: World, case: Case) -> None:
    for kind, action in case.actions.items():
        world.look(f"/action-center/actions/{action.pk}")
        world.keeps_shape(f"action {kind}", case)
        if kind == ActionType.STOP_SERVICE and len(case.text) <= CAP:
            said = [shown(line) for line in case.stored("comment").replace("\r\n", "\n").split("\n")]
            world.says("blockquote", f"“{''.join(said) or '-'}”")


def see_investigation(world: World, case: Case) -> None:
    world.look(f"/investigations/{case.investigation.pk}")
    world.says("h1", shown(case.stored("title")))
    world.keeps_shape("investigation", case)
    if case in world.cases[SAMPLE:] and len(world.cases) < len(CORPUS):
        return
    for tab in NOT_ON_OVERVIEW:
        world.look(f"/investigations/{case.investigation.pk}?tab={tab}")
        world.keeps_shape(f"investigation {tab}", case)


def see_group(world: World, case: Case) -> None:
    world.look(f"/settings/groups/{case.group.pk}")
    world.says(".crumb bdi", shown(case.group.name))
    world.keeps_shape("group", case)
    for path in ("/action-center/pending", "/action-center/history", "/investigations/"):
        world.look(f"{path}?q={quote(case.stored('comment')[:200].encode('utf-8'))}")
        if 3 <= len(case.stored("comment")) <= 200:
            world.keeps_shape(f"search {path}", case, ".filters")


def see_pane(world: World, case: Case) -> None:
    """Opened by htmx, the way a person opens it."""
    action = case.actions[ActionType.QUARANTINE_FILE]
    world.look(f"/action-center/pending?investigation={case.investigation.pk}")
    world.page.locator(f"#row-{action.pk} {ROW}").click()
    expect(world.page.locator("#action")).to_have_attribute("data-number", str(action.pk))
    world.keeps_shape("pane", case, "#pane")
    world.blame(world.page.url, *world.watch.faults())


def see_stop(world: World, case: Case) -> None:
    """Of such a group, by such a person, for such a reason; above every page and on its own."""
    by, noa = factories.person("mira").actor(), factories.actor(factories.person("noa"))
    User.objects.filter(username="mira").update(display_name=case.stored("person"))
    reason = case.stored("comment")[:500]
    stop = Stop.pull(StopKind.STOP, StopScope.GROUP, case.group.pk, by=by, reason=reason)
    world.look("/settings/stops")
    world.keeps_shape("banner of a stop", case, "#stops")
    world.keeps_shape("stop", case, "#switches .stopped")
    stop.lift(by=noa, comment=reason)
    world.look("/settings/stops")
    world.keeps_shape("stop of before", case, ".tl li")


def see_notice(world: World, case: Case) -> None:
    sam = factories.person("sam")
    sam.notices.all().delete()
    notify([sam], "test", title=case.stored("name") or "-", url="/", severity=Severity.URGENT)
    world.look("/notices")
    world.keeps_shape("urgent notice", case, "#urgent")
    world.keeps_shape("notice", case, ".told li")
    sam.notices.all().delete()


def see_assign(world: World, case: Case) -> None:
    User.objects.filter(username="mira").update(display_name=case.stored("person"))
    world.look(f"/action-center/actions/{case.actions[ActionType.QUARANTINE_FILE].pk}/assign")
    world.keeps_shape("assign", case)


@pytest.mark.parametrize("text", DECIDED)
def test_what_has_such_a_name_can_be_approved(world: World, text: str) -> None:
    case = store(1_000 + DECIDED.index(text), f"{text}.exe")
    action = case.actions[ActionType.QUARANTINE_FILE]
    world.look(f"/action-center/pending?investigation={case.investigation.pk}")
    world.page.locator(f"#row-{action.pk} {ROW}").click()
    world.page.locator("#pane").get_by_role("button", name="Approve").click()
    expect(world.page.locator(f"#row-{action.pk}")).not_to_be_visible()

    action.refresh_from_db()
    assert action.decision == Decision.APPROVED
    assert world.watch.faults() == []


def test_who_was_faster_and_what_became_of_many_is_told_harmlessly(world: World) -> None:
    for case in (*world.plain, *world.cases[:SAMPLE]):
        ended = case.actions[ActionType.STOP_SERVICE]
        world.look("/action-center/pending")
        world.page.evaluate(POST, [f"/action-center/actions/{ended.pk}/approve", {"revision": "1"}])
        expect(world.page.locator("h2", has_text="Already rejected")).to_be_visible()
        world.keeps_shape("conflict", case)
        world.look("/action-center/pending")
        world.page.evaluate(POST, ["/action-center/bulk", {"verb": "reject", "comment": "no", "selected": f"{ended.pk}:1", "next": "/action-center/pending", "idempotency_key": f"k{ended.pk}"}])  # fmt: skip
        expect(world.page.locator(".outs .tx")).to_be_visible()
        world.keeps_shape("results", case, ".outs")
        world.blame(world.page.url, *world.watch.faults())


POST = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: path });
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: token, ...fields }))
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  document.body.append(form);
  setTimeout(() => form.submit());
}"""
