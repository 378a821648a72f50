"""Reports as a page and as a file: who sees which figures, and that both say the same."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import Decision
from actioncenter.actions.queries import reports as reports_module
from actioncenter.actions.reporting import share
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.ended import FILE, cells, ended
from tests.actions.test_hasty import approved
from tests.actions.test_reports import MINUTE, whole
from tests.web.test_sheets import TRIGGERS

pytestmark = pytest.mark.django_db
PAGE = "/reports/"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def test_nobody_reads_figures_of_what_he_may_not_see(client: Client) -> None:
    ended(group=factories.group())
    board = factories.closed_group()
    ended(group=board)
    seen: dict[str, int] = {}
    for who in ("mira", "kim", "noa", "ivo"):
        client.force_login(factories.person(who))
        text = client.get(PAGE, {"by": "group"}).content.decode()
        seen[who] = text.count("Board members")
        rows = cells(client.get(FILE))
        assert rows[0]["Ended"] == ("2" if who in ("noa", "ivo") else "1")
        assert any(row["Name"] == "Board members" for row in rows) is (who in ("noa", "ivo"))
    assert seen["mira"] == seen["kim"] == 0
    assert seen["noa"] > 0

    client.force_login(factories.person("mira"))
    refused = client.get(PAGE, {"group": board.pk})
    assert refused.status_code == 400
    assert "Group:" in refused.content.decode()
    client.force_login(factories.person("nobody"))
    assert "Nothing has ended in this time" in client.get(PAGE).content.decode()


@pytest.mark.oversight("X-6")
def test_own_figures_to_oneself_those_of_each_to_who_oversees(client: Client) -> None:
    ended(by=factories.person("mira"))
    ended(by=factories.person("sam"))
    ended(by=factories.person("aiko"))

    client.force_login(factories.person("mira"))
    mine = client.get(PAGE, {"by": "person"}).content.decode()
    assert "Sam Okoye" not in mine
    assert "Everybody else" in mine
    client.force_login(factories.person("ivo"))
    assert "Sam Okoye" in client.get(PAGE, {"by": "person"}).content.decode()


@pytest.mark.oversight("X-6")
def test_nobody_is_ranked(client: Client) -> None:
    """By name, however many or fast."""
    for name, times in (("sam", 3), ("aiko", 1), ("mira", 2)):
        for _ in range(times):
            ended(by=factories.person(name), decided=10 * MINUTE if name == "aiko" else MINUTE)
    client.force_login(factories.person("ivo"))

    card = next(c for c in client.get(PAGE, {"by": "person"}).context["cards"] if c.key == "decide-times")
    assert [name for name, _ in card.rows] == ["Aiko Tanaka", "Mira Chen", "Sam Okoye"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"first": "soon"}, "First day: Write it as 2026-11-30."),
        ({"first": "2099-01-01"}, "First day: It has to lie before today and not after the last day."),
        ({"first": "2026-02-02", "last": "2026-02-01"}, "First day: It has to lie before today"),
        ({"first": "2024-01-01", "last": "2026-02-01"}, "First day: A report covers a year at most."),
        ({"last": "1026-02-01"}, "Last day: Choose a year of this century."),
        ({"first": "2026-02-01", "zone": "Europe/Atlantis"}, "Zone: Name a zone such as Europe/Oslo."),
        ({"since": "ever"}, "Time: Select a valid choice."),
        ({"group": "x"}, "Group: Select a valid choice."),
        ({"by": "mood"}, "By: A report is split by type, group or person"),
    ],
)
def test_a_bad_filter_names_itself_and_why(mira: Client, query: dict[str, str], says: str) -> None:
    answer = mira.get(PAGE, query)
    assert answer.status_code == 400
    assert says in " ".join(answer.content.decode().split())
    refused = mira.get(FILE, query)
    assert refused.status_code == 400
    assert says in " ".join(refused.content.decode().split())
    assert not Event.objects.filter(kind="export.made").exists()


def test_whole_days_in_a_zone(mira: Client) -> None:
    """In Oslo's winter a day begins at 23:00 UTC of the day before."""
    for day, hour, minute in ((14, 22, 59), (14, 23, 0), (15, 22, 59), (15, 23, 0)):
        ended(history_at=datetime(2026, 1, day, hour, minute, tzinfo=UTC))

    query = {"first": "2026-01-15", "last": "2026-01-15", "zone": "Europe/Oslo"}
    [everything] = [row for row in cells(mira.get(FILE, query)) if row["By"] == "all"]
    assert everything["Ended"] == "2"
    assert (everything["From (UTC)"], everything["Until (UTC)"]) == (
        "2026-01-14 23:00:00",
        "2026-01-15 23:00:00",
    )
    text = mira.get(PAGE, query).content.decode()
    assert "15 Jan 2026 00:00 to 16 Jan 2026 00:00, Europe/Oslo" in text
    assert "first=2026-01-15&amp;last=2026-01-15&amp;zone=Europe%2FOslo" in text


def test_a_whole_year_is_allowed_and_a_period_takes_the_place_of_days(mira: Client) -> None:
    assert mira.get(PAGE, {"first": "2025-01-01", "last": "2025-12-31"}).status_code == 200
    answer = mira.get(PAGE, {"since": "week", "first": "2001-01-01"})
    assert answer.status_code == 200
    assert "first=" not in answer.context["file_url"]


