"""The list of investigations and the page of one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.audit.actor import Actor
from actioncenter.settings.models import DeviceGroup
from investigations import lifecycle, pages, words
from investigations.enums import ACTIVE_STATES, EvidenceType, InvestigationState, Severity, Verdict
from investigations.filters import NARROWING, InvestigationFilter
from investigations.lifecycle import Counts
from investigations.models import Alert, Evidence, Investigation
from investigations.views.overview import covered
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/investigations/"
HOSTILE = "<script>alert(1)</script>\"'{{7*7}}\u202egnp.exe"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def text(response: HttpResponse) -> str:
    return response.content.decode()


def listed(client: Client, query: str = "") -> list[str]:
    """Titles of the rows, in order."""
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 200, query
    return [row["title"] for row in response.context["rows"]]


def old(investigation: Investigation, days: float, *, ended: bool = True) -> Investigation:
    moment = timezone.now() - timedelta(days=days)
    state = InvestigationState.REMEDIATED if ended else InvestigationState.RUNNING
    Investigation.objects.filter(pk=investigation.pk).update(
        state=state, started_at=moment, changed_at=moment, ended_at=moment if ended else None
    )
    return investigation


def full(title: str = "Credential theft") -> Investigation:
    """One with every kind of data; its action waits."""
    made = factories.investigation(title, severity=Severity.HIGH, detection_source="EDR")
    home = DeviceGroup.objects.filter(name="Finance laptops").first() or factories.group()
    laptop = factories.device(in_group=home)
    box = factories.mailbox()
    Alert.objects.create(
        source="tests", external_id=f"alert-{made.pk}", title=f"Alert of {title}", investigation=made
    )
    Evidence.objects.create(
        investigation=made, key="user", type=EvidenceType.USER, name="bo", mailbox=box, planned_verdict=1,
        facts={"upn": "bo@halden.example"},
    )  # fmt: skip
    factories.planned(factories.file_evidence(laptop, made))
    return made


def test_the_last_week_and_whatever_is_open(mira: Client) -> None:
    old(factories.investigation("a week ago, nearly"), 6.9)
    old(factories.investigation("a week ago, over"), 7.1)
    old(factories.investigation("open for a month"), 30, ended=False)

    assert set(listed(mira)) == {"a week ago, nearly", "open for a month"}


@pytest.mark.parametrize(
    ("since", "days"), [("day", 1), ("week", 7), ("month", 30), ("half", 183), ("ever", 4000)]
)
def test_periods_roll(mira: Client, since: str, days: int) -> None:
    old(factories.investigation("inside"), days - 0.01)
    old(factories.investigation("outside"), days + 0.01, ended=False)

    assert "inside" in listed(mira, f"since={since}")
    assert ("outside" in listed(mira, f"since={since}")) == (since == "ever")


@pytest.mark.parametrize("state", InvestigationState)
def test_status_filter_finds_every_state(mira: Client, state: InvestigationState) -> None:
    ended = None if state in ACTIVE_STATES else timezone.now()
    factories.investigation("looked for", state=state, ended_at=ended)
    code = words.STATES[state][0]

    assert listed(mira, f"status={code}") == ["looked for"]
    for other in {code for code, _ in words.STATES.values()} - {code}:
        assert listed(mira, f"status={other}") == []


@pytest.mark.parametrize("severity", Severity)
def test_severity_filter(mira: Client, severity: Severity) -> None:
    for each in Severity:
        factories.investigation(each.name, severity=each)

    assert listed(mira, f"severity={words.SEVERITIES[severity][0]}") == [severity.name]


def test_other_filters(mira: Client) -> None:
    wanted = full("Wanted")
    other = factories.investigation("Unrelated", detection_source="Mail gateway")
    device = wanted.evidence.exclude(device=None).get().device
    group = DeviceGroup.objects.get(name="Finance laptops")
    Investigation.objects.filter(pk=wanted.pk).update(group=group)

    assert device is not None
    for query in (
        "alert=Alert of W",
        "source=EDR",
        f"group={group.pk}",
        f"q={device.name}",
        f"q=inv-{wanted.pk}",
    ):
        assert listed(mira, query) == ["Wanted"], query
    assert listed(mira, "q=nrelat") == [other.title]
    assert set(NARROWING) == set(InvestigationFilter.base_filters)


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense", "severity=9", "since=1", "group=x", "group=99999999999999999999", "source=nobody",
        "q=a", "q=" + "x" * 300, "q=%00abc", "alert=%00abc", "sort=nonsense", "sort=--id", "page=nonsense",
        "page=" + "x" * 5000, "status=active&status=%00",
    ],
)  # fmt: skip
def test_bad_input_is_named_and_answered_with_400(mira: Client, query: str) -> None:
    factories.investigation()

    response = mira.get(f"{LIST}?{query}")

    assert response.status_code == 400
    assert "ignored" in text(response) or "usual order" in text(response) or "too old" in text(response)


def test_a_lone_surrogate_finds_nothing(mira: Client) -> None:
    assert listed(mira, "q=%ed%a0%80abc") == []


@pytest.mark.parametrize("key", pages.COLUMNS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_order_pages_through_each_row_once(
    mira: Client, key: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    for number in range(7):
        made = factories.investigation(
            f"No {number // 2}", severity=1 + number % 3, detection_source=f"S{number % 2}"
        )
        old(made, number // 2 / 10, ended=number % 2 == 0)
    every = list(Investigation.objects.order_by("pk"))

    forth = list(walk(mira, f"{LIST}?sort={sign}{key}&since=ever", "next_url"))
    back = list(walk(mira, forth[-1][0], "prev_url"))

    numbers = [number for _, rows in forth for number in rows]
    assert sorted(numbers) == [row.pk for row in every]
    assert [number for _, rows in reversed(back) for number in rows] == numbers
    if key == "id":
        assert numbers == sorted(numbers, reverse=bool(sign))


def walk(client: Client, url: str, link: str) -> Iterable[tuple[str, list[int]]]:
    """Address and numbers of every page in one direction."""
    while url:
        response = client.get(url)
        assert response.status_code == 200
        labels = [row["label"] for row in response.context["rows"]]
        yield url, [int(label.removeprefix("INV-")) for label in labels]
        url = response.context["page"][link]


def test_a_token_of_another_order_is_refused(mira: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 1)
    for _ in range(2):
        factories.investigation()
    token = mira.get(LIST).context["page"]["next_url"].partition("page=")[2]

    assert mira.get(f"{LIST}?page={token}").status_code == 200
    assert mira.get(f"{LIST}?page={token}&sort=title").status_code == 400


def test_as_many_queries_for_many_rows_as_for_one(mira: Client) -> None:
    full()
    mira.get(LIST)
    needed = []
    for number in (1, 3, 100):
        while Investigation.objects.count() < number:
            full()
        with CaptureQueriesContext(connection) as captured:
            assert len(listed(mira, "sort=-waiting&since=ever")) == min(number, pages.PAGE_SIZE)
        needed.append(len(captured))

    assert len(set(needed)) == 1, needed


def test_what_is_out_of_scope_does_not_exist(mira: Client) -> None:
    secret = factories.group("Board")
    secret.access.add(Group.objects.create(name="Board watchers"))
    hidden = factories.investigation("Hidden", group=secret)

    assert listed(mira) == []
    assert mira.get(f"{LIST}{hidden.pk}").status_code == 404
    mira.force_login(factories.person("noa"))
    assert mira.get(f"{LIST}{hidden.pk}").status_code == 200


def test_an_investigation_shows_only_the_groups_one_sees(mira: Client) -> None:
    made = full()
    secret = factories.group("Board")
    secret.access.add(Group.objects.create(name="Board watchers"))
    factories.planned(factories.file_evidence(factories.device("board-1", in_group=secret), made))

    page = mira.get(f"{LIST}{made.pk}?tab=devices")

    assert "board-1" not in text(page)
    assert [tab["count"] for tab in page.context["tabs"] if tab["key"] == "pending"] == [1]


@pytest.mark.parametrize("number", ["0", "999999", "99999999999999999999999"])
def test_numbers_that_do_not_exist(mira: Client, number: str) -> None:
    assert mira.get(f"{LIST}{number}").status_code == 404


TABS = ["alerts", "devices", "mailboxes", "users", "evidence", "entities", "log", "pending"]


@pytest.mark.parametrize("tab", ["overview", *TABS])
def test_every_tab_shows_its_data(mira: Client, tab: str) -> None:
    made = full()

    response = mira.get(f"{LIST}{made.pk}?tab={tab}")

    assert response.status_code == 200
    assert [entry["key"] for entry in response.context["tabs"] if entry["active"]] == [tab]
    variable = {"pending": "actions", "overview": "steps"}.get(tab, tab)
    assert response.context[variable]


def test_tabs_without_data_are_not_there(mira: Client) -> None:
    bare = factories.investigation()

    assert [tab["key"] for tab in mira.get(f"{LIST}{bare.pk}").context["tabs"]] == ["overview"]
    for tab in ("evidence", "history", "nonsense", "%00"):
        assert mira.get(f"{LIST}{bare.pk}?tab={tab}").status_code == 404


def test_rejected_actions_move_to_the_history_tab(mira: Client) -> None:
    made = full()
    made.actions.get().reject(by=factories.person("mira").actor(), comment="A known tool")

    response = mira.get(f"{LIST}{made.pk}?tab=history")

    assert [row["result_code"] for row in response.context["actions"]] == ["rejected"]
    assert mira.get(f"{LIST}{made.pk}?tab=pending").status_code == 404


@pytest.mark.parametrize(("name", "may"), [("mira", True), ("noa", True), ("kim", False), ("ivo", False)])
def test_deciding_is_offered_to_those_who_may(client: Client, name: str, may: bool) -> None:
    made = full()
    client.force_login(factories.person(name))

    inv = client.get(f"{LIST}{made.pk}").context["inv"]

    assert bool(inv["decide_url"]) == may
    assert inv["waiting"] == 1


def test_steps_tell_what_happened(mira: Client) -> None:
    made = full()
    waiting = mira.get(f"{LIST}{made.pk}").context["steps"]
    made.actions.get().reject(by=factories.person("mira").actor(), comment="A known tool")
    lifecycle.advance(made, Counts(total=1, rejected=1), by=Actor.system("housekeeping"))
    over = mira.get(f"{LIST}{made.pk}").context["steps"]

    assert [step["state"] for step in waiting] == ["done", "done", "now", "todo", "todo"]
    assert [step["state"] for step in over] == ["done"] * 4
    assert over[2]["detail"] == "1 rejected"
    assert over[-1]["label"] == "Remediated"


@pytest.mark.parametrize("state", InvestigationState)
def test_every_state_has_a_page(mira: Client, state: InvestigationState) -> None:
    ended = None if state in ACTIVE_STATES else timezone.now()
    made = factories.investigation(state=state, ended_at=ended)

    assert words.STATES[state][1] in text(mira.get(f"{LIST}{made.pk}"))


def test_text_from_outside_stays_text(mira: Client) -> None:
    made = full(HOSTILE)
    Evidence.objects.filter(investigation=made).update(name=HOSTILE, path=HOSTILE, detection_origin=HOSTILE)

    for address in (LIST, f"{LIST}{made.pk}", *(f"{LIST}{made.pk}?tab={tab}" for tab in TABS)):
        page = text(mira.get(address))
        assert "<script>alert" not in page
        assert "\u202e" not in page


@pytest.mark.parametrize("kind", EvidenceType)
@pytest.mark.parametrize("verdict", Verdict)
def test_every_kind_of_evidence_is_shown(mira: Client, kind: EvidenceType, verdict: Verdict) -> None:
    made = factories.investigation()
    Evidence.objects.create(investigation=made, key="x", type=kind, name="something", verdict=verdict)

    assert mira.get(f"{LIST}{made.pk}?tab=evidence").status_code == 200
    assert mira.get(f"{LIST}{made.pk}?tab=entities").status_code == 200


def test_a_page_costs_as_many_queries_with_much_data(mira: Client) -> None:
    made = full()
    home = DeviceGroup.objects.get(name="Finance laptops")
    mira.get(f"{LIST}{made.pk}")

    def queries(tab: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert mira.get(f"{LIST}{made.pk}?tab={tab}").status_code == 200
        return len(captured)

    before = {tab: queries(tab) for tab in TABS}
    for _ in range(5):
        factories.planned(factories.file_evidence(factories.device(in_group=home), made))
    assert {tab: queries(tab) for tab in TABS} == before


def test_waiting_counts_each_moment_once() -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 11, 23, 12, minute, tzinfo=UTC)

    assert covered([(at(0), at(10)), (at(5), at(8)), (at(9), at(15)), (at(20), at(21))]) == timedelta(
        minutes=16
    )


def test_only_reading(mira: Client) -> None:
    assert mira.post(LIST).status_code == 405
    assert mira.post(f"{LIST}{factories.investigation().pk}").status_code == 405


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    assert client.get(LIST).status_code == 302


def test_without_a_role_nothing_is_seen(client: Client) -> None:
    factories.investigation()
    client.force_login(factories.person("nobody"))

    assert listed(client) == []
