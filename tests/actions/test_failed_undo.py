"""An undo that failed closes its target until somebody who looked says so; nothing builds on it unseen."""

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import RUNNING, ActionType, Decision, Execution, TargetState
from actioncenter.actions.execution import claiming, loop
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Conflict,
    Invalid,
    attempting,
    judging,
    settling,
)
from actioncenter.actions.permissions import Refused
from actioncenter.actions.reversing import CAME_TO_NOTHING
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import Role
from actioncenter.settings.models import Stop
from investigations.enums import IsolationState
from tests import factories
from tests.actions.conftest import RUNNER, forget_estate
from tests.actions.directly import taken
from tests.services.database import as_default

Run = Callable[..., None]


@pytest.fixture
def isolated(run: Run) -> Action:
    action = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group()))
    run(action)
    assert action.execution == Execution.SUCCEEDED
    return action


@pytest.fixture
def stuck(isolated: Action, run: Run, estate: Estate) -> Action:
    """An undo that failed; from now on the estate behaves."""
    estate.behave("refuse", "locked")
    undo = isolated.undo(by=factories.person("mira").actor(), comment="false positive")
    run(undo)
    estate.behave_normally()
    assert undo.execution == Execution.FAILED
    return undo


def other_in_lane_of(undo: Action) -> Action:
    """Something else that wants the lane."""
    assert undo.device is not None
    return taken(ActionType.CONTAIN_DEVICE, undo.device)


def wanting_approval(undo: Action) -> Action:
    waiting = factories.waiting_action()
    lane = undo.targets.get().lane
    ActionTarget.objects.filter(action=waiting).update(lane=lane)
    return waiting


def check_blocked(stuck: Action, run: Run) -> None:
    other = other_in_lane_of(stuck)
    run(other)
    assert other.execution == Execution.QUEUED
    assert claiming.claim_one(other.pk, "r", by=RUNNER) is None
    waiting = wanting_approval(stuck)
    with pytest.raises(Conflict, match="undo on the same target failed"):
        waiting.approve(by=factories.person("mira").actor())
    assert waiting.decision == Decision.PENDING


@pytest.mark.oversight("SC-014")
def test_failed_undo_blocks_target(stuck: Action, run: Run) -> None:
    check_blocked(stuck, run)
    other = Action.objects.get(type=ActionType.CONTAIN_DEVICE)
    stuck.acknowledge(by=factories.person("mira").actor(), comment="I looked: it is still cut off.")
    assert stuck.acknowledged_by_name == "Mira Chen"
    assert Event.objects.filter(stream=f"action:{stuck.pk}", kind="action.acknowledged").count() == 1
    run(other)
    assert other.execution == Execution.SUCCEEDED


def test_every_admin_and_who_asked_for_it_is_told_of_a_failed_undo(
    isolated: Action, run: Run, estate: Estate
) -> None:
    for other in ("noa", "sam"):
        factories.person(other)
    estate.behave("refuse", "locked")
    run(isolated.undo(by=factories.person("mira").actor(), comment="false positive"))
    told = Notice.objects.filter(kind="undo_failed").values_list("user__username", flat=True)
    assert sorted(told) == ["mira", "noa"]


def test_an_admin_who_asked_for_it_is_told_once(isolated: Action, run: Run, estate: Estate) -> None:
    admin = factories.person("noa")
    admin.grant(Role.RESPONDER, by=factories.SETUP)
    estate.behave("refuse", "locked")
    run(isolated.undo(by=admin.actor(), comment="false positive"))
    assert Notice.objects.filter(kind="undo_failed").count() == 1


def test_it_stands_among_what_needs_a_look_until_somebody_has(stuck: Action, client: Client) -> None:
    client.force_login(factories.person("mira"))
    page = client.get("/action-center/pending")
    [band] = page.context["groups"]
    [row] = band["rows"]
    assert (band["label"], band["count"], row["number"]) == ("Needs a look", 1, stuck.pk)
    assert (row["why"], row["can_decide"]) == ("Undo failed", False)
    assert (page.context["nav"]["needs_look"], page.context["nav"]["waiting"]) == (1, 1)
    pane = client.get(f"/action-center/pending?open={stuck.pk}").context["action"]
    assert (pane["can"]["acknowledge"], pane["can"]["retry"]) == (True, True)
    stuck.acknowledge(by=factories.person("mira").actor(), comment="Seen")
    after = client.get("/action-center/pending")
    assert (after.context["groups"], after.context["nav"]["needs_look"]) == ([], 0)


