"""Polls: 304 while nothing changed, and never 304 when something did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.actions.views import lists
from actioncenter.audit import log, triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models import DeviceGroup
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
ROWS = {"HX-Request": "true", "HX-Target": "div#rows"}
PENDING = "/action-center/pending"
NOON = timezone.now().replace(second=5, microsecond=0)


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    client.get(PENDING)
    return client


def poll(client: Client, address: str = PENDING, tag: str = "", target: str = "div#rows") -> Any:
    headers = {"HX-Request": "true", "HX-Target": target} | ({"HX-PTag": tag} if tag else {})
    with time_machine.travel(NOON, tick=False):
        return client.get(address, headers=headers)


def test_nothing_changed_means_no_body_and_no_list(mira: Client) -> None:
    proposed()
    tag = poll(mira)["HX-PTag"]

    with CaptureQueriesContext(connection) as queries:
        again = poll(mira, tag=tag)
    assert (again.status_code, again.content, again["HX-PTag"]) == (304, b"", tag)
    assert again["Cache-Control"] == "no-store"
    assert {"HX-Request", "HX-Target", "HX-PTag"} <= set(again["Vary"].split(", "))
    assert not any("target_name" in query["sql"] for query in queries)


def test_nothing_of_the_address_is_read_while_nothing_changed(
    mira: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, people and groups would be most of the work of a poll."""
    proposed(ActionType.ISOLATE_DEVICE)
    address = f"{PENDING}?type=isolate&q=two+w%C3%B6rds&sort=-target&size=25"
    with time_machine.travel(NOON, tick=False):
        page = mira.get(address).context
    monkeypatch.setattr(lists, "ListState", None)

    assert poll(mira, page["poll_url"], page["ptag"]).status_code == 304


def decide(action: Action) -> None:
    action.reject(by=factories.person("noa").actor(), comment="no")


def start(action: Action) -> None:
    put(action, Decision.APPROVED, Execution.IN_PROGRESS)


def report_progress(action: Action) -> None:
    Attempt.objects.filter(action__isnull=False).update(done=5)


def say_something(action: Action) -> None:
    Attempt.objects.update(message="scanning C:\\Users")


def let_expire(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(expires_at=timezone.now())


def propose_another(action: Action) -> None:
    proposed(name="another")


def comment_only(action: Action) -> None:
    with transaction.atomic():
        log.record_many([action.draft(Kind.ACTION_COMMENTED, by=factories.SETUP)])


CHANGES = [decide, start, report_progress, say_something, let_expire, propose_another, comment_only]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_in_sight_changes_the_tag(mira: Client, change: Callable[[Action], None]) -> None:
    action = proposed()
    running = put(proposed(name="running"), Decision.APPROVED, Execution.IN_PROGRESS)
    Attempt.objects.create(action=running, runner="r", total=10)
    tag = poll(mira)["HX-PTag"]

    change(action)
    assert poll(mira, tag=tag).status_code == 200


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_out_of_sight_changes_nothing(mira: Client, change: Callable[[Action], None]) -> None:
    closed = factories.closed_group()
    hidden = proposed(group_id=closed.pk)
    running = put(proposed(name="running", group_id=closed.pk), Decision.APPROVED, Execution.IN_PROGRESS)
    Attempt.objects.create(action=running, runner="r", total=10)
    tag = poll(mira)["HX-PTag"]

    change(hidden)
    assert (poll(mira, tag=tag).status_code == 304) is (change is not propose_another)


def test_every_state_of_a_list_has_its_own_tag(mira: Client) -> None:
    addresses = [PENDING, f"{PENDING}?verdict=malicious", f"{PENDING}?sort=-target", "/action-center/history"]
    assert len({poll(mira, address)["HX-PTag"] for address in addresses}) == len(addresses)


def test_the_minute_and_the_scope_are_in_the_tag(mira: Client) -> None:
    tag = poll(mira)["HX-PTag"]
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        assert mira.get(PENDING, headers=ROWS | {"HX-PTag": tag}).status_code == 200
    DeviceGroup.objects.get().access.add(factories.closed_group().access.get())
    assert poll(mira, tag=tag).status_code == 200


def test_an_event_that_commits_late_under_an_earlier_id_changes_the_tag(mira: Client) -> None:
    late, early = proposed(name="took its id first"), proposed(name="committed first")
    comment_only(late)
    comment_only(early)
    after = poll(mira)["HX-PTag"]

    # As it was before the late one committed.
    triggers.remove(connection)
    Event.objects.filter(stream=f"action:{late.pk}", kind=Kind.ACTION_COMMENTED).delete()
    triggers.install(connection)
    assert poll(mira, tag=after).status_code == 200


def test_the_open_action_polls_itself(mira: Client) -> None:
    action = proposed()
    address = f"/action-center/actions/{action.pk}"
    tag = poll(mira, address, target="aside#pane")["HX-PTag"]

    assert poll(mira, address, tag, "aside#pane").status_code == 304
    propose_another(action)
    assert poll(mira, address, tag, "aside#pane").status_code == 304
    decide(action)
    assert poll(mira, address, tag, "aside#pane").status_code == 200


def test_the_numbers_in_the_navigation(mira: Client) -> None:
    proposed()
    first = poll(mira, "/live/counts", target="div#nav-links")
    assert first.status_code == 200
    assert first.context["nav"]["waiting"] == 1

    assert poll(mira, "/live/counts", first["HX-PTag"], "div#nav-links").status_code == 304
    propose_another(proposed())
    assert poll(mira, "/live/counts", first["HX-PTag"], "div#nav-links").context["nav"]["waiting"] == 3


@pytest.mark.parametrize(("username", "words"), [
    ("mira", "Responder, all groups"), ("sam", "Responder, Email responder, all groups"), ("noa", "Admin, all groups"),
    ("ivo", "Auditor, all groups"), ("kim", "Analyst, all groups"), ("nobody", "No role"),
])  # fmt: skip
def test_the_navigation_says_who_looks(client: Client, username: str, words: str) -> None:
    client.force_login(factories.person(username))
    nav = client.get(PENDING).context["nav"]

    assert nav["me_role"] == words
    assert nav["can_settings"] is (username in {"noa", "ivo"})


def test_a_closed_group_narrows_what_the_navigation_says(client: Client) -> None:
    factories.closed_group()
    client.force_login(factories.person("mira"))

    assert client.get(PENDING).context["nav"]["me_role"] == "Responder, 1 group"
