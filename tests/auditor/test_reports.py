"""Monthly reports: every figure is what the log holds, in the month it belongs to, on the page and in the file."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.auditor import figures, looking
from actioncenter.auditor.models import PageView
from tests import factories
from tests.audit.drafts import seal

pytestmark = pytest.mark.django_db
REPORTS = "/audit/reports"


@pytest.fixture
def ivo(client: Client) -> Client:
    client.force_login(factories.person("ivo"))
    return client


@pytest.fixture
def this_month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"


def told(kind: Kind, by: Actor = factories.SETUP, **more: Any) -> Event:
    with transaction.atomic():
        return log.record(kind, by=by, subject="setting:1", **more)


def lines(client: Client, name: str) -> dict[str, tuple[str, str, str]]:
    text = client.get(f"{REPORTS}/{name}.csv").content.decode()
    return {row[2]: (row[3], row[4], row[5]) for row in list(csv.reader(io.StringIO(text)))[1:]}


def test_every_kind_of_a_section_is_counted_by_who_did_it(ivo: Client, this_month: str) -> None:
    kinds = [kind for of_section in figures.SECTIONS.values() for kind in of_section]
    assert len(kinds) == len(set(kinds))
    machine, person = Actor.automation(), factories.person("mira").actor(Via.SESSION)
    before = lines(ivo, this_month)
    for kind in kinds:
        told(kind, machine, after={"result": "SOUND"})
        told(kind, person, after={"result": "SOUND"})
        told(kind, person, after={"result": "SOUND"})

    after = lines(ivo, this_month)
    for kind in kinds:
        label = figures.kind_label(kind)
        grown = [int(now) - int(then) for now, then in zip(after[label], before[label], strict=True)]
        # Taking the file was an export, too.
        assert grown == ([1, 3, 4] if kind == Kind.EXPORT_MADE else [1, 2, 3]), kind


def test_automatic_and_direct_are_told_apart(ivo: Client, this_month: str) -> None:
    machine, person = Actor.automation(), factories.person("mira").actor(Via.SESSION)
    for by, decision, number in (
        (machine, "NOT_REQUIRED", 3),
        (person, "NOT_REQUIRED", 2),
        (machine, "PENDING", 4),
    ):
        for _ in range(number):
            told(Kind.ACTION_PROPOSED, by, after={"type": "quarantine_file", "decision": decision})
    shown = ivo.get(f"{REPORTS}/{this_month}").context

    assert lines(ivo, this_month)["Run without asking"] == ("3", "2", "5")
    assert [(of.proposed, of.at_once) for of in shown["figures"].types] == [(9, 5)]
    assert {tile["label"]: tile["figure"] for tile in shown["tiles"]}["run by automation"] == "3"


def test_a_month_holds_its_own(ivo: Client) -> None:
    told(Kind.SWITCH_PULLED)
    since, until = datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 2, 1, tzinfo=UTC)
    at = Event.objects.order_by("-pk").values_list("at", flat=True)[0]

    assert figures.month(since, until).events == 0
    assert figures.month(at, at).events == 0
    assert figures.month(at, until.replace(year=2999)).events == 1


def test_verifications_views_files_and_seals(
    ivo: Client, this_month: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "views", looking.Batches(PageView, "views"))
    for result in ("SOUND", "SOUND", "WRONG"):
        told(Kind.AUDIT_VERIFIED, after={"result": result})
    PageView.objects.create(
        at=datetime.now(UTC), actor="user:1", actor_name="x", page="settings:authority_file"
    )
    PageView.objects.create(at=datetime.now(UTC), actor="user:1", actor_name="x", page="home")
    before = ivo.get(f"{REPORTS}/{this_month}").context
    seal()
    after = ivo.get(f"{REPORTS}/{this_month}").context["figures"]

    assert before["figures"].verified == {"SOUND": 2, "WRONG": 1}
    assert (before["figures"].views, before["figures"].files) == (2, 1)
    assert [figures.all_sealed for figures in (before["figures"], after)] == [False, True]
    assert after.seal.number == 1


@pytest.mark.parametrize("name", ["2026-13", "abc", "2999-01", "2026-1", "0000-01", "2026-02-01"])
def test_what_is_no_month_is_not_found(ivo: Client, name: str) -> None:
    assert [ivo.get(f"{REPORTS}/{name}{end}").status_code for end in ("", ".csv")] == [404, 404]


def test_months_are_listed_from_the_first_event_on(ivo: Client, this_month: str) -> None:
    told(Kind.SWITCH_PULLED)
    with time_machine.travel(datetime(2100, 3, 2, tzinfo=UTC), tick=False):
        client = Client()
        client.force_login(factories.person("ivo"))
        names = [month["name"] for month in client.get(REPORTS).context["months"]]

    assert names[:4] == ["2100-03", "2100-02", "2100-01", "2099-12"]
    assert len(names) == 36
    assert [month["name"] for month in ivo.get(REPORTS).context["months"]] == [this_month]


def test_taking_the_file_is_an_event(ivo: Client, this_month: str) -> None:
    answer = ivo.get(f"{REPORTS}/{this_month}.csv")

    assert answer["Content-Type"].startswith("text/csv")
    event = Event.objects.get(kind=Kind.EXPORT_MADE)
    assert (event.actor_name, event.detail) == ("Ivo Petrov", {"what": "monthly report", "month": this_month})


def test_figures_lead_to_their_events(ivo: Client, this_month: str) -> None:
    event = told(Kind.SWITCH_PULLED)
    sections = ivo.get(f"{REPORTS}/{this_month}").context["sections"]
    (url,) = [
        figure["url"]
        for section in sections
        for figure in section["figures"]
        if figure["label"] == "Switch pulled"
    ]

    assert [row["number"] for row in ivo.get(url).context["rows"]] == [event.pk]


def test_equal_queries_for_few_and_many(ivo: Client, this_month: str) -> None:
    ivo.get(f"{REPORTS}/{this_month}")
    counts = []
    for more in (1, 2, 97):
        for _ in range(more):
            told(Kind.SWITCH_PULLED)
        with CaptureQueriesContext(connection) as caught:
            ivo.get(f"{REPORTS}/{this_month}")
        counts.append(len(caught))

    assert len(set(counts)) == 1, counts


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_others_are_refused(client: Client, name: str, this_month: str) -> None:
    client.force_login(factories.person(name))
    paths = (REPORTS, f"{REPORTS}/{this_month}", f"{REPORTS}/{this_month}.csv")

    assert {client.get(path).status_code for path in paths} == {403}
