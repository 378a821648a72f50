"""What the pages show and offer of ends, waits and differences."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.models import Action
from actioncenter.connectors.simulator.estate import Estate
from investigations.models import Device
from tests import factories
from tests.actions.directly import taken
from tests.actions.in_force import HOUR, look, set_free

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
ISOLATE = ActionType.ISOLATE_DEVICE


@pytest.fixture
def isolated(machine: Device, run: Run) -> Action:
    action = taken(ISOLATE, machine)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    return action


@pytest.fixture
def drifted(isolated: Action, machine: Device, estate: Estate) -> Action:
    set_free(estate, machine)
    look(isolated)
    assert isolated.drifted_at is not None
    return isolated


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    factories.prove(client)
    return client


def page_of(action: Action) -> str:
    return f"/action-center/actions/{action.pk}"


def text(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def send(client: Client, action: Action, verb: str, **more: Any) -> Any:
    sent = {"next": page_of(action), "idempotency_key": "k" * 32, "comment": "I looked", **more}
    return client.post(f"{page_of(action)}/{verb}", sent)


def test_the_pages_show_a_difference(drifted: Action, mira: Client) -> None:
    pane = text(mira, page_of(drifted))
    assert "What was done is no longer in force" in pane
    assert "isolation none" in pane
    for label in ("Propose again", "Take note"):
        assert label in pane
    assert "Needs a look" in text(mira, "/action-center/pending")
    assert "No longer in force" in text(mira, "/action-center/pending")
    assert "Drift" in text(mira, "/action-center/history")
    assert drifted.on_name in text(mira, "/")


def test_the_page_takes_note(drifted: Action, mira: Client) -> None:
    assert send(mira, drifted, "seen").status_code == 302
    drifted.refresh_from_db()
    assert drifted.drifted_at is None
    pane = text(mira, page_of(drifted))
    assert "Take note" not in pane
    assert "What was done is no longer in force" in pane


def test_the_page_proposes_again(drifted: Action, mira: Client) -> None:
    assert send(mira, drifted, "again").status_code == 302
    assert Action.objects.exclude(pk=drifted.pk).get().type == ISOLATE


def test_the_page_shows_the_end_and_moves_it(machine: Device, run: Run, mira: Client) -> None:
    action = taken(ISOLATE, machine, hours=4)
    run(action)
    was = action.ends_at
    assert was is not None
    pane = text(mira, page_of(action))
    assert "Ends by itself in" in pane
    assert was.isoformat() in pane
    assert "Ends by itself" in text(mira, "/action-center/history")
    assert send(mira, action, "extend", hours=8, ends=was.isoformat()).status_code == 302
    action.refresh_from_db()
    assert action.ends_at == was + 8 * HOUR
    assert send(mira, action, "extend", hours=8, ends="x", idempotency_key="l" * 32).status_code == 409
    headers = {"HX-Request": "true", "HX-Target": "aside#pane"}
    sent = {"hours": 1, "ends": action.ends_at.isoformat(), "comment": "Longer", "idempotency_key": "m" * 32}
    answer = mira.post(f"{page_of(action)}/extend", sent, headers=headers)
    assert answer.status_code == 200
    assert "Extended" in answer.content.decode()


def test_the_page_gives_an_end_to_what_has_none(isolated: Action, mira: Client) -> None:
    assert "Let it end by itself" in text(mira, page_of(isolated))
    send(mira, isolated, "extend", hours=4, ends="")
    isolated.refresh_from_db()
    assert isolated.ends_at is not None


def test_who_waits_for_a_device_reads_for_how_long(
    machine: Device, run: Run, estate: Estate, mira: Client
) -> None:
    estate.behave("offline", True)
    action = taken(ISOLATE, machine)
    run(action)
    pane = text(mira, page_of(action))
    assert f"Waiting for {machine.name} to come back; tried until" in pane
    assert "Next try at" in pane
    assert "Waits for the device" in text(mira, "/action-center/history")
