"""Reports: how long decisions took, what became of them, and who sees which of these figures."""

import csv
import io
import random
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Choice, Decision, Execution, Source
from actioncenter.actions.models import Action, Vote
from actioncenter.actions.queries import reports as reports_module
from actioncenter.actions.queries.hasty import READING, TEAM, hasty
from actioncenter.actions.queries.reports import Asked, By, Figures, figures
from actioncenter.actions.reporting import HEAD, share
from actioncenter.audit.models import Event
from actioncenter.auditor.models import PageView
from actioncenter.settings.access import scope_for
from actioncenter.settings.models import DeviceGroup
from tests import factories
from tests.actions.varied import proposed
from tests.web.test_sheets import TRIGGERS

pytestmark = pytest.mark.django_db
PAGE = "/reports/"
FILE = "/reports/figures.csv"
MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def ended(
    decision: Decision = Decision.APPROVED, execution: Execution | None = None, *, ago: timedelta = timedelta(days=10),
    decided: int = HOUR, took: int = 2 * HOUR, by: User | None = None, group: DeviceGroup | None = None,
    kind: ActionType = ActionType.QUARANTINE_FILE, **more: Any,
) -> Action:  # fmt: skip
    """What was proposed `ago`, decided so many seconds later and over after so many."""
    runs = decision in (Decision.APPROVED, Decision.NOT_REQUIRED)
    if execution is None:
        execution = Execution.SUCCEEDED if runs else Execution.NONE
    in_group = {"group_id": group.pk, "group_name": group.name} if group else {}
    action = proposed(kind, name=f"file-{Action.objects.count()}.exe", **in_group)
    person = by or factories.person("mira")
    names = {Decision.EXPIRED: "", Decision.NOT_REQUIRED: "Automation", Decision.WITHDRAWN: "Automation"}
    begin = timezone.now() - ago
    over = begin + timedelta(seconds=took)
    fields: dict[str, Any] = {
        "decision": decision, "execution": execution, "created_at": begin, "history_at": over, "finished_at": over,
        "decided_at": begin + timedelta(seconds=decided), "decided_by": None if decision in names else person,
        "decided_by_name": names.get(decision, person.shown_name), "approved_fingerprint": action.fingerprint,
    }  # fmt: skip
    Action.objects.filter(pk=action.pk).update(**fields | more)
    action.refresh_from_db()
    return action


def take_back(
    action: Action, *, after: timedelta, execution: Execution = Execution.SUCCEEDED, source: Source = Source.MANUAL_DEVICE
) -> Action:  # fmt: skip
    """So long after it was over."""
    assert action.history_at is not None
    undo = ended(
        Decision.NOT_REQUIRED, execution, requested_by=factories.person("mira"), source=source, undo_of=action
    )
    Action.objects.filter(pk=undo.pk).update(created_at=action.history_at + after)
    Action.objects.filter(pk=action.pk).update(undone_by=undo)
    return undo


def asked(who: str = "noa", days: int = 30, **more: Any) -> Asked:
    person, now = factories.person(who), timezone.now()
    return Asked(
        scope_for(person), now - timedelta(days=days), now, person.pk, each_person=who == "noa", **more
    )


def whole(**more: Any) -> Figures:
    return figures(asked(**more), [])[0]


def by(split: By, who: str = "noa") -> dict[int, Figures]:
    return {row.key: row for row in figures(asked(who), [split]) if row.by is split}


def test_how_long_decisions_and_remedies_took() -> None:
    """Ten decisions after 1 to 10 minutes; what was done was over a minute later."""
    for minutes in range(1, 11):
        ended(decided=minutes * MINUTE, took=(minutes + 1) * MINUTE)
    ended(Decision.REJECTED, decided=5 * MINUTE)
    ended(Decision.EXPIRED, decided=9 * DAY)
    ended(Decision.NOT_REQUIRED, decided=0, took=30)

    found = whole()
    assert found.decide == (5 * MINUTE, 10 * MINUTE)
    assert found.remedy == (6 * MINUTE, 11 * MINUTE)


def test_one_alone_is_both_its_half_and_its_most() -> None:
    ended(decided=90, took=100)
    assert whole().decide == (90, 90)
    assert whole().remedy == (100, 100)


def test_what_was_never_done_has_no_time_to_remediate() -> None:
    ended(execution=Execution.FAILED)
    assert whole().decide == (HOUR, HOUR)
    assert whole().remedy == (None, None)


def test_how_it_was_decided() -> None:
    for decision, times in (
        (Decision.APPROVED, 4),
        (Decision.REJECTED, 3),
        (Decision.EXPIRED, 2),
        (Decision.WITHDRAWN, 1),
    ):
        for _ in range(times):
            ended(decision)
    for _ in range(5):
        ended(Decision.NOT_REQUIRED)
    ended(Decision.NOT_REQUIRED, requested_by=factories.person("mira"))

    counts = whole().counts
    assert (counts.approved, counts.rejected, counts.expired, counts.withdrawn) == (4, 3, 2, 1)
    assert (counts.automatic, counts.by_hand, counts.waited, counts.ended) == (5, 1, 10, 16)
    assert counts.done == 10


