"""Whatever somebody calls a file: it is shown as it is, does nothing, breaks nothing, and can be decided."""

import random
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, quote

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Error, expect
from pytest_django import DjangoDbBlocker

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.execution.loop import drain
from actioncenter.actions.models import Action, Handover
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.ops.camera import ROW, TABS
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import ConnectorInstance, Stop
from actioncenter.web.sheets import neutral
from tests import factories
from tests.e2e.hostile import ALWAYS, CORPUS
from tests.e2e.hostile_scene import Case, store
from tests.e2e.hostile_world import CAP, PLAIN, PLAIN_ALTERED, World, decide, download, send, shown, window
from tests.e2e.site import serving
from tests.e2e.watching import Watch

pytestmark = pytest.mark.browser
SAMPLE = 2
NOT_ON_OVERVIEW = sorted(set(TABS) - {"alerts", "evidence", "pending"})
DECIDED = (
    "js:alert(1)",
    "<img src=x onerror=pwn(1)>",
    "');pwn(1)//",
    '" hx-get="/sign-out" hx-trigger="load',
)


@pytest.fixture(scope="module")
def transactional_db() -> None:
    """The name alone makes pytest-django set the database up; one world serves several tests."""


PARTS = 8
ALL = [pytest.param(f"part-{number}", marks=pytest.mark.long) for number in range(PARTS)]


@pytest.fixture(scope="module", params=["sample", *ALL])
def texts(request: pytest.FixtureRequest) -> list[str]:
    """Another sample with every seed of pytest-randomly, whose number stands at the head of the output."""
    if request.param != "sample":
        return CORPUS[int(request.param.removeprefix("part-")) :: PARTS]
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


@pytest.fixture(scope="module")
def audited(world: World, chromium: Browser) -> Iterator[World]:
    page = window(chromium, world.base, "ivo")
    yield world.through(page)
    page.context.close()


@pytest.fixture(autouse=True)
def nothing_wrong(world: World) -> Iterator[None]:
    """Faults are collected, so that one run tells of all; each test answers for its own."""
    world.wrong.clear()
    yield
    assert world.wrong == {}


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
        "/reports/?by=group",
        "/reports/?by=person",
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


def test_names_in_the_log(audited: World) -> None:
    for address in ("/audit/events", "/audit/views", "/audit/reports"):
        audited.look(address)
    for case in (*audited.plain, *audited.cases):
        for kind in (ActionType.QUARANTINE_FILE, ActionType.STOP_SERVICE):
            action = case.actions[kind]
            audited.look(f"/audit/actions/{action.pk}")
            audited.keeps_shape(f"story {kind}", case, ".tt")
            event = Event.objects.filter(stream=f"action:{action.pk}").latest("pk")
            audited.look(f"/audit/events/{event.pk}")
            audited.keeps_shape(f"event {event.kind}", case, ".tt")


VISITS = ["action", "investigation", "group", "pane", "stop", "notice", "assign", "toast"]


@pytest.mark.parametrize("kind", VISITS)
@pytest.mark.sampled(2)
def test_names_on_pages_of_their_own(world: World, kind: str) -> None:
    seeing = (
        see_actions,
        see_investigation,
        see_group,
        see_pane,
        see_stop,
        see_notice,
        see_assign,
        see_toast,
    )
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
        world.look(f"/action-center/actions/{action.pk}/targets")
        world.keeps_shape(f"targets {kind}", case)


def see_investigation(world: World, case: Case) -> None:
    world.look(f"/investigations/{case.investigation.pk}")
    world.says("h1", shown(case.stored("title")))
    world.keeps_shape("investigation", case)
    if len(world.cases) < len(CORPUS) // PARTS and case not in (*world.plain, *world.cases[:1]):
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
    for verb in ("Approve", "Reject"):
        press(world, action.pk, verb)
    world.blame(world.page.url, *world.watch.faults())


FIELDS = {
    "csrfmiddlewaretoken",
    "revision",
    "plan",
    "mode",
    "then",
    "idempotency_key",
    "next",
    "comment",
    "verb",
}