def test_who_does_not_see_the_device_has_nothing_to_look_at(stuck: Action, client: Client) -> None:
    assert stuck.group is not None
    stuck.group.access.add(Group.objects.create(name="Board response"))
    client.force_login(factories.person("mira"))
    page = client.get("/action-center/pending").context
    assert (page["groups"], page["nav"]["needs_look"]) == ([], 0)


def test_other_targets_go_on(stuck: Action, run: Run) -> None:
    other = factories.waiting_action()
    run(other.approve(by=factories.person("mira").actor()))
    assert Action.objects.get(pk=other.pk).execution == Execution.SUCCEEDED


def test_a_retry_takes_a_failed_undo_past_its_own_block(stuck: Action, run: Run) -> None:
    stuck.retry(by=factories.person("mira").actor())
    run(stuck)
    assert stuck.execution == Execution.SUCCEEDED
    other = other_in_lane_of(stuck)
    run(other)
    assert other.execution == Execution.SUCCEEDED


def test_a_new_undo_takes_the_place_of_a_failed_one(stuck: Action, isolated: Action, run: Run) -> None:
    by = factories.person("mira").actor()
    second = isolated.undo(by=by, comment="once more")
    run(second, isolated)
    assert (second.execution, isolated.undone_by) == (Execution.SUCCEEDED, second)
    with pytest.raises(Conflict, match="undoes it instead"):
        stuck.retry(by=by)


def test_a_retry_that_fails_blocks_again(stuck: Action, run: Run, estate: Estate) -> None:
    by = factories.person("mira").actor()
    stuck.acknowledge(by=by, comment="Seen")
    estate.behave("refuse", "locked")
    stuck.retry(by=by)
    run(stuck)
    assert (stuck.acknowledged_at, stuck.targets.get().blocks) == (None, True)


@pytest.mark.parametrize(("who", "comment", "error"), [("aiko", "Seen", Refused), ("mira", " ", Invalid)])
def test_acknowledging_needs_the_right_and_words(
    who: str, comment: str, error: type[Exception], stuck: Action
) -> None:
    with pytest.raises(error):
        stuck.acknowledge(by=factories.person(who).actor(), comment=comment)
    assert stuck.targets.get().blocks


def test_what_blocks_nothing_is_not_acknowledged(stuck: Action) -> None:
    by = factories.person("mira").actor()
    stuck.acknowledge(by=by, comment="Seen")
    with pytest.raises(Conflict, match="holds nothing back"):
        stuck.acknowledge(by=by, comment="Seen again")


def test_the_pane_says_it_and_has_the_button(stuck: Action, client: Client) -> None:
    client.force_login(factories.person("mira"))
    page = client.get(f"/action-center/actions/{stuck.pk}").content.decode()
    assert "This undo failed" in page
    assert "Acknowledge" in page
    client.post(
        f"/action-center/actions/{stuck.pk}/acknowledge", {"comment": "Seen", "idempotency_key": "1" * 32}
    )
    assert not stuck.targets.get().blocks


UNDONE_BY = {
    Execution.QUEUED: ("Being undone by", ""),
    Execution.IN_PROGRESS: ("Being undone by", ""),
    Execution.OUTCOME_UNKNOWN: ("Being undone by", ""),
    Execution.SUCCEEDED: ("Undone by", ""),
    Execution.PARTLY_SUCCEEDED: ("Partly undone by", ""),
    Execution.FAILED: ("Undo", "failed"),
    Execution.TIMED_OUT: ("Undo", "timed out"),
    Execution.CANCELLED: ("Undo", "was cancelled"),
}


