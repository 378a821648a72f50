"""Work that takes hours: it goes on where it was, holds up nothing, and is cancelled exactly."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from actioncenter.actions.enums import ENDS, ActionType, AttemptState, Execution, TargetState
from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import Action, ActionTarget, Attempt, Conflict
from actioncenter.connectors import base
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
MESSAGES, CHUNK = 40, 10


@pytest.fixture
def cleanup(run: Run, estate: Estate) -> Action:
    """An approved clean-up of forty messages, ten at a time."""
    ConnectorInstance.objects.update(settings={"pace": 0, "chunk": CHUNK})
    action = factories.waiting_mail_action(messages=MESSAGES)
    run(action)
    return action.approve(by=factories.person("aiko").actor())


@pytest.fixture
def scan(estate: Estate) -> Action:
    """A scan of hours that has just begun."""
    ConnectorInstance.objects.update(settings={"pace": 4 * 3600})
    action = taken(ActionType.ANTIVIRUS_SCAN, factories.device())
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.IN_PROGRESS
    return action


def effects(estate: Estate) -> int:
    return sum(estate.effects().values())


def chunks(action: Action, number: int) -> None:
    """So many steps of it, without the waits between them."""
    for _ in range(number):
        Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=Now())
        task = loop.next_task("r", by=RUNNER)
        assert task is not None
        task()
    action.refresh_from_db()


def cancel(action: Action) -> None:
    who = "aiko" if action.mailbox_id or action.entry.area == 2 else "mira"
    action.request_cancel(by=factories.person(who).actor(), comment="On second thought")


def states(action: Action) -> dict[TargetState, int]:
    found = list(action.targets.values_list("state", flat=True))
    return {TargetState(state): found.count(state) for state in found}


# Going on


@pytest.mark.parametrize("moment", ["between two steps", "in the middle of one"])
def test_it_goes_on_from_its_cursor_after_a_crash(
    moment: str, cleanup: Action, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks(cleanup, 2)
    recorded = cleanup.attempts.get().cursor
    if moment == "between two steps":
        Attempt.objects.update(next_poll_at=Now())
        assert loop.take_due("killed") is not None
    else:
        with monkeypatch.context() as patched:
            patched.setattr(stepping, "_take", _die)
            with pytest.raises(SystemExit):
                chunks(cleanup, 1)
    Attempt.objects.update(lease_until=Now())
    seen: list[Any] = []
    _listen(monkeypatch, seen)

    while cleanup.history_at is None:
        chunks(cleanup, 1)

    assert recorded is not None
    assert seen[0] == recorded
    assert (cleanup.execution, cleanup.succeeded_count) == (Execution.SUCCEEDED, MESSAGES)
    assert cleanup.attempts.count() == 1
    assert set(estate.effects().values()) == {1}


def _die(*_: object, **__: object) -> None:
    raise SystemExit


def _listen(monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> None:
    step = Simulator.step

    def told(connector: Simulator, request: Any, cursor: Any, journal: Any) -> Any:
        seen.append(cursor)
        return step(connector, request, cursor, journal)

    monkeypatch.setattr(Simulator, "step", told)


def test_it_says_how_far_it_is_and_holds_no_lease_in_between(cleanup: Action) -> None:
    seen = []
    for _ in range(3):
        chunks(cleanup, 1)
        attempt = cleanup.attempts.get()
        seen.append((attempt.done, attempt.total, cleanup.succeeded_count))
        assert (attempt.state, attempt.lease_until) == (AttemptState.POLLING, None)
        assert attempt.message
    assert [(done, succeeded) for done, _, succeeded in seen] == [(10, 10), (20, 20), (30, 30)]
    assert {total for _, total, _ in seen} == {MESSAGES}


def test_a_scan_of_hours_holds_up_no_isolation_of_the_same_device(scan: Action, estate: Estate) -> None:
    device = scan.targets.get().device
    assert device is not None
    isolation = taken(ActionType.ISOLATE_DEVICE, device)
    loop.drain(by=RUNNER)
    isolation.refresh_from_db()
    assert isolation.execution == Execution.SUCCEEDED
    scan.refresh_from_db()
    assert scan.execution == Execution.IN_PROGRESS


# Cancelling what runs


def test_what_was_done_stays_and_the_rest_is_cancelled(cleanup: Action, estate: Estate) -> None:
    chunks(cleanup, 2)
    cancel(cleanup)
    loop.drain(by=RUNNER)
    cleanup.refresh_from_db()
    assert cleanup.execution == Execution.PARTLY_SUCCEEDED
    assert states(cleanup) == {TargetState.SUCCEEDED: 20, TargetState.CANCELLED: 20}
    assert (cleanup.succeeded_count, cleanup.failed_count, effects(estate)) == (20, 20, 20)


def test_what_was_done_but_not_heard_of_is_no_less_done(
    cleanup: Action, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third ten were deleted when the runner died; then somebody cancels."""
    chunks(cleanup, 2)
    with monkeypatch.context() as patched:
        patched.setattr(stepping, "_take", _die)
        with pytest.raises(SystemExit):
            chunks(cleanup, 1)
    assert effects(estate) == 30
    cancel(cleanup)
    Attempt.objects.update(lease_until=Now())
    loop.drain(by=RUNNER)
    cleanup.refresh_from_db()
    assert states(cleanup) == {TargetState.SUCCEEDED: 30, TargetState.CANCELLED: 10}
    assert effects(estate) == 30