def test_over_time_page_and_file_say_the_same(mira: Client) -> None:
    """Days without anything are no rows, but keep their place in the picture."""
    ended(ago=timedelta(days=10), decided=90, took=120)
    ended(Decision.REJECTED, ago=timedelta(days=10), decided=30)
    ended(Decision.NOT_REQUIRED, ago=timedelta(days=2), took=60)
    shown = mira.get(PAGE).context["passing"]
    first, second = shown.rows
    days = [row for row in cells(mira.get(FILE)) if row["By"] == "time"]

    assert shown.title == "Day by day"
    assert [cell for _, cell in first[1]] == ["2", "0", "1", "1", "0", "30s", "1m"]
    assert [cell for _, cell in second[1]] == ["1", "1", "0", "0", "0", "–", "–"]
    assert [(row["Name"], row["Ended"]) for row in days] == [(first[0], "2"), (second[0], "1")]
    assert [len(column.parts) for column in shown.counts.columns] == [2, 1]
    assert len(shown.decide.columns) == 1


@pytest.mark.parametrize(
    ("period", "title", "most"),
    [("week", "Day by day", 7), ("month", "Day by day", 30), ("quarter", "Every 3 days", 31), ("year", "Every 12 days", 31)],
)  # fmt: skip
def test_a_longer_time_has_longer_steps(period: str, title: str, most: int, mira: Client) -> None:
    ended(ago=timedelta(days=1))
    context = mira.get(PAGE, {"since": period}).context

    assert context["passing"].title == title
    assert all(float(column.x.rstrip("%")) < 100 for column in context["passing"].counts.columns)


def test_page_and_file_say_the_same(mira: Client) -> None:
    ended(decided=90, took=120)
    ended(Decision.REJECTED, decided=30)
    page = mira.get(PAGE)
    [row] = [row for row in cells(mira.get(FILE)) if row["By"] == "type"]

    assert (row["Name"], row["Approved"], row["Rejected"], row["Time to decide p50 (s)"]) == (
        "Quarantine file",
        "1",
        "1",
        "30",
    )
    cards = {card.key: card for card in page.context["cards"]}
    assert cards["decide-times"].rows == [("Quarantine file", ("2", "30s", "1m"))]
    assert [value.value for value in cards["decide-times"].chart.rows] == ["30s · 1m"]
    text = page.content.decode()
    # Over time there are two pictures and one table.
    assert text.count('role="img"') == len(cards) + 2
    assert text.count('<table class="sheet') == len(cards) + 1
    assert "style=" not in text.partition("<main")[2]


def test_a_file_is_recorded_and_safe_in_a_spreadsheet(mira: Client) -> None:
    for trigger in TRIGGERS:
        if trigger != "\0":
            ended(group=factories.group(f"{trigger}HYPERLINK(1)"))

    answer = mira.get(FILE, {"since": "week", "by": "group"})
    names = [row["Name"] for row in cells(mira.get(FILE)) if row["By"] == "device group"]
    assert len(names) >= 4
    assert all(name.startswith("'") for name in names)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    event = Event.objects.filter(kind="export.made").order_by("pk").first()
    assert event is not None
    assert (event.actor_name, event.subject) == ("Mira Chen", "list:reports")
    assert event.detail == {"list": "/reports/?since=week&by=group", "format": "csv"}


def test_names_from_outside_are_shown_as_they_are(mira: Client) -> None:
    ended(group=factories.group("<b>\u202egroup</b>"))
    text = mira.get(PAGE, {"by": "group"}).content.decode()

    assert "<b>\u202egroup" not in text
    assert "&lt;b&gt;[U+202E]group" in text
    assert '<span class="mark">U+202E</span>' in text


def test_equal_queries_for_few_and_many(client: Client) -> None:
    client.force_login(factories.person("noa"))
    counts = []
    client.get(PAGE)
    for more in (1, 2, 97):
        for _ in range(more):
            action = ended(by=factories.person("mira"))
            approved(action, factories.person("mira"), opened=1)
        for address in (f"{PAGE}?by=person", FILE):
            with CaptureQueriesContext(connection) as caught:
                assert client.get(address).status_code == 200
            counts.append(len(caught))

    assert counts[:2] == counts[2:4] == counts[4:]


def test_no_more_is_counted_than_a_report_can_take(mira: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "COUNTED", 2)
    for days in (3, 2, 1):
        ended(ago=timedelta(days=days))

    assert whole().counts.ended == 2
    text = mira.get(PAGE).content.decode()
    assert "are counted, back to" in text
    [everything] = [row for row in cells(mira.get(FILE)) if row["By"] == "all"]
    assert everything["From (UTC)"][:10] == f"{whole().oldest:%Y-%m-%d}"


def test_an_empty_report_says_what_will_stand_there(mira: Client) -> None:
    text = mira.get(PAGE).content.decode()
    assert "Nothing has ended in this time" in text
    assert cells(mira.get(FILE)) == []


def test_shares_are_rounded_but_never_to_none_or_all() -> None:
    assert [share(*each) for each in ((0, 0), (0, 5), (1, 1000), (1, 3), (999, 1000), (5, 5))] == [
        "–", "0 %", "0.1 %", "33 %", "99.9 %", "100 %",
    ]  # fmt: skip
