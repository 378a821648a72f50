"""Taking back: a new action of the inverse type, once, with a comment, and never for one-way types."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import (
    ActionType,
    Area,
    Decision,
    Execution,
    TargetKind,
    TargetState,
)
from actioncenter.actions.execution import outside
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Conflict,
    Invalid,
    undoing,
)
from actioncenter.actions.models.undoing import why_not_undoable
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ApprovalRule
from investigations.enums import IsolationState, RemediationStatus
from investigations.models import Evidence
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.directly import taken
from tests.connectors.simulator_harness import facts

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


@pytest.fixture
def done(run: Run) -> Action:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    run(action)
    return action


def test_undo_is_a_new_action_linked_both_ways(done: Action, run: Run, estate: Estate) -> None:
    inverse = done.undo(by=factories.person("mira").actor(), comment="false positive")
    assert (inverse.type, inverse.decision) == (ActionType.RELEASE_FILE, Decision.NOT_REQUIRED)
    assert (inverse.undo_of, done.undone_by) == (done, inverse)
    assert inverse.decided_by_name == "Mira Chen"
    run(inverse)
    assert inverse.execution == Execution.SUCCEEDED
    assert Evidence.objects.get().remediation == RemediationStatus.ACTIVE


def test_the_original_is_not_edited_except_for_the_link(done: Action, run: Run) -> None:
    before = Action.objects.filter(pk=done.pk).values().get()
    run(done.undo(by=factories.person("mira").actor(), comment="false positive"))
    after = Action.objects.filter(pk=done.pk).values().get()
    assert {name for name in before if before[name] != after[name]} == {"undone_by_id"}


def test_a_second_undo_is_refused(done: Action) -> None:
    done.undo(by=factories.person("mira").actor(), comment="false positive")
    with pytest.raises(Conflict, match="Already undone"):
        done.undo(by=factories.person("noa").actor(), comment="again")


def test_a_failed_undo_may_be_tried_again(done: Action, run: Run, estate: Estate) -> None:
    estate.behave("refuse", "locked")
    first = done.undo(by=factories.person("mira").actor(), comment="false positive")
    run(first, done)
    assert first.execution == Execution.FAILED
    estate.behave_normally()
    first.retry(by=factories.person("mira").actor())
    run(first)
    assert first.execution == Execution.SUCCEEDED


def test_undo_needs_a_comment(done: Action) -> None:
    with pytest.raises(Invalid, match="comment"):
        done.undo(by=factories.person("mira").actor(), comment="  ")


def test_undo_needs_the_same_right_as_approving(done: Action) -> None:
    with pytest.raises(Refused):
        done.undo(by=factories.person("aiko").actor(), comment="false positive")


def test_undo_ends_after_the_days_of_the_type(done: Action) -> None:
    Action.objects.update(finished_at=timezone.now() - timedelta(days=31))
    with pytest.raises(Conflict, match="30 days"):
        done.undo(by=factories.person("mira").actor(), comment="too late")


def test_undo_of_something_waiting_is_refused() -> None:
    with pytest.raises(Conflict, match="succeeded"):
        factories.waiting_action().undo(by=factories.person("mira").actor(), comment="x")


def test_the_same_key_makes_one_undo(done: Action) -> None:
    by = factories.person("mira").actor()
    done.undo(by=by, comment="false positive", idempotency_key="k1")
    with pytest.raises(Conflict):
        done.undo(by=by, comment="false positive", idempotency_key="k1")
    assert Action.objects.filter(undo_of=done).count() == 1


def test_what_another_action_had_done_already_is_not_taken_back(run: Run) -> None:
    machine, same = factories.device(in_group=factories.group()), "9" * 64
    by = factories.person("mira").actor()
    first = factories.planned(factories.file_evidence(machine, sha256=same))[0]
    second = factories.planned(
        factories.file_evidence(machine, factories.investigation("again"), sha256=same)
    )[0]
    for action in (first, second):
        run(action.approve(by=by))
    run(first.undo(by=by, comment="false positive"))
    with pytest.raises(Conflict, match="nothing to take back"):
        second.undo(by=by, comment="false positive")


def test_undo_in_bulk_reports_each_row(done: Action, run: Run) -> None:
    waiting = factories.waiting_action()
    results = Action.objects.undo_many(
        [done.pk, waiting.pk], by=factories.person("mira").actor(), comment="fp"
    )
    assert [(row.ok, row.code) for row in results] == [(True, "undone"), (False, "not_undoable")]


@pytest.mark.parametrize("kind", list(ActionType), ids=lambda kind: kind.name.lower())
def test_a_type_without_inverse_has_no_undo_anywhere(kind: ActionType) -> None:
    action = Action(pk=1, type=kind, execution=Execution.SUCCEEDED, finished_at=timezone.now())
    one_way = CATALOGUE[kind].inverse is None
    assert bool(why_not_undoable(action)) is one_way


def test_a_key_of_another_form_undoes_nothing(done: Action, run: Run) -> None:
    other = factories.waiting_action()
    by = factories.person("mira").actor()
    run(other.approve(by=by))
    other.undo(by=by, comment="false positive", idempotency_key="k1")
    with pytest.raises(Conflict, match="already sent"):
        done.undo(by=by, comment="false positive", idempotency_key="k1")
    done.refresh_from_db()
    assert done.undone_by is None


def test_a_cancelled_undo_may_be_asked_for_again(done: Action, run: Run) -> None:
    by = factories.person("mira").actor()
    first = done.undo(by=by, comment="false positive")
    first.request_cancel(by=by, comment="Not yet")
    run(first, done)
    assert (first.execution, done.undone_by) == (Execution.CANCELLED, None)
    second = done.undo(by=by, comment="false positive")
    run(second)
    assert second.execution == Execution.SUCCEEDED


def test_bulk_undo_goes_on_past_what_is_out_of_sight(done: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role may be taken away in the middle."""
    monkeypatch.setattr(undoing, "undo", _not_visible)
    results = Action.objects.undo_many([done.pk], by=factories.person("mira").actor(), comment="fp")
    assert [(row.ok, row.code) for row in results] == [(False, "unknown")]


