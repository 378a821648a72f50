"""The log's pages: every event is found and told, by nobody who may not, at the same cost however many there are."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.audit import log, triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.auditor import walking, words
from tests import factories
from tests.audit.drafts import seal

pytestmark = pytest.mark.django_db
LOG = "/audit/events"
HOSTILE = "<script>alert(1)</script>\u202egpj.exe"


@pytest.fixture
def ivo(client: Client) -> Client:
    client.force_login(factories.person("ivo"))
    return client


def told(kind: Kind = Kind.SETTING_CHANGED, subject: str = "setting:1", **more: Any) -> Event:
    by = more.pop("by", factories.SETUP)
    with transaction.atomic():
        return log.record(kind, by=by, subject=subject, **more)


def numbers(client: Client, query: str = "") -> list[int]:
    return [row["number"] for row in client.get(f"{LOG}?{query}").context["rows"]]


def test_newest_first_and_page_by_page(ivo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "PAGE_SIZE", 4)
    made = [told(subject=f"setting:{at}").pk for at in range(10)]
    everything = list(Event.objects.order_by("-at", "-pk").values_list("pk", flat=True))
    seen: list[int] = []
    address = LOG
    while address:
        shown = ivo.get(address).context
        seen += [row["number"] for row in shown["rows"]]
        address = shown["next_url"]

    assert seen == everything
    assert seen[:10] == made[::-1]


def test_every_kind_has_its_row_and_its_page(ivo: Client) -> None:
    """In one test: a hundred times signing in would take most of the time."""
    for kind in Kind:
        event = told(kind, before={"level": "FULL"}, after={"level": "NONE"}, detail={"comment": HOSTILE})
        assert numbers(ivo, f"kind={kind}")[0] == event.pk
        page = ivo.get(f"{LOG}/{event.pk}").content.decode()
        assert words.kind_label(kind) in page
        assert "<script>alert" not in page
        assert "\u202e" not in page


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("subject=A-1042", True), ("subject=a-1042", True), ("subject=action:1042", True), ("subject=A-7", False),
        ("area=2", True), ("area=1", False), ("via=token", True), ("via=session", False), ("refused=yes", True),
        ("refused=no", False), ("kind=action.refused", True), ("kind=action.approved", False), ("group=3", True),
        ("group=4", False), ("since=hour", True), ("month=2001-01", False), ("actor=token:3", True),
        ("actor=automation", False), ("actor=token:3&kind=action.refused&refused=yes&q=invoice", True),
        ("actor=token:3&kind=action.approved", False), ("subject=A-1042&actor=user:1", False), ("q=OVERDUE", True),
        ("q=overdue+invoice", True), ("q=overdue+nothing", False), ("q=halden.example", True), ("q=invo", True),
    ],
)  # fmt: skip
def test_filters(ivo: Client, query: str, fits: bool) -> None:
    for number in (3, 4):
        factories.group(f"Group {number}", pk=number)
    event = told(
        Kind.ACTION_REFUSED,
        "action:1042",
        subject_name="Overdue invoice",
        by=Actor("token:3", "Bot", Via.TOKEN),
        area=2,
        group_id=3,
        detail={"mailbox": "bo@halden.example"},
    )

    assert (event.pk in numbers(ivo, query)) is fits


def test_what_is_wrong_with_a_filter_is_said(ivo: Client) -> None:
    for query in ("kind=made.up", "month=2026-99", "month=0000-01", "q=///", "q=ab", "group=99", "via=x"):
        answer = ivo.get(f"{LOG}?{query}")
        assert answer.status_code == 400, query
        assert "This filter was ignored." in answer.content.decode(), query
    assert ivo.get(f"{LOG}?page=made-up").status_code == 400


def test_a_page_looks_at_so_many_events_and_says_so(ivo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "LOOKED_AT", 5)
    rare = told(subject_name="Needle", by=Actor("token:3", "Bot", Via.TOKEN))
    for at in range(12):
        told(subject=f"setting:{at}", subject_name="Hay")

    addresses, address, seen = 0, f"{LOG}?via=token", []
    while address and not seen:
        shown = ivo.get(address).context
        seen = [row["number"] for row in shown["rows"]]
        assert bool(shown["looked_back_to"]) is not (shown["next_url"] == "")
        address, addresses = shown["next_url"], addresses + 1

    assert (seen, addresses) == ([rare.pk], 3)


def test_several_ways_end_together(ivo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused lies along several indexes; none of them may run ahead and hide what another has."""
    monkeypatch.setattr(walking, "LOOKED_AT", 3)
    made = [told(sorted(words.REFUSED)[at % 3], f"setting:{at}", area=1 + at % 2).pk for at in range(24)]
    seen: list[int] = []
    address = f"{LOG}?refused=yes&area=1"
    while address:
        shown = ivo.get(address).context
        seen += [row["number"] for row in shown["rows"]]
        address = shown["next_url"]

    assert seen == made[::2][::-1]


