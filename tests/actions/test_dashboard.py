"""The first page: how much waits, within what one sees."""

from collections.abc import Iterator

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action
from investigations.models import Alert
from tests import factories

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "div#dash"}


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def test_nothing_waits_yet(mira: Client) -> None:
    shown = mira.get("/").context

    assert shown["card"] == {
        "waiting": 0, "alerts": 0, "devices": 0, "mailboxes": 0, "oldest_age": "", "oldest_iso": "",
    }  # fmt: skip
    assert shown["investigations_open"] == 0


def test_the_card_counts_what_waits_and_whom_it_concerns(mira: Client) -> None:
    first, second = factories.waiting_actions(2)
    factories.waiting_mail_action()
    for number in range(3):
        Alert.objects.create(
            source="tests", external_id=f"{number}", title="Alert", investigation=first.investigation
        )
    second.reject(by=factories.person("mira").actor(), comment="A known tool")

    shown = mira.get("/").context

    assert {key: shown["card"][key] for key in ("waiting", "alerts", "devices", "mailboxes")} == {
        "waiting": 2, "alerts": 3, "devices": 1, "mailboxes": 0,
    }  # fmt: skip
    assert shown["card"]["oldest_age"] == "0m"
    assert shown["investigations_open"] == 3
    assert len(shown["expiring"]) == 2
    assert [line["result_code"] for line in shown["recent"]] == ["rejected"]


def test_running_and_unclear_actions_stand_apart(mira: Client) -> None:
    running, unclear = factories.waiting_actions(2)
    for action in (running, unclear):
        action.approve(by=factories.person("mira").actor())
    Action.objects.filter(pk=unclear.pk).update(execution=Execution.OUTCOME_UNKNOWN)

    shown = mira.get("/").context

    assert [line["label"] for line in shown["running"]] == [running.label]
    assert [line["label"] for line in shown["needs_look"]] == [unclear.label]
    assert shown["needs_look_count"] == 1
    assert shown["card"]["waiting"] == 0


def test_lines_open_the_action_in_its_list(mira: Client) -> None:
    waiting = factories.waiting_action()

    line = mira.get("/").context["expiring"][0]

    assert mira.get(line["url"]).context["action"]["number"] == waiting.pk


def test_what_is_out_of_scope_is_not_counted(mira: Client) -> None:
    secret = factories.group("Board")
    secret.access.add(Group.objects.create(name="Board watchers"))
    factories.waiting_action(secret)
    factories.waiting_action()

    assert mira.get("/").context["card"]["waiting"] == 1
    mira.force_login(factories.person("noa"))
    assert mira.get("/").context["card"]["waiting"] == 2


@pytest.fixture
def same_minute() -> Iterator[None]:
    """A tag covers the minute, because pages show ages."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.mark.usefixtures("same_minute")
def test_a_poll_is_answered_only_when_something_changed(mira: Client) -> None:
    waiting = factories.waiting_action()
    first = mira.get("/", headers=HTMX)
    tag = first["HX-PTag"]
    assert "<html" not in first.content.decode()

    assert mira.get("/", headers={**HTMX, "HX-PTag": tag}).status_code == 304
    waiting.approve(by=factories.person("mira").actor())
    after = mira.get("/", headers={**HTMX, "HX-PTag": tag})

    assert after.status_code == 200
    assert after["HX-PTag"] != tag
    assert after["Cache-Control"] == "no-store"


def test_text_from_outside_stays_text(mira: Client) -> None:
    factories.waiting_action(path="C:\\<script>alert(1)</script>\u202e.exe")

    shown = mira.get("/").content.decode()

    assert "<script>alert" not in shown
    assert "\u202e" not in shown


def test_as_many_queries_for_many_actions_as_for_one(mira: Client) -> None:
    mira.get("/")
    needed = []
    for number in (1, 3, 20):
        factories.waiting_actions(number - Action.objects.count())
        with CaptureQueriesContext(connection) as captured:
            assert mira.get("/").context["card"]["waiting"] == number
        needed.append(len(captured))

    assert len(set(needed)) == 1, needed


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    assert client.get("/").status_code == 302
    assert client.post("/").status_code in {302, 405}
