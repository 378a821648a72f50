"""Every target of one action: paged, narrowed, counted, and taken away as a file."""

import csv
import io
import json
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import Decision, Execution, TargetKind, TargetState
from actioncenter.actions.exporting import FORMATS
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.queries.exporting import TARGET_COLUMNS
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.test_pages_hostile import VALUES
from tests.actions.varied import proposed, put
from tests.web.test_sheets import AFTER, BEFORE, TRIGGERS

pytestmark = pytest.mark.django_db
OUTSIDE = {"target": "name", "on": "on_name", "error": "error", "connector": "instance_name"}
KEYS = [column.key for column in TARGET_COLUMNS]


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def of_many(number: int, **more: Any) -> Action:
    """A mail action on so many messages; every tenth failed."""
    action = put(proposed(**more), Decision.APPROVED, Execution.PARTLY_SUCCEEDED)
    action.targets.all().delete()
    ActionTarget.objects.bulk_create(
        ActionTarget(
            action=action, kind=TargetKind.MESSAGE, name=f"Invoice {at}", on_name=f"p{at}@halden.example",
            lane=f"{action.pk}-{at}", **_end(at),
        )
        for at in range(number)
    )  # fmt: skip
    return action


def _end(at: int) -> dict[str, Any]:
    if at % 10 == 9:
        return {"state": TargetState.FAILED, "error_class": "throttled", "error": f"Told to wait, {at}"}
    return {"state": TargetState.SUCCEEDED, "after": {"folder": "Deleted"}}


def address(action: Action, query: str = "") -> str:
    return f"/action-center/actions/{action.pk}/targets{query}"


def names(client: Client, where: str) -> list[str]:
    """On all its pages, in order."""
    found: list[str] = []
    while where:
        shown = client.get(where).context
        found += [row["name"] for row in shown["rows"]]
        where = shown["page"]["next_url"]
    return found


def states(client: Client, where: str) -> dict[str, str]:
    return {state["label"]: state["count"] for state in client.get(where).context["states"]}