def _not_visible(*_: object, **__: object) -> None:
    raise NotVisible


# What is newer on the same target


@pytest.fixture
def isolated(run: Run) -> Action:
    action = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group()))
    run(action)
    assert action.execution == Execution.SUCCEEDED
    return action


def newer(isolated: Action, kind: ActionType) -> Action:
    assert isolated.device is not None
    return taken(kind, isolated.device)


@pytest.mark.parametrize("kind", [ActionType.CONTAIN_DEVICE, ActionType.RELEASE_DEVICE])
@pytest.mark.parametrize("finished", [False, True], ids=["queued", "in force"])
def test_a_newer_action_of_any_type_forbids_undo(
    kind: ActionType, finished: bool, isolated: Action, run: Run
) -> None:
    later = newer(isolated, kind)
    if finished:
        run(later)
    with pytest.raises(Conflict, match=f"A-{later.pk} is active"):
        isolated.undo(by=factories.person("mira").actor(), comment="false positive")


def test_what_was_newer_and_is_undone_forbids_nothing(isolated: Action, run: Run) -> None:
    by = factories.person("mira").actor()
    later = newer(isolated, ActionType.CONTAIN_DEVICE)
    run(later)
    run(later.undo(by=by, comment="not that one"))
    assert isolated.undo(by=by, comment="false positive").execution == Execution.QUEUED


@pytest.mark.parametrize("kind", [ActionType.RESTRICT_EXECUTION, ActionType.ANTIVIRUS_SCAN])
def test_another_lane_of_the_device_forbids_nothing(kind: ActionType, isolated: Action, run: Run) -> None:
    run(newer(isolated, kind))
    isolated.undo(by=factories.person("mira").actor(), comment="false positive")


def test_a_newer_action_on_the_same_messages_forbids_undo(run: Run) -> None:
    by = factories.person("aiko").actor()
    evidence = factories.cluster_evidence()
    first = factories.planned(evidence)[0]
    run(first)
    run(first.approve(by=by))
    again = Action.objects.get(pk=first.pk)
    moved = ActionTarget.objects.filter(action=again).values().first()
    assert moved is not None
    later = factories.waiting_mail_action()
    ActionTarget.objects.create(
        **{**moved, "id": None, "action_id": later.pk, "attempt_id": None, "state": TargetState.QUEUED}
    )
    Action.objects.filter(pk=later.pk).update(
        decision=Decision.NOT_REQUIRED, decided_at=Now(), decided_by_name="x", execution=Execution.QUEUED
    )
    with pytest.raises(Conflict, match=f"A-{later.pk} is active"):
        first.undo(by=by, comment="false positive")


