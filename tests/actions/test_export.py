"""Pending and History as files: exactly the list, for whoever may see it, and nothing that runs in a spreadsheet."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from actioncenter.actions.exporting import FORMATS, KEYS
from actioncenter.actions.models import Action
from actioncenter.actions.queries import Tab
from actioncenter.actions.queries.exporting import COLUMNS
from actioncenter.audit.models import Event
from actioncenter.web import streams
from tests import factories
from tests.actions.varied import ENDED, LIVE, proposed, put, table
from tests.web.test_sheets import AFTER, BEFORE, TRIGGERS

pytestmark = pytest.mark.django_db
QUERIES = [
    "",
    "?type=isolate",
    "?q=invoice&sort=-on",
    "?verdict=suspicious&sort=action",
    "?size=25",
    "?source=timer&sort=target",
]

OUTSIDE = {
    "target": "target_name",
    "on": "on_name",
    "group": "group_name",
    "decided_by": "decided_by_name",
    "comment": "decision_comment",
}


def test_every_text_from_outside_is_known_as_such() -> None:
    assert {column.key for column in COLUMNS if column.outside} == set(OUTSIDE)


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def file(client: Client, tab: Tab, query: str = "", form: str = "csv") -> str:
    answer = client.get(f"/action-center/{tab}/export.{form}{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def cells(text: str) -> list[dict[str, str]]:
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == [column.head for column in COLUMNS]
    return [dict(zip(KEYS, row, strict=True)) for row in rows]


def listed(client: Client, tab: Tab, query: str) -> list[int]:
    """The numbers on all pages of a list, in order."""
    address, found = f"/action-center/{tab}{query}", []
    while address:
        shown = client.get(address).context
        found += shown["numbers"]
        address = shown["page"]["next_url"]
    return found


@pytest.mark.parametrize("tab", Tab)
def test_a_file_is_exactly_the_list(mira: Client, tab: Tab) -> None:
    table(70, random.Random(7))

    for query in QUERIES:
        numbers = listed(mira, tab, query)
        assert [int(row["number"]) for row in cells(file(mira, tab, query))] == numbers, query
        lines = [json.loads(line) for line in file(mira, tab, query, "jsonl").splitlines()]
        assert [line["number"] for line in lines] == numbers, query


def test_a_running_state_is_a_list_too(mira: Client) -> None:
    table(70, random.Random(7))

    rows = cells(file(mira, Tab.HISTORY, "?result=queued"))
    assert [int(row["number"]) for row in rows] == listed(mira, Tab.HISTORY, "?result=queued")
    assert {row["result"] for row in rows} == {"Queued"}


def test_both_forms_say_the_same_in_the_words_of_the_page(mira: Client) -> None:
    for at, (decision, execution) in enumerate([*ENDED, *LIVE]):
        put(proposed(name=f"file-{at}.exe"), decision, execution)
    shown = {
        row["number"]: row
        for group in mira.get("/action-center/history").context["groups"]
        for row in group["rows"]
    }

    rows = cells(file(mira, Tab.HISTORY))
    assert len(rows) == len(shown) == len(ENDED) + len(LIVE)
    for row in rows:
        page = shown[int(row["number"])]
        assert (row["action"], row["target"], row["on"]) == (page["type_label"], page["target"], page["on"])
        assert row["source"] == page["source_label"]
        assert row["result"] == page["result_label"]
    lines = [json.loads(line) for line in file(mira, Tab.HISTORY, form="jsonl").splitlines()]
    assert [
        {key: "" if value is None else str(value) for key, value in line.items()} for line in lines
    ] == rows


def test_what_was_taken_back_says_so(mira: Client) -> None:
    done = put(proposed(), *ENDED[0])
    undo = put(proposed(name="other"), *next(pair for pair in ENDED if pair[1].name == "SUCCEEDED"))
    Action.objects.filter(pk=done.pk).update(undone_by=undo)

    results = {int(row["number"]): row["result"] for row in cells(file(mira, Tab.HISTORY))}
    assert results[done.pk] == "Undone"


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_no_cell_runs_in_a_spreadsheet(mira: Client, before: str) -> None:
    """Every beginning of a formula, among the cells that somebody else can fill."""
    put(proposed(), *ENDED[0])
    hostile = [f"{before}{trigger}{after}" for trigger in TRIGGERS if trigger != "\0" for after in AFTER]
    harmless = ["harmless", '","=1+1', 'a\n","=1', "ｱ", "日本語.exe", ""]
    texts = iter([*hostile, *harmless])
    while some := dict(zip(OUTSIDE, texts, strict=False)):
        Action.objects.update(**{field: some[key] for key, field in OUTSIDE.items() if key in some})
        [row] = cells(file(mira, Tab.HISTORY))
        assert {key: row[key] for key in some} == {
            key: f"'{text}" if text in hostile else text for key, text in some.items()
        }


def test_only_what_the_person_may_see(client: Client) -> None:
    seen = proposed(name="mine")
    proposed(name="theirs", group_id=factories.closed_group().pk)
    client.force_login(factories.person("mira"))

    assert [int(row["number"]) for row in cells(file(client, Tab.PENDING))] == [seen.pk]
    client.force_login(factories.person("nobody"))
    assert cells(file(client, Tab.PENDING)) == []


def test_taking_a_file_is_recorded(mira: Client) -> None:
    mira.get("/action-center/history/export.csv?type=isolate&size=100&page=")

    event = Event.objects.get(kind="export.made")
    assert event.actor_name == "Mira Chen"
    assert (event.subject, event.detail) == (
        "list:history",
        {"list": "/action-center/history?type=isolate&size=100", "format": "csv", "order": "-ended"},
    )


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("history/export.csv?type=dance", 400), ("history/export.csv?page=forged", 400), ("history/export.csv?q=ab", 400),
        ("history/export.xlsx", 404), ("elsewhere/export.csv", 404),
    ],
)  # fmt: skip
def test_no_file_rather_than_a_wrong_one(mira: Client, address: str, status: int) -> None:
    assert mira.get(f"/action-center/{address}").status_code == status
    assert not Event.objects.filter(kind="export.made").exists()


def test_the_page_leads_to_its_file(mira: Client) -> None:
    text = mira.get("/action-center/history?type=isolate&columns=approval&size=100&sort=on").content.decode()

    assert "/action-center/history/export.csv?type=isolate&amp;sort=on" in text


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_passed_on_as_they_come(mira: Client, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(streams, "AT_ONCE", 2)
    for at in range(7):
        put(proposed(name=f"file-{at}.exe"), *ENDED[0])
    answer: Any = mira.get(f"/action-center/history/export.{form}")

    assert max(piece.count(b"\n") for piece in answer.streaming_content) == 2


def command(*arguments: str, path: Path) -> str:
    call_command("export", *arguments, "--out", str(path))
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_writes_the_same_file(mira: Client, tmp_path: Path, form: str) -> None:
    table(20, random.Random(7))
    query = "verdict=malicious&sort=on"

    written = command("history", f"--format={form}", f"--query={query}", path=tmp_path / "out")
    assert written == file(mira, Tab.HISTORY, f"?{query}", form)
    assert Event.objects.filter(kind="export.made", actor="command:export").count() == 1


def test_the_command_can_look_with_somebodys_eyes(tmp_path: Path) -> None:
    factories.person("mira")
    proposed(name="mine")
    proposed(name="theirs", group_id=factories.closed_group().pk)

    assert len(cells(command("pending", path=tmp_path / "all"))) == 2
    assert len(cells(command("pending", "--as=mira", path=tmp_path / "hers"))) == 1


def test_the_command_refuses_what_it_does_not_understand(tmp_path: Path) -> None:
    for wrong in (["--query=type=dance"], ["--query=page=forged"], ["--as=ghost"]):
        with pytest.raises(CommandError):
            command("pending", *wrong, path=tmp_path / "new")
    (there := tmp_path / "there").write_text("mine")
    with pytest.raises(CommandError, match="already"):
        command("pending", path=there)
    assert there.read_text() == "mine"