@pytest.mark.parametrize("state", [state for state in Execution if state != Execution.NONE])
def test_the_pane_of_the_original_says_how_its_undo_stands(
    state: Execution, isolated: Action, stuck: Action, client: Client
) -> None:
    ended = None if state in RUNNING else stuck.history_at
    Action.objects.filter(pk=stuck.pk).update(execution=state, history_at=ended)
    client.force_login(factories.person("mira"))
    shown = client.get(f"/action-center/actions/{isolated.pk}").context["action"]
    told = shown["undone_by"]
    assert (told["before"], told["label"], told["after"]) == (
        UNDONE_BY[state][0], stuck.label, UNDONE_BY[state][1],
    )  # fmt: skip
    assert (shown["reversibility"]["text"] == "It is being undone.") == (state in RUNNING)
    [row] = [row for row in history_rows(client) if row["number"] == isolated.pk]
    assert (row["undo"] == "done") == (state not in CAME_TO_NOTHING)


def history_rows(client: Client) -> list[dict[str, Any]]:
    groups = client.get("/action-center/history").context["groups"]
    return [row for band in groups for row in band["rows"]]


def test_an_undo_that_lied_restores_the_same_when_it_is_retried(
    isolated: Action, run: Run, estate: Estate
) -> None:
    """What it found when it failed is nothing to go back to."""
    estate.behave("lie", True)
    undo = isolated.undo(by=factories.person("mira").actor(), comment="false positive")
    run(undo)
    assert (undo.execution, undo.code) == (Execution.FAILED, "not_in_force")
    estate.behave_normally()
    Stop.objects.in_force().get().lift(by=factories.actor(factories.person("noa")))
    undo.retry(by=factories.person("mira").actor())
    run(undo)
    assert undo.execution == Execution.SUCCEEDED
    assert undo.device is not None
    undo.device.refresh_from_db()
    assert undo.device.isolation == IsolationState.NONE


@pytest.mark.parametrize("planted", ["claims", "approvals"])
def test_a_block_that_nobody_reads_is_noticed(
    planted: str, stuck: Action, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = ActionTarget.objects.none()
    if planted == "claims":
        monkeypatch.setattr(attempting, "others_blocking", lambda *_: none)
        queued = Action.objects.running().order_by("queued_at").values_list("pk", flat=True)
        monkeypatch.setattr(claiming, "candidates", lambda *_: list(queued))
    else:
        monkeypatch.setattr(judging, "behind_a_failed_undo", lambda: ActionTarget.objects.filter(pk__in=[]))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_blocked(stuck, run)


def at_once(url: str, calls: Sequence[Callable[[], object]]) -> list[str]:
    """What each of them was answered: `done`, or the class of the refusal."""
    ready, answers = threading.Barrier(len(calls)), []

    def call(what: Callable[[], object]) -> None:
        with as_default(url):
            ready.wait(30)
            try:
                what()
                answers.append("done")
            except Exception as error:  # noqa: BLE001 - its class is what is looked at
                answers.append(type(error).__name__)

    threads = [threading.Thread(target=call, args=(what,)) for what in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


def test_a_retry_and_a_new_undo_at_once_are_one(shared_database: str) -> None:
    """Of two that would put things back only one does, and the other is told so."""
    forget_estate()
    by = factories.person("mira").actor()
    for _ in range(5):
        forward = taken(
            ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group(secrets.token_hex(4)))
        )
        loop.drain(by=RUNNER)
        forward.refresh_from_db()
        failed = forward.undo(by=by, comment="false positive")
        ActionTarget.objects.filter(action=failed).update(state=TargetState.FAILED, error_class="locked")
        with transaction.atomic():
            Action.objects.filter(pk=failed.pk).update(execution=Execution.IN_PROGRESS)
            settling.settle(settling.locked(failed), by=RUNNER)
        retried, again = Action.objects.get(pk=failed.pk), Action.objects.get(pk=forward.pk)
        answers = at_once(
            shared_database,
            [lambda row=retried: row.retry(by=by), lambda row=again: row.undo(by=by, comment="once more")],
        )
        assert answers == ["Conflict", "done"]
        assert Action.objects.filter(undo_of=forward, execution=Execution.QUEUED).count() == 1
        loop.drain(by=RUNNER)
