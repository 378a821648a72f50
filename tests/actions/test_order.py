"""What contradicts on one device happens in its order, and what was taken back before it began never does."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from actioncenter.actions.enums import ActionType, Decision, Execution, TargetState
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Conflict, Proposal
from actioncenter.actions.models.undoing import draft_of
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import ApprovalRule, ConnectorInstance, Stop
from investigations.enums import IsolationState, RemediationStatus
from investigations.models import Device
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken
from tests.faults.harness import is_quiet, until
from tests.faults.harness_nursery import Nursery

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
ISOLATE, RELEASE = ActionType.ISOLATE_DEVICE, ActionType.RELEASE_DEVICE
QUICKLY = [ISOLATE, ISOLATE, RELEASE, RELEASE]


def told(action: Action, kind: str) -> list[dict[str, Any]]:
    events = Event.objects.filter(stream=f"action:{action.pk}", kind=kind).order_by("seq")
    return [event.detail or {} for event in events]


@pytest.mark.parametrize("runners", [1, 2])
def test_isolate_isolate_release_release_ends_released(
    shared_database: str, tmp_path: Path, runners: int
) -> None:
    estate = Estate(tmp_path / "estate.sqlite3")
    ConnectorInstance.objects.update(settings={"path": str(estate.path), "pace": 0})
    device = factories.device(in_group=factories.group())
    actions = [taken(kind, device) for kind in QUICKLY]
    with Nursery(shared_database, lease=5.0) as nursery:
        alive = [nursery.start(threads=4) for _ in range(runners)]
        until(is_quiet, "it never became quiet")
        for runner in alive:
            runner.stop()
    device.refresh_from_db()
    state = estate.state("device", device.bindings.get().remote)
    assert state is not None
    assert (state["isolation"], device.isolation) == ("none", IsolationState.NONE)
    ends = [Action.objects.get(pk=action.pk).execution for action in actions]
    assert ends == [Execution.CANCELLED] * 2 + [Execution.SUCCEEDED] * 2


@pytest.mark.parametrize("pauses", range(1, 4))
def test_in_whatever_rhythm_they_come_the_last_one_holds(pauses: int, machine: Device, run: Run) -> None:
    """The runner comes by after so many of them."""
    for at, kind in enumerate(QUICKLY, 1):
        taken(kind, machine)
        if at == pauses:
            run()
    run()
    machine.refresh_from_db()
    assert machine.isolation == IsolationState.NONE
    assert not Action.objects.running().exists()


def test_a_release_cancels_the_isolation_before_it_and_both_say_so(
    machine: Device, run: Run, estate: Estate
) -> None:
    isolation, release = taken(ISOLATE, machine), taken(RELEASE, machine)
    run(isolation, release)
    assert (isolation.execution, isolation.code) == (Execution.CANCELLED, "cancelled_by_inverse")
    assert isolation.status_detail == f"Cancelled because {release.label} takes it back."
    assert told(release, "action.overtook") == [{"overtook": isolation.pk, "targets": 1}]
    assert release.execution == Execution.SUCCEEDED
    assert {key for _, key in estate.effects()} == {str(target.pk) for target in release.targets.all()}


def test_an_isolation_after_a_release_is_not_cancelled(machine: Device, run: Run) -> None:
    release, isolation = taken(RELEASE, machine), taken(ISOLATE, machine)
    run(release, isolation)
    assert isolation.execution == Execution.SUCCEEDED


@pytest.mark.parametrize("other", [ActionType.RELEASE_CONTAINMENT, ActionType.RELEASE_EXECUTION])
def test_what_takes_something_else_back_cancels_nothing(other: ActionType, machine: Device, run: Run) -> None:
    isolation = taken(ISOLATE, machine)
    taken(other, machine)
    run(isolation)
    assert isolation.execution == Execution.SUCCEEDED


def test_another_device_s_release_cancels_nothing(machine: Device, run: Run) -> None:
    isolation = taken(ISOLATE, machine)
    taken(RELEASE, factories.device())
    run(isolation)
    assert isolation.execution == Execution.SUCCEEDED


def test_a_release_that_waits_for_a_decision_cancels_nothing_yet(machine: Device, run: Run) -> None:
    ApprovalRule.objects.create(action_type=RELEASE, second_person=True)
    isolation, release = taken(ISOLATE, machine), taken(RELEASE, machine)
    assert release.decision == Decision.PENDING
    run(isolation)
    assert isolation.execution == Execution.SUCCEEDED


def test_an_offline_device_s_isolation_is_cancelled_at_once(
    machine: Device, run: Run, estate: Estate
) -> None:
    estate.behave("offline", True)
    isolation = taken(ISOLATE, machine)
    run(isolation)
    assert isolation.targets.get().error_class == "device_offline"
    release = taken(RELEASE, machine)
    loop.drain(by=RUNNER)
    isolation.refresh_from_db()
    assert isolation.code == "cancelled_by_inverse"
    loop.drain(by=RUNNER)
    release.refresh_from_db()
    assert (release.execution, release.targets.get().tries) == (Execution.QUEUED, 1)


def test_a_release_nobody_decided_on_cancels_nothing(machine: Device, run: Run) -> None:
    isolation, release = taken(ISOLATE, machine), taken(RELEASE, machine)
    Action.objects.filter(pk=release.pk).update(fingerprint="0" * 64)
    run(isolation, release)
    assert (isolation.execution, release.code) == (Execution.SUCCEEDED, "fingerprint_changed")


def test_a_release_that_was_asked_to_stop_cancels_nothing(machine: Device, run: Run) -> None:
    isolation, release = taken(ISOLATE, machine), taken(RELEASE, machine)
    release.request_cancel(by=factories.person("mira").actor())
    run(isolation, release)
    assert (isolation.execution, release.execution) == (Execution.SUCCEEDED, Execution.CANCELLED)


def test_nothing_is_cancelled_under_a_stop(machine: Device, run: Run) -> None:
    noa = factories.actor(factories.person("noa"))
    isolation = taken(ISOLATE, machine)
    taken(RELEASE, machine)
    stop = Stop.pull(StopKind.STOP, StopScope.ALL, by=noa, reason="Exercise")
    run(isolation)
    assert isolation.execution == Execution.QUEUED
    stop.lift(by=noa, comment="Over")
    run(isolation)
    assert isolation.code == "cancelled_by_inverse"


# Several targets


def several(*devices: Device, kind: ActionType = ISOLATE) -> Action:
    """One action on all of them."""
    firsts = [taken(kind, device) for device in devices]
    drafts = [draft_of(first.targets.get()) for first in firsts]
    Action.objects.filter(pk__in=[first.pk for first in firsts]).delete()
    action, _ = Action.objects.propose(
        Proposal(type=kind, area=firsts[0].area, source=firsts[0].source, decision=Decision.NOT_REQUIRED,
                 targets=drafts, comment="By hand", group_id=firsts[0].group_id),
        by=factories.actor(factories.person("mira")),
    )  # fmt: skip
    return action


def test_of_several_devices_only_the_released_one_is_left_out(machine: Device, run: Run) -> None:
    other = factories.device(in_group=machine.group)
    isolation = several(machine, other)
    taken(RELEASE, machine)
    run(isolation)
    states = {target.device_id: target.state for target in isolation.targets.all()}
    assert states == {machine.pk: TargetState.CANCELLED, other.pk: TargetState.SUCCEEDED}
    assert isolation.execution == Execution.PARTLY_SUCCEEDED


def test_a_retry_sends_failed_targets_only(machine: Device, run: Run, estate: Estate) -> None:
    others = [factories.device(in_group=machine.group) for _ in range(2)]
    estate.behave("refuse", "locked", owner=machine.bindings.get().remote)
    isolation = several(machine, *others)
    run(isolation)
    assert isolation.execution == Execution.PARTLY_SUCCEEDED
    before = {key for _, key in estate.effects()}
    estate.behave_normally()
    run(isolation.retry(by=factories.actor(factories.person("mira"))))
    failed = isolation.targets.get(device=machine)
    assert isolation.execution == Execution.SUCCEEDED
    assert sorted(isolation.targets.values_list("tries", flat=True)) == [1, 1, 2]
    assert {key for _, key in estate.effects()} - before == {str(failed.pk)}
    assert set(estate.effects().values()) == {1}


def test_a_retry_that_would_send_all_again_is_noticed(
    machine: Device, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Action.retry

    def careless(action: Action, *, by: Any) -> Action:
        queue(action, by=by)
        action.targets.update(state=TargetState.QUEUED, attempt=None)
        return action

    monkeypatch.setattr(Action, "retry", careless)
    with pytest.raises(AssertionError):
        test_a_retry_sends_failed_targets_only(machine, run, estate)


# Lanes


def test_an_hours_long_scan_holds_no_isolation_up(machine: Device, estate: Estate) -> None:
    ConnectorInstance.objects.update(settings={"pace": 3600})
    scan = taken(ActionType.ANTIVIRUS_SCAN, machine)
    loop.drain(by=RUNNER)
    isolation = taken(ISOLATE, machine)
    loop.drain(by=RUNNER)
    scan.refresh_from_db()
    isolation.refresh_from_db()
    assert (scan.execution, isolation.execution) == (Execution.IN_PROGRESS, Execution.SUCCEEDED)


def test_what_shares_its_lane_is_held_up(machine: Device, estate: Estate) -> None:
    ConnectorInstance.objects.update(settings={"pace": 3600})
    first, second = (taken(ActionType.ANTIVIRUS_SCAN, machine) for _ in range(2))
    loop.drain(by=RUNNER)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.execution, second.execution) == (Execution.IN_PROGRESS, Execution.QUEUED)


# Undo of what is only queued


def test_undo_of_what_is_only_queued_cancels_both(machine: Device, run: Run, estate: Estate) -> None:
    isolation = taken(ISOLATE, machine)
    undo = isolation.undo(by=factories.person("mira").actor(), comment="Wrong one")
    run(isolation, undo)
    assert (isolation.execution, isolation.code) == (Execution.CANCELLED, "cancelled_by_inverse")
    assert isolation.status_detail == f"Cancelled because {undo.label} takes it back."
    assert (undo.execution, undo.code, undo.undo_of) == (Execution.CANCELLED, "nothing_sent", isolation)
    assert undo.status_detail == f"Not run because {isolation.label} was cancelled before anything was sent."
    assert told(undo, "action.overtook") == [{"overtook": isolation.pk}]
    assert not estate.effects()


def test_undo_takes_back_what_was_done_and_cancels_the_rest(machine: Device, run: Run) -> None:
    other = factories.device(in_group=machine.group)
    isolation = several(machine, other)
    isolation.targets.filter(device=other).update(not_before=Now() + timedelta(hours=1))
    run(isolation)
    assert (isolation.execution, isolation.succeeded_count) == (Execution.QUEUED, 1)
    undo = isolation.undo(by=factories.person("mira").actor(), comment="Wrong one")
    run(isolation, undo)
    assert (isolation.execution, undo.execution) == (Execution.PARTLY_SUCCEEDED, Execution.SUCCEEDED)
    assert isolation.targets.get(device=other).state == TargetState.CANCELLED
    assert [target.device for target in undo.targets.all()] == [machine]
    machine.refresh_from_db()
    assert (machine.isolation, isolation.undone_by) == (IsolationState.NONE, undo)


def test_what_is_under_way_is_not_undone(machine: Device, estate: Estate) -> None:
    ConnectorInstance.objects.update(settings={"pace": 0})
    isolation = taken(ISOLATE, machine)
    Action.objects.filter(pk=isolation.pk).update(execution=Execution.IN_PROGRESS)
    with pytest.raises(Conflict, match="Only what has succeeded"):
        isolation.undo(by=factories.person("mira").actor(), comment="Wrong one")


def test_evidence_of_what_never_began_is_not_called_remediated(run: Run) -> None:
    action = factories.waiting_action().approve(by=factories.person("mira").actor())
    action.undo(by=factories.person("mira").actor(), comment="Ours")
    run(action)
    assert action.links.get().evidence.remediation == RemediationStatus.UNREMEDIATED


def test_the_page_undoes_what_is_queued(machine: Device, client: Client) -> None:
    isolation = taken(ISOLATE, machine)
    client.force_login(factories.person("mira"))
    page = f"/action-center/actions/{isolation.pk}"
    client.post(f"{page}/undo", {"next": page, "comment": "Wrong one", "idempotency_key": "k" * 32})
    isolation.refresh_from_db()
    assert isolation.execution == Execution.CANCELLED
    shown = client.get(page).content.decode()
    assert "takes it back" in shown
    undo = Action.objects.get(undo_of=isolation)
    shown = client.get(f"/action-center/actions/{undo.pk}").content.decode()
    assert f"A-{isolation.pk}, which had not begun" in shown
