"""Dry run: what would be done is read and written down, nothing is touched, nobody is told that it happened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from actioncenter.actions.enums import ActionType, Decision, Execution, TargetState
from actioncenter.actions.execution import loop, rehearsing
from actioncenter.actions.execution.journal import Port
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.connectors import base
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import IsolationState, RemediationStatus
from investigations.models import Binding, Device
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.connecting import connector, decided, effects, now_due
from tests.actions.directly import taken
from tests.actions.test_timed import isolated, releases, since

__all__ = ["isolated", "since"]
pytestmark = pytest.mark.django_db
BY = Actor.command("tests")


@pytest.fixture
def rehearsed(tmp_path: Path) -> ConnectorInstance:
    made = connector(tmp_path, "Lab")
    made.rehearse(on=True, by=BY)
    return made


def ended(instance: ConnectorInstance, kind: ActionType = ActionType.ISOLATE_DEVICE) -> Action:
    machine = factories.device()
    Binding.objects.filter(device=machine).update(instance=instance)
    action = taken(kind, machine, {"mode": "full"} if kind == ActionType.ISOLATE_DEVICE else {})
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    return action


def text(response: HttpResponse) -> str:
    return response.content.decode()


def test_nothing_is_touched_and_what_would_be_is_written_down(rehearsed: ConnectorInstance) -> None:
    action = ended(rehearsed)
    assert effects(rehearsed) == 0
    assert (action.execution, action.code) == (Execution.CANCELLED, rehearsing.CODE)
    assert "Dry run: Simulator sent nothing and changed nothing" in action.status_detail
    told = Event.objects.get(kind="action.rehearsed")
    assert told.after["instance"] == "Simulator"
    assert told.after["changes"], "and it says what"
    assert told.after["changes"][0].rstrip(".")[:100] in action.status_detail
    device = action.targets.get().device
    assert device is not None
    assert device.isolation == IsolationState.NONE
    assert action.read_back_at is None


def test_the_pages_say_that_it_did_not_happen(rehearsed: ConnectorInstance, client: Client) -> None:
    action = ended(rehearsed)
    client.force_login(factories.person("mira"))
    pane = text(client.get(f"/action-center/actions/{action.pk}"))
    assert "Dry run, not done" in pane
    assert "Dry run: Simulator sent nothing and changed nothing" in pane
    assert "Dry run, nothing was sent. It would have done:" in pane
    listed = text(client.get("/action-center/history"))
    assert "Dry run, not done" in listed
    assert "Succeeded" not in listed.partition("<tbody")[2]
    exported = b"".join(client.get("/action-center/history/export.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert "Dry run, not done" in exported
    assert "Succeeded" not in exported.partition("\n")[2]


def test_evidence_stays_unremediated(estate: Estate) -> None:
    ConnectorInstance.objects.get().rehearse(on=True, by=BY)
    action = factories.waiting_action().approve(by=factories.person("mira").actor())
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.decision, action.execution) == (Decision.APPROVED, Execution.CANCELLED)
    assert sum(estate.effects().values()) == 0
    assert action.links.get().evidence.remediation == RemediationStatus.UNREMEDIATED


def test_a_cluster_of_mail_stays_where_it_is(estate: Estate) -> None:
    ConnectorInstance.objects.get().rehearse(on=True, by=BY)
    (action,) = factories.planned(factories.cluster_evidence())[:1]
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    action.approve(by=factories.person("aiko").actor())
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code) == (Execution.CANCELLED, rehearsing.CODE)
    assert sum(estate.effects().values()) == 0


def test_what_could_not_be_read_is_said_and_nothing_sent(
    rehearsed: ConnectorInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> base.Plan:
        raise base.Permanent("gone", "No such host.")

    monkeypatch.setattr(Simulator, "preview", refuse)
    action = ended(rehearsed)
    assert action.execution == Execution.CANCELLED
    assert "could not be read (No such host.)" in action.status_detail


def test_a_device_that_is_away_is_waited_for(
    rehearsed: ConnectorInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview, away = Simulator.preview, [True]

    def sometimes(connector: Simulator, request: base.Request) -> base.Plan:
        if away.pop() if away else False:
            raise base.Transient("Away.", 1.0, offline=True)
        return preview(connector, request)

    monkeypatch.setattr(Simulator, "preview", sometimes)
    action = ended(rehearsed)
    assert action.execution == Execution.QUEUED
    now_due()
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code) == (Execution.CANCELLED, rehearsing.CODE)
    assert effects(rehearsed) == 0


def test_nothing_is_made_up_for_afterwards(rehearsed: ConnectorInstance) -> None:
    action = ended(rehearsed)
    rehearsed.rehearse(on=False, by=BY)
    now_due()
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.CANCELLED
    assert effects(rehearsed) == 0
    assert ended(rehearsed).execution == Execution.SUCCEEDED
    assert effects(rehearsed) == 1


def test_what_was_about_to_be_sent_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set between the look at it and the first touch: nothing goes out, and then it is rehearsed."""
    instance = connector(tmp_path, "Lab")
    (action,) = decided(instance)
    intent = Port.intent

    def late(port: Port, keys: list[str]) -> None:
        instance.rehearse(on=True, by=BY)
        intent(port, keys)

    monkeypatch.setattr(Port, "intent", late)
    loop.drain(by=RUNNER)
    assert effects(instance) == 0
    now_due()
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code) == (Execution.CANCELLED, rehearsing.CODE)
    assert effects(instance) == 0
    assert {target.state for target in ActionTarget.objects.filter(action=action)} == {TargetState.CANCELLED}


def test_this_suite_sees_a_dry_run_that_sends(
    rehearsed: ConnectorInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsing, "is_on", lambda _: False)
    assert ended(rehearsed).execution == Execution.SUCCEEDED
    assert effects(rehearsed) == 1


def test_while_everything_is_only_rehearsed_it_waits(
    isolated: Callable[..., Action], machine: Device, run: Callable[..., Any], estate: Estate
) -> None:
    """Its release would be said and not done, and nothing would ever end it."""
    action = isolated(4, ago=5)
    instances = ConnectorInstance.objects.filter(pk=action.targets.get().instance_id)
    instances.update(dry_run=True)
    run(action)
    assert (releases(action), action.undone_by) == ([], None)
    assert action.ends_at is not None

    instances.update(dry_run=False)
    run(action)
    (release,) = releases(action)
    assert (release.execution, action.ends_at) == (Execution.SUCCEEDED, None)