def test_the_rule_says_whether_an_undo_needs_a_comment(done: Action) -> None:
    Action.objects.update(approval_rule={**done.approval_rule, "comment_on_undo": False})
    assert done.undo(by=factories.person("mira").actor(), comment="").decision == Decision.NOT_REQUIRED


def test_an_undo_needs_no_second_person(isolated: Action) -> None:
    rule = {**isolated.approval_rule, "second_person": True, "quorum": 3, "four_eyes": True}
    Action.objects.update(approval_rule=rule)
    ApprovalRule.objects.create(quorum=3, second_person=True, four_eyes=True)
    inverse = isolated.undo(by=factories.person("mira").actor(), comment="false positive")
    assert (inverse.decision, inverse.execution) == (Decision.NOT_REQUIRED, Execution.QUEUED)


# The promise


UNDOABLE = [kind for kind in ActionType if CATALOGUE[kind].inverse is not None]


def observed(action: Action) -> Any:
    """What the far side shows of the targets, read past the product."""
    targets = list(action.targets.order_by("pk"))
    instance = targets[0].instance
    assert instance is not None
    request = outside.preview_request(action, targets, deadline=0.0)
    return outside.connect(instance).verify(request).detail


def promised(kind: ActionType) -> Action:
    entry = CATALOGUE[kind]
    known = facts(entry.kind, 7)
    if entry.area == Area.DEVICE:
        return taken(kind, factories.device(in_group=factories.group()), known, by="noa")
    if entry.kind in {TargetKind.URL, TargetKind.SENDER}:
        bind_to_simulator([])
        return taken(kind, None, known, by="noa")
    return taken(kind, factories.mailbox(), known, by="noa")


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize("kind", UNDOABLE, ids=lambda kind: kind.name.lower())
def test_undo_promise_true(kind: ActionType, run: Run) -> None:
    action = promised(kind)
    before = observed(action)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert observed(action) != before
    undo = action.undo(by=factories.person("noa").actor(), comment="Not that one")
    run(undo)
    assert undo.execution == Execution.SUCCEEDED
    assert observed(action) == before


def test_an_undo_that_only_says_so_is_noticed(run: Run, estate: Estate) -> None:
    estate.behave("lie", True)
    with pytest.raises(AssertionError):
        test_undo_promise_true(ActionType.ISOLATE_DEVICE, run)


@pytest.mark.parametrize("finished", [False, True], ids=["queued", "in force"])
@pytest.mark.parametrize("kind", [ActionType.CONTAIN_DEVICE, ActionType.ISOLATE_DEVICE])
def test_newer_is_what_was_done_later_whichever_was_proposed_first(
    kind: ActionType, finished: bool, run: Run
) -> None:
    machine = factories.device(in_group=factories.group())
    proposed_first = taken(kind, machine, by="kim")
    assert proposed_first.decision == Decision.PENDING
    isolated = taken(ActionType.ISOLATE_DEVICE, machine)
    run(isolated)
    proposed_first.approve(by=factories.person("noa").actor(proved_at=time.time()))
    if finished:
        run(proposed_first)

    with pytest.raises(Conflict, match=f"A-{proposed_first.pk} is active"):
        isolated.undo(by=factories.person("mira").actor(), comment="false positive")


def test_what_was_done_before_is_not_newer(run: Run) -> None:
    machine = factories.device(in_group=factories.group())
    proposed_first = taken(ActionType.ISOLATE_DEVICE, machine, by="kim")
    run(taken(ActionType.CONTAIN_DEVICE, machine))
    run(proposed_first.approve(by=factories.person("noa").actor(proved_at=time.time())))

    undone = proposed_first.undo(by=factories.person("mira").actor(), comment="false positive")
    assert undone.execution == Execution.QUEUED


def test_a_newer_isolation_that_found_it_done_still_stands(isolated: Action, run: Run) -> None:
    """Whoever asked for it was told that the device is isolated."""
    again = newer(isolated, ActionType.ISOLATE_DEVICE)
    run(again)
    assert again.targets.get().state == TargetState.ALREADY

    with pytest.raises(Conflict, match=f"A-{again.pk} is active.*page of the device"):
        isolated.undo(by=factories.person("mira").actor(), comment="false positive")
    assert isolated.device is not None
    run(newer(isolated, ActionType.RELEASE_DEVICE))
    isolated.device.refresh_from_db()
    assert isolated.device.isolation == IsolationState.NONE