def file(client: Client, action: Action, query: str = "", form: str = "csv") -> str:
    answer = client.get(f"/action-center/actions/{action.pk}/targets.{form}{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def cells(text: str) -> list[dict[str, str]]:
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == [column.head for column in TARGET_COLUMNS]
    return [dict(zip(KEYS, row, strict=True)) for row in rows]


def test_every_target_is_on_one_page_exactly_the_worst_first(mira: Client) -> None:
    action = of_many(250)

    every = names(mira, address(action))
    assert len(every) == len(set(every)) == 250
    assert every[:25] == [f"Invoice {at}" for at in range(9, 250, 10)]


def test_pages_lead_back_the_way_they_came(mira: Client) -> None:
    action = of_many(250)
    pages, where = [], address(action)
    while where:
        shown = mira.get(where).context
        pages.append(shown)
        where = shown["page"]["next_url"]
    numbers = [(shown["page"]["shown_from"], shown["page"]["shown_to"]) for shown in pages]
    assert numbers == [("1", "100"), ("101", "200"), ("201", "250")]

    for before, after in pairwise(pages):
        back = mira.get(after["page"]["prev_url"]).context
        assert back["rows"] == before["rows"]
        assert back["page"]["shown_from"] == before["page"]["shown_from"]
        assert bool(back["page"]["prev_url"]) is (before is not pages[0])


def test_each_result_is_counted_and_narrows(mira: Client) -> None:
    action = of_many(30)

    assert states(mira, address(action)) == {"All": "30", "Succeeded": "27", "Failed": "3"}
    shown = mira.get(address(action, "?state=failed")).context
    assert [row["error"] for row in shown["rows"]] == [f"Told to wait, {at}" for at in (9, 19, 29)]
    assert states(mira, address(action, "?state=cancelled"))["Cancelled"] == "0"


def test_search_finds_names_and_places_and_counts_only_those(mira: Client) -> None:
    action = of_many(30)

    assert names(mira, address(action, "?q=INVOICE 2")) == ["Invoice 29", "Invoice 2", *(
        f"Invoice {at}" for at in range(20, 29)
    )]  # fmt: skip
    assert names(mira, address(action, "?q=p17@")) == ["Invoice 17"]
    assert states(mira, address(action, "?q=invoice 2")) == {"All": "11", "Succeeded": "10", "Failed": "1"}
    assert "Nothing matches" in mira.get(address(action, "?q=nobody")).content.decode()


def test_an_address_is_found_as_the_page_shows_it(mira: Client) -> None:
    action = of_many(2)
    ActionTarget.objects.filter(name="Invoice 0").update(
        kind=TargetKind.URL, name="https://evil.example/login"
    )

    assert names(mira, address(action, "?q=hxxps://evil[.]example")) == ["hxxps://evil[.]example/login"]


def test_a_file_is_exactly_the_list(mira: Client) -> None:
    action = of_many(130)
    of_many(5, name="other")

    for query in ("", "?state=failed", "?q=invoice 1", "?q=invoice 1&state=succeeded", "?q=nobody"):
        wanted = names(mira, address(action, query))
        assert [row["target"] for row in cells(file(mira, action, query))] == wanted, query
        lines = [json.loads(line) for line in file(mira, action, query, "jsonl").splitlines()]
        assert [line["target"] for line in lines] == wanted, query


def test_a_file_says_what_the_page_says(mira: Client) -> None:
    action = of_many(10)

    failed, done, *_ = cells(file(mira, action))
    assert (failed["result"], failed["error"], failed["after"]) == ("Failed", "Told to wait, 9", "")
    assert (failed["error_class"], failed["action"], failed["on"]) == (
        "throttled", str(action.pk), "p9@halden.example",
    )  # fmt: skip
    assert (done["result"], done["error"], json.loads(done["after"])) == (
        "Succeeded",
        "",
        {"folder": "Deleted"},
    )


def test_every_text_from_outside_is_known_as_such() -> None:
    assert {column.key for column in TARGET_COLUMNS if column.outside} == {*OUTSIDE, "after"}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_no_cell_runs_in_a_spreadsheet(mira: Client, before: str) -> None:
    action = of_many(1)
    hostile = [f"{before}{trigger}{after}" for trigger in TRIGGERS if trigger != "\0" for after in AFTER]
    texts = iter([*hostile, "harmless", '","=1+1', "日本語.exe", ""])
    while some := dict(zip(OUTSIDE, texts, strict=False)):
        action.targets.update(**{OUTSIDE[key]: text for key, text in some.items()})
        [row] = cells(file(mira, action))
        assert {key: row[key] for key in some} == {
            key: f"'{text}" if text in hostile else text for key, text in some.items()
        }


def test_taking_a_file_is_recorded(mira: Client) -> None:
    action = of_many(1)
    mira.get(f"/action-center/actions/{action.pk}/targets.csv?state=failed&page=x")

    event = Event.objects.get(kind="export.made")
    assert (event.actor_name, event.subject) == ("Mira Chen", "list:targets")
    assert event.detail == {"list": address(action, "?state=failed"), "format": "csv"}


@pytest.mark.parametrize(
    ("rest", "status"), [(".csv?state=odd", 400), (".xlsx", 404), ("?state=odd", 400), ("?page=forged", 400)]
)
def test_what_means_nothing_is_refused(mira: Client, rest: str, status: int) -> None:
    action = of_many(1)

    assert mira.get(address(action, rest)).status_code == status
    assert not Event.objects.filter(kind="export.made").exists()


@pytest.mark.parametrize("field", ["q", "state"])
def test_no_value_is_a_fault_of_the_server(mira: Client, field: str) -> None:
    action = of_many(1)
    for value in VALUES:
        for rest in ("", ".csv"):
            answer = mira.get(address(action, f"{rest}?{field}={quote(value)}"))
            assert answer.status_code in {200, 400}, value
            assert b"<script>alert" not in b"".join(answer), value


def test_a_page_of_another_action_is_none_of_this(mira: Client) -> None:
    first, other = of_many(101), of_many(101, name="other")
    token = mira.get(address(other)).context["page"]["next_url"].partition("?")[2]

    assert mira.get(address(first, f"?{token}")).status_code == 400


@pytest.mark.parametrize("rest", ["", *(f".{form}" for form in FORMATS)])
def test_an_action_out_of_sight_has_no_targets_either(mira: Client, rest: str) -> None:
    hidden = of_many(1, group_id=factories.closed_group().pk)

    assert mira.get(address(hidden, rest)).status_code == 404
    assert mira.get(f"/action-center/actions/999999/targets{rest}").status_code == 404
    assert not Event.objects.filter(kind="export.made").exists()


def test_the_fragment_is_the_table_of_the_page_and_is_sent_only_when_it_changed(mira: Client) -> None:
    action = of_many(3)
    Action.objects.filter(pk=action.pk).update(execution=Execution.IN_PROGRESS, history_at=None)
    whole = mira.get(address(action))
    htmx = {"HX-Request": "true", "HX-Target": "div#rows"}

    part = mira.get(address(action), headers=htmx)
    assert part.content.decode().partition("</table>")[0].strip() in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert mira.get(address(action), headers={**htmx, "HX-PTag": part["HX-PTag"]}).status_code == 304


def test_only_what_still_runs_is_asked_for_again(mira: Client) -> None:
    action = of_many(1)
    assert "data-poll" not in mira.get(address(action)).content.decode()

    Action.objects.filter(pk=action.pk).update(execution=Execution.IN_PROGRESS, history_at=None)
    assert f'data-poll="{address(action)}"' in mira.get(address(action)).content.decode()


def test_the_page_leads_back_and_to_its_file(mira: Client) -> None:
    action = of_many(2)
    text = mira.get(address(action, "?q=invoice&state=succeeded")).content.decode()

    assert f'href="/action-center/actions/{action.pk}"' in text
    assert f'href="/action-center/actions/{action.pk}/targets.csv?q=invoice&amp;state=succeeded"' in text


def test_more_targets_cost_no_more_queries(mira: Client) -> None:
    asked = set()
    for number in (1, 3, 100):
        action = of_many(number, name=f"of {number}")
        mira.get(address(action))
        with CaptureQueriesContext(connection) as caught:
            assert len(mira.get(address(action)).context["rows"]) == number
        asked.add(len(caught))
    assert len(asked) == 1
