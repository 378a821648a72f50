"""Columns of Pending and History as somebody wants them: which, in which order, how wide, and how dense the rows are."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.models import User
from actioncenter.actions.columns import ALWAYS, COLUMNS, NARROW_TOO, OWN, Layout
from actioncenter.actions.queries import Tab
from actioncenter.audit.models import Event
from actioncenter.web.templatetags import kept
from tests import factories
from tests.actions.varied import table

pytestmark = pytest.mark.django_db
PENDING, HISTORY = "/action-center/pending", "/action-center/history"
ROWS = {"HX-Request": "true", "HX-Target": "div#rows"}


@pytest.fixture
def mira(client: Client) -> Client:
    return signed_in("mira", client)


def signed_in(name: str, client: Client | None = None) -> Client:
    client = client or Client()
    client.force_login(factories.person(name))
    return client


def usual_form(tab: Tab, **more: Any) -> dict[str, Any]:
    """What the page sends when nothing was touched."""
    sent: dict[str, Any] = {f"width_{key}": "normal" for key, column in COLUMNS[tab].items() if column.width}
    shown = [column.key for column in OWN[tab] if column.key not in ALWAYS[tab]]
    return {**sent, "shown": shown, "density": "usual", **more}


def choose(client: Client, tab: Tab = Tab.PENDING, **more: Any) -> Any:
    return client.post(f"/action-center/{tab}/columns", usual_form(tab, **more))


def kept_by(name: str) -> dict[str, Any]:
    return User.objects.get(username=name).lists


def heads(text: str) -> list[str]:
    """The columns of a list by their classes, without the box."""
    return re.findall(r'<th class="(c-[a-z0-9]+)', text)[1:]


def cells(text: str) -> list[list[str]]:
    """The same of each row."""
    rows = re.findall(r'<tr id="row-.*?</tr>', text, re.DOTALL)
    return [re.findall(r'<td class="(c-[a-z0-9]+)', row)[1:] for row in rows]


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_widths_are_those_of_the_stylesheet() -> None:
    css = (Path(settings.BASE_DIR) / "static/css/table.css").read_text().partition("@container")[0]
    found = {name: int(width) for name, width in re.findall(r"\.(c-[a-z0-9]+) \{ --w: (\d+)px", css)}
    for tab in Tab:
        for column in COLUMNS[tab].values():
            assert found.get(column.css, 0) == column.width, column.key


def test_what_a_narrow_list_leaves_out_is_what_the_stylesheet_hides() -> None:
    css = (Path(settings.BASE_DIR) / "static/css/table.css").read_text()
    rule = css.partition("/* beside the open pane */")[2].partition("@container list (max-width: 680px)")[0]
    for tab, name in ((Tab.PENDING, "pend"), (Tab.HISTORY, "hist")):
        hidden = set(re.findall(rf"\.{name} \.(c-[a-z0-9]+)(?=[^{{]*\{{ display: none)", rule))
        assert {column.css for column in OWN[tab] if column.key not in NARROW_TOO[tab]} == hidden


@pytest.mark.parametrize("tab", Tab)
def test_a_move_takes_one_place_and_loses_nothing(tab: Tab) -> None:
    rng, layout = random.Random(5), Layout.usual(tab)
    for _ in range(200):
        before = list(layout.columns)
        at, by = rng.randrange(len(before)), rng.choice([-1, 1])
        layout = layout.moved(before[at], by)
        if 0 <= at + by < len(before):
            before[at], before[at + by] = before[at + by], before[at]
        assert list(layout.columns) == before
        assert sorted(layout.order) == sorted(COLUMNS[tab])
        assert Layout.of(tab, {tab.value: layout.kept()}) == layout


def test_a_hidden_column_between_two_is_no_place() -> None:
    layout = Layout.of(Tab.HISTORY, {"history": {"shown": ["result", "source", "readback"]}})

    assert layout.columns == ("action", "target", "result", "source", "readback")
    assert layout.moved("readback", -1).columns == ("action", "target", "result", "readback", "source")
    assert layout.moved("action", -1) == layout


def test_what_came_or_went_since_it_was_kept_is_where_it_is_usually() -> None:
    lists = {
        "pending": {"order": ["gone", "target", "action", "target"], "shown": ["gone", "age"], "widths": {"gone": "wide", "on": "huge", "age": "wide"}},
        "density": "cosy",
    }  # fmt: skip

    layout = Layout.of(Tab.PENDING, lists)

    assert layout.columns == ("target", "action", "why", "verdict", "age", "expires", "undo")
    assert (layout.widths, layout.density) == ({"age": "wide"}, "usual")


@pytest.mark.parametrize(("tab", "address"), [(Tab.PENDING, PENDING), (Tab.HISTORY, HISTORY)])
def test_cells_follow_their_headings_for_everybody(mira: Client, tab: Tab, address: str) -> None:
    """Drawn rows are kept and shared: each layout has its own."""
    table(40, random.Random(3))
    kept.forget()
    rng, sam = random.Random(8), signed_in("sam")
    usual = heads(shown(sam, address))
    assert usual == [column.css for column in OWN[tab]]
    for _ in range(6):
        order = rng.sample(list(COLUMNS[tab]), len(COLUMNS[tab]))
        some = rng.sample(order, rng.randrange(len(order)))
        factories.person("mira").choose_lists(
            {tab.value: {"order": order, "shown": some}}, by=factories.SETUP
        )
        wanted = [COLUMNS[tab][key].css for key in order if key in some or key in ALWAYS[tab]]
        text = shown(mira, address)
        assert heads(text) == wanted
        assert {tuple(row) for row in cells(text)} == {tuple(wanted)}
        assert {tuple(row) for row in cells(shown(sam, address))} == {tuple(usual)}
        for spans in re.findall(r'<tr class="band".*?</tr>', text, re.DOTALL):
            assert sum(map(int, re.findall(r'colspan="(\d+)"', spans))) == len(wanted) + 1


def test_an_extra_column_says_the_same_wherever_it_stands(mira: Client) -> None:
    action = factories.waiting_action()

    choose(mira, shown=["entity", "created", "investigation"])
    for _ in range(4):
        choose(mira, shown=["entity", "created", "investigation"], move="left:investigation")

    text = re.sub(r"\s+", " ", shown(mira, PENDING))
    row = re.findall(r"<td class=\"c-xtra\"><bdi>(.*?)</bdi></td>", text)
    assert row[:2] == [f"INV-{action.investigation_id}", "File"]
    assert heads(text).index("c-xtra") < heads(text).index("c-und")


def test_moves_are_kept_and_the_button_keeps_the_focus(mira: Client) -> None:
    table(10, random.Random(1))
    answer = choose(mira, move="right:target", next=f"{PENDING}?verdict=malicious")
    page = shown(mira, answer["Location"])

    assert re.search(r'value="right:target"[^>]*autofocus', page)
    assert f'value="{PENDING}?verdict=malicious"' in page
    assert kept_by("mira")["pending"]["order"][:3] == ["action", "on", "target"]
    assert heads(shown(mira, HISTORY)) == [column.css for column in OWN[Tab.HISTORY]], "the other tab stays"

    end = choose(mira, move="left:on")
    page = shown(mira, end["Location"])
    assert re.search(r'value="left:on"[^>]*disabled', page)
    assert re.search(r'value="right:on"[^>]*autofocus', page), "at the edge the other way is left"


def test_widths_and_density_are_classes_and_no_style(mira: Client) -> None:
    factories.waiting_action()
    assert "fit-" not in shown(mira, PENDING)

    answer = choose(mira, width_on="wide", width_why="narrow", density="compact")

    assert answer["Location"] == PENDING
    text = shown(mira, PENDING)
    assert '<table class="grid pend compact own fit-' in text
    assert '<th class="c-on wide"' in text
    assert '<th class="c-why narrow"' in text
    assert "style=" not in text
    assert '<table class="grid hist compact"' not in shown(mira, HISTORY), "nothing is listed there yet"
    assert kept_by("mira") == {"pending": {"widths": {"on": "wide", "why": "narrow"}}, "density": "compact"}


def test_a_table_is_as_wide_as_its_columns_ask_for() -> None:
    widest = Layout(
        Tab.HISTORY, tuple(COLUMNS[Tab.HISTORY]), frozenset(COLUMNS[Tab.HISTORY]),
        dict.fromkeys(COLUMNS[Tab.HISTORY], "wide"),
    )  # fmt: skip
    css = (Path(settings.BASE_DIR) / "static/css/table.css").read_text()
    least = Layout.of(
        Tab.HISTORY, {"history": {"shown": [], "widths": {"result": "narrow", "action": "narrow"}}}
    )
    for layout in (widest, least):
        name = layout.css().split()[-1]
        assert f".{name} {{ min-width: {name.removeprefix('fit-')}00px; }}" in css
    sums = 40 + 220 + sum(column.width * 1.6 for column in COLUMNS[Tab.HISTORY].values())
    assert 0 <= sums - int(widest.css().split("fit-")[1]) * 100 < 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shown": ["nonsense"]}, "“nonsense” is no column of this list."),
        ({"shown": ["result"]}, "“result” is no column of this list."),
        ({"shown": ["<script>alert(1)</script>"]}, "is no column of this list."),
        ({"width_on": "9000px"}, "“9000px” is no width."),
        ({"width_target": "wide"}, "“width_target” is no width of a column of this list."),
        ({"width_x;color:red": "wide"}, "is no width of a column of this list."),
        ({"density": "compact own"}, "“compact own” is no density."),
        ({"move": "up:on"}, "“up:on” is no move of a column."),
        ({"move": "left:nonsense"}, "“left:nonsense” is no move of a column."),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_kept(
    mira: Client, change: dict[str, Any], said: str
) -> None:
    events = Event.objects.count()

    answer = choose(mira, **change)

    assert answer.status_code == 400
    assert said in answer.context["error"]
    assert "<script>alert" not in answer.content.decode()
    assert (kept_by("mira"), Event.objects.count()) == ({}, events)
    assert mira.get("/action-center/nonsense/columns").status_code == 404
    assert choose(mira, next="https://evil.example/")["Location"] == PENDING


def test_what_one_decides_by_cannot_be_put_away(mira: Client) -> None:
    factories.waiting_action()

    choose(mira, shown=[])

    assert heads(shown(mira, PENDING)) == ["c-act", "c-tgt", "c-why", "c-ver", "c-exp", "c-und"]


def test_back_to_the_usual(mira: Client) -> None:
    choose(mira, Tab.HISTORY, shown=["by"])
    choose(mira, move="right:action", width_on="wide", density="roomy")

    answer = mira.post("/action-center/pending/columns", {"usual": "1"})

    assert answer["Location"].startswith("/action-center/pending/columns?")
    assert kept_by("mira") == {"history": {"shown": ["action", "target", "result", "by"]}}
    changes = Event.objects.filter(kind="user.changed").order_by("-id").first()
    assert changes is not None
    assert (changes.after or {})["lists"] == kept_by("mira")


def test_an_address_names_extra_columns_for_whoever_opens_it(mira: Client) -> None:
    factories.waiting_action()
    choose(mira, shown=["source", "age"], move="left:undo")

    assert shown(mira, f"{PENDING}?columns=entity&columns=created").count('<td class="c-xtra">') == 2
    state = mira.get(PENDING).context
    assert state["save"]["query"] == "columns=source", "a view is saved as it is laid out"
    assert "columns" not in state["list_url"]
    answer = mira.get(f"{PENDING}?columns=nonsense")
    assert answer.status_code == 400
    assert "This list has no column “nonsense”" in answer.content.decode()


def test_a_poll_tells_of_another_layout(mira: Client) -> None:
    factories.waiting_action()
    tag = mira.get(PENDING, headers=ROWS)["HX-PTag"]
    assert mira.get(PENDING, headers={**ROWS, "HX-PTag": tag}).status_code == 304

    choose(mira, density="roomy")

    assert mira.get(PENDING, headers={**ROWS, "HX-PTag": tag}).status_code == 200


@pytest.mark.parametrize("address", [PENDING, HISTORY])
def test_it_costs_no_query(mira: Client, address: str) -> None:
    table(30, random.Random(4))

    def cost() -> int:
        shown(mira, address)
        with CaptureQueriesContext(connection) as queries:
            shown(mira, address)
        return len(queries)

    before = cost()
    for tab in Tab:
        choose(mira, tab, shown=list(COLUMNS[tab])[2:4], width_on="wide", density="compact")
    assert cost() == before


def test_files_name_the_same_columns_whatever_a_page_shows(mira: Client) -> None:
    table(10, random.Random(4))

    def head() -> bytes:
        answer: Any = mira.get("/action-center/history/export.csv")
        return b"".join(answer.streaming_content).splitlines()[0]

    before = head()
    choose(mira, Tab.HISTORY, shown=[], move="right:action")
    assert head() == before