def press(world: World, number: int, verb: str) -> None:
    """The button sends its own fields, and no others. The server never hears of it, so that all can be pressed."""
    page, path = world.page, f"/action-center/actions/{number}/{verb.lower()}"
    world.watch.own.add(path)
    page.route(f"**{path}", lambda route: route.fulfill(status=204))
    page.locator("#comment").fill("because")
    try:
        with page.expect_request(f"**{path}") as sent:
            page.locator("#pane").get_by_role("button", name=verb).click()
        fields = parse_qs(sent.value.post_data or "", keep_blank_values=True)
        expected = {"revision": ["1"], "comment": ["because"], "verb": [verb.lower()]}
        if fields.keys() != FIELDS or any(fields[name] != value for name, value in expected.items()):
            world.blame(page.url, f"{verb} sends {fields}")
        # Answered: what was said is gone, and the form takes the next press.
        expect(page.locator("#comment")).to_have_value("", timeout=120_000)
        expect(page.locator("#pane [aria-busy]")).to_have_count(0, timeout=120_000)
    except Error as error:
        world.blame(page.url, f"{verb} is dead: {error}")
    page.unroute(f"**{path}")


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


def see_toast(world: World, case: Case) -> None:
    """Handed to somebody of such a name, which the next page confirms."""
    mira = factories.person("mira")
    User.objects.filter(pk=mira.pk).update(display_name=case.stored("person"))
    path = f"/action-center/actions/{case.actions[ActionType.QUARANTINE_FILE].pk}/hand-over"
    send(world, path, {"to": str(mira.pk), "comment": case.stored("comment")})
    name = shown(
        f"{Action.objects.get(pk=case.actions[ActionType.QUARANTINE_FILE].pk).label} was handed to {case.stored('person') or 'mira'}."
    )
    world.says("[data-notice] p", name)
    world.keeps_shape("toast", case, "[data-notice]")
    world.blame(world.page.url, *world.watch.faults())


def test_files_say_the_same_names(world: World) -> None:
    for tab in ("pending", "history"):
        for form in ("csv", "jsonl"):
            rows = download(world, f"/action-center/{tab}/export.{form}")
            for case in world.cases:
                row = rows.get(case.actions[ActionType.QUARANTINE_FILE].pk)
                written = neutral if form == "csv" else str
                name = written(case.stored("name"))
                if row is not None and (row["target"], row["on"]) != (name, name):
                    world.blame(form, f"{row} instead of {name!r}")


def test_the_sheet_of_a_shift(world: World) -> None:
    mira = factories.person("mira")
    for case in (*world.plain, *world.cases[:SAMPLE]):
        User.objects.filter(pk=mira.pk).update(display_name=case.stored("person"))
        by = User.objects.get(pk=mira.pk).actor()
        sheet = Handover.offer(
            by=by, since=timezone.now() - timedelta(hours=1), concerns=case.stored("comment")
        )
        world.look(f"/action-center/handover/{sheet.pk}")
        world.keeps_shape("sheet", case, ".stack > section")
        sheet.cancel(by=by)


@pytest.mark.parametrize("text", DECIDED)
def test_what_has_such_a_name_can_be_approved(world: World, text: str) -> None:
    case = store(1_000 + DECIDED.index(text), f"{text}.exe")
    action = case.actions[ActionType.QUARANTINE_FILE]
    world.look(f"/action-center/pending?investigation={case.investigation.pk}")
    world.page.locator(f"#row-{action.pk} {ROW}").click()
    world.watch.own.add(f"/action-center/actions/{action.pk}/approve")
    world.page.locator("#pane").get_by_role("button", name="Approve").click()
    expect(world.page.locator(f"#row-{action.pk}")).not_to_be_visible()

    action.refresh_from_db()
    assert action.decision == Decision.APPROVED
    assert world.watch.faults() == []


def test_who_was_faster_and_what_became_of_many_is_told_harmlessly(world: World) -> None:
    for case in (*world.plain, *world.cases[:SAMPLE]):
        ended = case.actions[ActionType.STOP_SERVICE]
        send(world, f"/action-center/actions/{ended.pk}/approve", {"revision": "1"})
        expect(world.page.locator("h2", has_text="Already rejected")).to_be_visible()
        world.keeps_shape("conflict", case)
        send(world, "/action-center/bulk", {"verb": "reject", "comment": "no", "selected": f"{ended.pk}:1", "next": "/action-center/pending"})  # fmt: skip
        expect(world.page.locator(".outs .tx")).to_be_visible()
        world.keeps_shape("results", case, ".outs")
        world.blame(world.page.url, *world.watch.faults())
