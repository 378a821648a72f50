"""An undo that came only part of the way, or whose form is sent twice."""

import secrets
from collections.abc import Callable

import pytest

from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Source, TargetKind, TargetState
from actioncenter.actions.models import Action, Conflict, Proposal, TargetDraft
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from investigations.models import Device
from tests import factories
from tests.actions.directly import taken

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


def mira() -> Actor:
    return factories.person("mira").actor()


def told(action: Action) -> int:
    return Event.objects.filter(stream=f"action:{action.pk}", kind="action.undone").count()


# The same form twice


@pytest.fixture
def stuck(run: Run, estate: Estate) -> Action:
    """An undo that failed, asked for with the key `k`."""
    isolated = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group()))
    run(isolated)
    estate.behave("refuse", "locked")
    undo = isolated.undo(by=mira(), comment="false positive", idempotency_key="k")
    run(undo)
    estate.behave_normally()
    assert (undo.execution, undo.targets.get().blocks) == (Execution.FAILED, True)
    return undo


def test_the_same_form_again_opens_nothing(stuck: Action) -> None:
    isolated = Action.objects.get(pk=stuck.undo_of_id)
    again = isolated.undo(by=mira(), comment="false positive", idempotency_key="k")
    assert (again.pk, again.execution) == (stuck.pk, Execution.FAILED)
    assert stuck.targets.get().blocks, "nobody has acknowledged it"
    assert told(isolated) == 1


def test_the_form_of_an_undo_that_was_replaced_brings_nothing_back(
    stuck: Action, run: Run, estate: Estate
) -> None:
    isolated = Action.objects.get(pk=stuck.undo_of_id)
    estate.behave("refuse", "locked")
    second = isolated.undo(by=mira(), comment="once more", idempotency_key="l")
    run(second)
    isolated.undo(by=mira(), comment="false positive", idempotency_key="k")
    assert (isolated.undone_by, second.targets.get().blocks) == (second, True)
    assert told(isolated) == 2


# Part of the way


@pytest.fixture
def machines() -> list[Device]:
    home = factories.group()
    return [factories.device(in_group=home) for _ in range(3)]


@pytest.fixture
def older(machines: list[Device], run: Run) -> list[Action]:
    """Each contained by an action of its own."""
    actions = [taken(ActionType.CONTAIN_DEVICE, each) for each in machines]
    run(*actions)
    return actions


@pytest.fixture
def isolated(machines: list[Device], older: list[Action], run: Run) -> Action:
    """All three by one action."""
    drafts = [
        TargetDraft(
            kind=TargetKind.DEVICE, name=each.name, device_id=each.pk, remote=each.bindings.get().remote,
            instance_id=each.bindings.get().instance_id, instance_name="Simulator",
        )
        for each in machines
    ]  # fmt: skip
    action, _ = Action.objects.propose(
        Proposal(
            type=ActionType.ISOLATE_DEVICE, area=Area.DEVICE, decision=Decision.NOT_REQUIRED, targets=drafts,
            comment="By hand", source=Source.MANUAL_DEVICE, group_id=machines[0].group_id,
        ),
        by=factories.actor(factories.person("mira")),
    )  # fmt: skip
    run(action)
    assert action.execution == Execution.SUCCEEDED
    return action


def partly_undone(isolated: Action, stubborn: list[Device], run: Run, estate: Estate) -> Action:
    for each in stubborn:
        estate.behave("refuse", "locked", owner=each.bindings.get().remote)
    undo = isolated.undo(by=mira(), comment="false positive", idempotency_key=secrets.token_hex(8))
    run(undo, isolated)
    estate.behave_normally()
    assert undo.execution == Execution.PARTLY_SUCCEEDED
    return undo


def blocked(undo: Action) -> set[int | None]:
    return set(undo.targets.filter(blocks=True).values_list("device", flat=True))


def test_what_is_left_may_be_undone_anew(
    isolated: Action, machines: list[Device], run: Run, estate: Estate
) -> None:
    first = partly_undone(isolated, machines[1:], run, estate)
    assert blocked(first) == {each.pk for each in machines[1:]}
    second = partly_undone(isolated, machines[2:], run, estate)
    assert set(second.targets.values_list("device", flat=True)) == {each.pk for each in machines[1:]}
    assert (blocked(first), blocked(second)) == (set(), {machines[2].pk})
    third = isolated.undo(by=mira(), comment="once more")
    run(third, isolated)
    assert list(third.targets.values_list("device", flat=True)) == [machines[2].pk]
    assert (third.execution, isolated.undone_by) == (Execution.SUCCEEDED, third)
    with pytest.raises(Conflict, match=f"Already undone by A-{third.pk}"):
        isolated.undo(by=mira(), comment="and again")


def test_either_the_undo_is_retried_or_there_is_a_new_one(
    isolated: Action, machines: list[Device], run: Run, estate: Estate
) -> None:
    first = partly_undone(isolated, machines[2:], run, estate)
    first.retry(by=mira())
    with pytest.raises(Conflict, match="Already undone"):
        isolated.undo(by=mira(), comment="once more")
    run(first)
    assert first.execution == Execution.SUCCEEDED
    with pytest.raises(Conflict, match="Already undone"):
        isolated.undo(by=mira(), comment="once more")


def test_after_a_new_one_the_old_is_not_retried(
    isolated: Action, machines: list[Device], run: Run, estate: Estate
) -> None:
    first = partly_undone(isolated, machines[2:], run, estate)
    second = isolated.undo(by=mira(), comment="once more")
    with pytest.raises(Conflict, match=f"A-{second.pk} undoes it instead"):
        first.retry(by=mira())
    second.request_cancel(by=mira(), comment="Not yet")
    run(second)
    with pytest.raises(Conflict, match="A new undo undoes it instead"):
        first.retry(by=mira())
    last = Action.objects.get(pk=isolated.pk).undo(by=mira(), comment="now")
    assert list(last.targets.values_list("device", flat=True)) == [machines[2].pk]


def test_what_an_undo_left_standing_forbids_undoing_what_is_older(
    isolated: Action, older: list[Action], machines: list[Device], run: Run, estate: Estate
) -> None:
    """What it took back is in nobody's way."""
    partly_undone(isolated, machines[2:], run, estate)
    for each in older[:2]:
        assert each.undo(by=mira(), comment="false positive").execution == Execution.QUEUED
    with pytest.raises(Conflict, match=f"A-{isolated.pk} is active"):
        older[2].undo(by=mira(), comment="false positive")


def test_messages_that_are_left_may_be_undone_anew(run: Run, estate: Estate) -> None:
    aiko = factories.person("aiko").actor()
    action = factories.waiting_mail_action(messages=4)
    run(action)
    run(action.approve(by=aiko), action)
    estate.behave("partial", 0.5)
    first = action.undo(by=aiko, comment="false positive")
    run(first, action)
    estate.behave_normally()
    left = set(first.targets.filter(state=TargetState.FAILED).values_list("entity", flat=True))
    assert (first.execution, len(left) < 4) == (Execution.PARTLY_SUCCEEDED, True)
    second = action.undo(by=aiko, comment="once more")
    run(second)
    assert set(second.targets.values_list("entity", flat=True)) == left
    assert second.execution == Execution.SUCCEEDED