@pytest.mark.parametrize(
    ("after", "regretted"),
    [(timedelta(0), 1), (timedelta(days=7), 1), (timedelta(days=7, seconds=1), 0), (timedelta(days=9), 0)],
)
def test_undone_within_seven_days_is_regret(after: timedelta, regretted: int) -> None:
    take_back(ended(ago=timedelta(days=20)), after=after)
    ended()

    counts = whole().counts
    assert (counts.ended, counts.done, counts.undone, counts.regretted) == (2, 2, 1, regretted)


@pytest.mark.parametrize(
    "how", [{"execution": Execution.FAILED}, {"execution": Execution.CANCELLED}, {"source": Source.TIMER}]
)
def test_no_regret_where_nothing_was_undone_or_a_timer_did_it(how: Any) -> None:
    take_back(ended(), after=timedelta(hours=1), **how)

    assert (whole().counts.ended, whole().counts.undone, whole().counts.regretted) == (1, 0, 0)


def test_by_type_group_and_person() -> None:
    laptops, servers = factories.group(), factories.group("Servers")
    ended(group=laptops, decided=60)
    ended(group=servers, decided=120, kind=ActionType.ISOLATE_DEVICE)
    ended(Decision.REJECTED, group=servers, decided=180, by=factories.person("sam"))
    ended(Decision.NOT_REQUIRED)

    types = by(By.TYPE)
    assert {key: row.counts.ended for key, row in types.items()} == {
        ActionType.QUARANTINE_FILE: 3, ActionType.ISOLATE_DEVICE: 1,
    }  # fmt: skip
    assert types[ActionType.ISOLATE_DEVICE].decide == (120, 120)
    groups = by(By.GROUP)
    assert {key: (row.name, row.decide.most) for key, row in groups.items()} == {
        laptops.pk: ("Finance laptops", 60), servers.pk: ("Servers", 180), 0: ("", None),
    }  # fmt: skip
    people = by(By.PERSON)
    assert {row.name: row.decide.half for row in people.values()} == {"Mira Chen": 60, "Sam Okoye": 180}


def rank(spans: Sequence[int], share: int) -> int | None:
    return sorted(spans)[ceil(len(spans) * share / 100) - 1] if spans else None


def naive(rows: Iterable[Action]) -> tuple[Any, ...]:
    """The same by hand, over objects."""
    rows = list(rows)
    decided = [row for row in rows if row.decision in (Decision.APPROVED, Decision.REJECTED)]
    done = [row for row in rows if row.execution in (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)]
    undone = [
        row
        for row in done
        if row.undone_by
        and row.undone_by.execution in (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)
        and row.undone_by.source != Source.TIMER
    ]
    regretted = [row for row in undone if row.undone_by.created_at - row.history_at <= timedelta(days=7)]
    deciding = [round((row.decided_at - row.created_at).total_seconds()) for row in decided if row.decided_at]
    doing = [round((row.history_at - row.created_at).total_seconds()) for row in done if row.history_at]
    return (
        len(rows),
        sum(row.automatic for row in rows),
        *(sum(row.decision == each for row in rows) for each in (Decision.APPROVED, Decision.REJECTED, Decision.EXPIRED)),
        len(done), len(undone), len(regretted),
        rank(deciding, 50), rank(deciding, 95), rank(doing, 50), rank(doing, 95),
    )  # fmt: skip