def test_what_had_ended_before_the_wish_arrived_says_succeeded(estate: Estate) -> None:
    action = taken(ActionType.ANTIVIRUS_SCAN, factories.device())
    estate.behave("timeout_after_effect", times=1)
    while not effects(estate):
        chunks(action, 1)
    assert action.history_at is None
    cancel(action)
    Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=Now())
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, effects(estate)) == (Execution.SUCCEEDED, 1)
    assert states(action) == {TargetState.SUCCEEDED: 1}


def test_the_far_side_is_told_at_once_not_at_the_next_poll(scan: Action, estate: Estate) -> None:
    assert Attempt.objects.filter(next_poll_at__gt=Now() + timedelta(minutes=30)).exists()
    cancel(scan)
    loop.drain(by=RUNNER)
    scan.refresh_from_db()
    assert (scan.execution, effects(estate)) == (Execution.CANCELLED, 0)


def test_a_wish_during_a_call_is_heard_right_after_it(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    ConnectorInstance.objects.update(settings={"pace": 4 * 3600})
    action, step = taken(ActionType.ANTIVIRUS_SCAN, factories.device()), Simulator.step

    def meanwhile(*given: Any) -> Any:
        answer = step(*given)
        cancel(Action.objects.get(pk=action.pk))
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "step", meanwhile)
        task = loop.next_task("r", by=RUNNER)
        assert task is not None
        task()
    assert action.attempts.get().state == AttemptState.POLLING
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.CANCELLED


def test_what_cannot_be_cancelled_is_not_asked_again_and_again(
    scan: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "cancel", lambda *_: False)
    cancel(scan)
    assert loop.drain(by=RUNNER, limit=20) == 1
    scan.refresh_from_db()
    assert scan.execution == Execution.IN_PROGRESS


def test_a_far_side_that_is_away_is_told_later(scan: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise base.Transient("It can't be reached.")

    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "cancel", away)
        cancel(scan)
        loop.drain(by=RUNNER)
    scan.refresh_from_db()
    assert scan.execution == Execution.IN_PROGRESS
    Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=Now())
    loop.drain(by=RUNNER)
    scan.refresh_from_db()
    assert scan.execution == Execution.CANCELLED


# Cancelling what waits


def test_what_waits_for_its_device_is_cancelled_at_once(estate: Estate) -> None:
    action = taken(ActionType.ISOLATE_DEVICE, factories.device())
    estate.behave("offline", True)
    loop.drain(by=RUNNER)
    ActionTarget.objects.update(not_before=Now() + timedelta(hours=1))
    cancel(action)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.CANCELLED


def test_what_waits_behind_another_is_cancelled_at_once(estate: Estate) -> None:
    device = factories.device()
    first = taken(ActionType.ISOLATE_DEVICE, device)
    second = taken(ActionType.ISOLATE_DEVICE, device)
    assert claiming.claim_one(first.pk, "busy", by=RUNNER) is not None
    cancel(second)
    loop.drain(by=RUNNER)
    second.refresh_from_db()
    assert second.execution == Execution.CANCELLED


@pytest.mark.parametrize("end", sorted(ENDS), ids=lambda end: end.name.lower())
def test_what_is_over_can_not_be_cancelled(end: Execution, client: Client) -> None:
    action = taken(ActionType.KILL_PROCESS, factories.device(), {"pid": 7, "name": "tool.exe"})
    Action.objects.filter(pk=action.pk).update(execution=end, history_at=Now(), finished_at=Now())
    with pytest.raises(Conflict, match="is not running"):
        cancel(action)
    client.force_login(factories.person("mira"))
    answer = client.post(f"/action-center/actions/{action.pk}/cancel", {"comment": "Too late"})
    assert answer.status_code == 409
    action.refresh_from_db()
    assert (action.execution, action.cancel_requested_at) == (end, None)