@pytest.mark.parametrize("query", ["", "q=quarterly", "refused=yes", "kind=setting.changed&area=1"])
def test_equal_queries_for_few_and_many(ivo: Client, query: str) -> None:
    ivo.get(LOG)
    counts = []
    for more in (1, 2, 97):
        for _ in range(more):
            told(subject_name="Quarterly report", area=1, group_id=3)
        with CaptureQueriesContext(connection) as caught:
            ivo.get(f"{LOG}?{query}")
        counts.append(len(caught))

    assert len(set(counts)) == 1, counts


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_others_are_refused(client: Client, name: str) -> None:
    event = told()
    client.force_login(factories.person(name))

    assert [client.get(path).status_code for path in (LOG, f"{LOG}/{event.pk}")] == [403, 403]
    assert "/audit/" not in client.get("/").content.decode()


@pytest.mark.parametrize("name", ["ivo", "noa"])
def test_those_who_may_are_led_there(client: Client, name: str) -> None:
    client.force_login(factories.person(name))

    assert f'href="{LOG}"' in client.get("/").content.decode()
    assert client.get(LOG).status_code == 200
    assert client.get(f"{LOG}/999999999").status_code == 404


def test_an_event_says_whether_it_is_sealed(ivo: Client) -> None:
    event = told()
    before = ivo.get(f"{LOG}/{event.pk}")
    seal()
    after = ivo.get(f"{LOG}/{event.pk}")

    assert (before.context["seal"], after.context["seal"]["number"]) == (None, 1)
    assert "Not sealed yet" in before.content.decode()


def test_an_event_tells_what_changed_and_where_it_stands(ivo: Client) -> None:
    told(subject="setting:7")
    by = factories.actor(factories.person("noa"))
    event = told(
        subject="setting:7",
        by=by,
        before={"cap": {"hour": 3}, "kept": 1},
        after={"cap": {"hour": 5}, "kept": 1},
    )
    shown = ivo.get(f"{LOG}/{event.pk}").context

    assert [(line["name"], line["before"], line["after"], line["differs"]) for line in shown["changes"]] == [
        ("cap.hour", "3", "5", True),
        ("kept", "1", "1", False),
    ]
    assert (shown["intact"], shown["via"], shown["next"]) == (True, "Signed in", None)


@pytest.mark.parametrize(
    "change",
    [
        {"canonical": "anything"},
        {"chain": "\u00e4"},
        {"area": 77},
        {"actor_name": "Somebody else"},
        {"kind": "made.up"},
    ],
)
def test_whatever_somebody_made_of_an_event_it_is_shown_and_marked(
    ivo: Client, change: dict[str, Any]
) -> None:
    event = told()
    triggers.remove(connection)
    Event.objects.filter(pk=event.pk).update(**change)

    assert ivo.get(f"{LOG}/{event.pk}").context["intact"] is False
    assert ivo.get(LOG).status_code == 200


def test_an_event_that_was_changed_behind_our_back_is_marked(
    ivo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = told()
    monkeypatch.setattr("django.conf.settings.AUDIT_KEY", b"another key" * 3)

    assert ivo.get(f"{LOG}/{event.pk}").context["intact"] is False