def said(row: Figures) -> tuple[Any, ...]:
    counts = row.counts
    return (
        counts.ended, counts.automatic, counts.approved, counts.rejected, counts.expired,
        counts.done, counts.undone, counts.regretted, *row.decide, *row.remedy,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_the_database_counts_as_one_would_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    groups = [None, factories.group(), factories.group("Servers")]
    people = [factories.person(name) for name in ("mira", "sam", "noa")]
    for _ in range(120):
        decision = rng.choice([each for each in Decision if each is not Decision.PENDING])
        runs = decision in (Decision.APPROVED, Decision.NOT_REQUIRED)
        decided = rng.choice([0, 30, rng.randrange(2 * DAY)])
        action = ended(
            decision,
            rng.choice([Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED, Execution.FAILED]) if runs else Execution.NONE,
            ago=timedelta(days=rng.randrange(3, 45)), decided=decided, took=decided + rng.randrange(DAY),
            by=rng.choice(people), group=rng.choice(groups), kind=rng.choice(list(ActionType)[:5]),
        )  # fmt: skip
        if action.execution == Execution.SUCCEEDED and rng.random() < 0.4:
            take_back(
                action,
                after=timedelta(days=rng.choice([0, 7, 8])),
                execution=rng.choice([Execution.SUCCEEDED, Execution.FAILED]),
                source=rng.choice([Source.MANUAL_DEVICE, Source.TIMER]),
            )
    wanted = asked()
    rows = Action.objects.filter(undo_of=None, history_at__gte=wanted.since, history_at__lt=wanted.until)
    columns = {By.TYPE: "type", By.GROUP: "group_id", By.PERSON: "decided_by_id"}

    found = figures(wanted, list(By))
    assert said(found[0]) == naive(rows)
    for split, column in columns.items():
        of = rows.exclude(decided_by=None) if split is By.PERSON else rows
        keys = {getattr(row, column) for row in of}
        assert {row.key: said(row) for row in found if row.by is split} == {
            key or 0: naive(of.filter(**{column: key})) for key in keys
        }


def test_only_what_ended_in_the_period() -> None:
    for days in (1, 29, 31, 400):
        ended(ago=timedelta(days=days), took=0, decided=0)
    proposed()

    assert whole().counts.ended == 2
    assert whole(days=365).counts.ended == 3


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


def test_nobody_is_ranked(client: Client) -> None:
    """By name, however many or fast."""
    for name, times in (("sam", 3), ("aiko", 1), ("mira", 2)):
        for _ in range(times):
            ended(by=factories.person(name), decided=10 * MINUTE if name == "aiko" else MINUTE)
    client.force_login(factories.person("ivo"))

    card = next(c for c in client.get(PAGE, {"by": "person"}).context["cards"] if c.key == "decide-times")
    assert [name for name, _ in card.rows] == ["Aiko Tanaka", "Mira Chen", "Sam Okoye"]


def cells(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    head, *rows = csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True)
    assert head == list(HEAD)
    return [dict(zip(head, row, strict=True)) for row in rows]


def approved(action: Action, by: User, *, opened: float | None = None, mode: str = "click") -> None:
    """A vote for it, so many seconds after this person first looked at it, and looked again at once."""
    at = action.decided_at or timezone.now()
    Vote.objects.create(
        action=action, revision=1, fingerprint=action.fingerprint, choice=Choice.APPROVE, user=by, user_ref=by.ref,
        user_name=by.shown_name, mode=mode, cast_at=at,
    )  # fmt: skip
    if opened is not None:
        for before in (opened, 0.0):
            PageView.objects.create(
                at=at - timedelta(seconds=before), actor=by.ref, actor_name=by.shown_name, page="actions:detail",
                subject=f"action:{action.pk}", address=f"/action-center/actions/{action.pk}",
            )  # fmt: skip


def team(number: int) -> list[User]:
    return [
        User.objects.enrol(f"p{at}", by=factories.SETUP, display_name=f"Person {at}") for at in range(number)
    ]


def test_approvals_faster_than_reading() -> None:
    mira = factories.person("mira")
    for opened in (READING + 30, READING + 1, READING - 2, 0, None):
        approved(ended(), mira, opened=opened)
    approved(ended(), mira, mode="bulk")
    approved(ended(ago=timedelta(days=100)), mira)
    ended(Decision.NOT_REQUIRED)

    mine, team = hasty(asked("mira", days=365), timezone.now())
    assert (mine.approvals, mine.quick, mine.unopened, mine.in_bulk, mine.total) == (6, 2, 1, 1, 4)
    assert mine == team


def test_somebody_elses_look_is_not_ones_own() -> None:
    sam = factories.person("sam")
    action = ended()
    approved(action, factories.person("mira"))
    PageView.objects.create(
        at=timezone.now() - timedelta(days=20), actor=sam.ref, actor_name="Sam", page="actions:detail",
        subject=f"action:{action.pk}", address="/",
    )  # fmt: skip

    assert hasty(asked("mira"), timezone.now())[0].unopened == 1


@pytest.mark.parametrize("people", [TEAM - 1, TEAM])
def test_signals_private(client: Client, people: int) -> None:
    """A team is counted from five on; nobody reads what one other person did, however he asks."""
    for person in team(people):
        approved(ended(), person)
    for who in ("noa", "ivo", "mira"):
        client.force_login(factories.person(who))
        card = next(c for c in client.get(PAGE, {"by": "person"}).context["cards"] if c.key == "reading")
        assert any("Team" in name for name in card.head) is (people >= TEAM)
        rows = cells(client.get(FILE))
        told = [row["By"] for row in rows if row["Approvals by people"] and row["Name"] != "You"]
        assert told == (["all"] if people >= TEAM else [])


def test_the_shortest_pane_takes_longer_to_read(client: Client) -> None:
    """Ten words in a second are twice what fast readers manage."""
    client.force_login(factories.person("mira"))
    for action in (factories.waiting_action(), factories.waiting_mail_action(), proposed()):
        pane: Any = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "aside#pane"}
        text = client.get(f"/action-center/actions/{action.pk}", **pane).content.decode()
        assert len(re.sub(r"<[^>]*>", " ", text).split()) >= READING * 10


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
    assert text.count('role="img"') == len(cards) == text.count('<table class="sheet')
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
