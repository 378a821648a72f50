"""What the log says of an action and what its row says are the same, unless somebody changed the row."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from actioncenter.actions.enums import ActionType, Decision, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, standing
from actioncenter.audit import canonical, log, triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor.verification import Difference, comparing, differences
from actioncenter.auditor.verification.replaying import GROUP, HEARD
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.web.clock import database_now
from tests import factories
from tests.actions.conftest import RUNNER, estate, run
from tests.actions.directly import taken
from tests.actions.model_based import stage
from tests.actions.model_based.machine import Machine
from tests.actions.test_state_machine import FEW, MANY, scene
from tests.auditor.lives import (
    CARRIED_OUT,
    DECIDED,
    HOUR,
    TURNS,
    Run,
    by,
    done,
    isolated,
    mail_approved,
    partly_done,
)

__all__ = ["estate", "run", "scene"]

pytestmark = pytest.mark.django_db


def named(found: Iterator[Difference]) -> set[tuple[int, str]]:
    return {(each.action, each.field) for each in found}


# Lives as the product lets them be


@pytest.mark.parametrize("decision", Decision, ids=lambda each: each.name.lower())
def test_however_it_was_decided_the_row_is_what_the_log_says(
    decision: Decision, run: Run, estate: Estate
) -> None:
    action = DECIDED[decision](run, estate)
    action.refresh_from_db()
    assert action.decision == decision
    assert list(differences()) == []


@pytest.mark.parametrize("execution", Execution, ids=lambda each: each.name.lower())
def test_whatever_became_of_it_the_row_is_what_the_log_says(
    execution: Execution, run: Run, estate: Estate
) -> None:
    action = CARRIED_OUT[execution](run, estate)
    action.refresh_from_db()
    assert action.execution == execution
    assert list(differences()) == []


@pytest.mark.parametrize("turn", TURNS, ids=lambda each: each.__name__)
def test_whatever_turn_a_life_takes_nothing_differs(
    turn: Callable[[Run, Estate], None], run: Run, estate: Estate
) -> None:
    turn(run, estate)
    assert Action.objects.exists()
    assert list(differences()) == []


def test_what_its_timer_took_back_has_no_end_any_more(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "database_now", lambda: database_now() - 5 * HOUR)
    action = isolated(run, hours=4)
    run(action)
    assert (action.ends_at, action.undone_by is None) == (None, False)
    assert list(differences()) == []


def play(scene: stage.Stage, how: settings) -> None:
    class Replayed(Machine):
        """Every order of what people, runners and clocks do, with the log read after each step."""

        def __init__(self) -> None:
            super().__init__(scene)

        @invariant()
        def nothing_differs(self) -> None:
            assert list(differences()) == []

    run_state_machine_as_test(Replayed, settings=how)


def test_after_every_step_of_every_order_nothing_differs(scene: stage.Stage) -> None:
    play(scene, FEW)


@pytest.mark.long
def test_after_every_step_of_every_order_nothing_differs_in_many_runs(scene: stage.Stage) -> None:
    play(scene, MANY)


# What is compared


def test_every_column_is_compared_or_known_not_to_stand_in_the_log() -> None:
    columns = {
        field.attname if field.attname == GROUP else field.name for field in Action._meta.concrete_fields
    }
    assert columns == {*comparing.COLUMNS, "approved_plan", *UNTOLD}


def test_every_event_of_an_action_is_replayed_or_known_to_change_no_compared_column() -> None:
    assert {kind for kind in Kind if kind.startswith("action.")} == {*HEARD, *TELLS_NOTHING} - {
        Kind.PLAN_MADE
    }


UNTOLD: Final = {
    "id", "public_id", "source", "risk", "critical", "verdict", "investigation", "group_name", "device",
    "mailbox", "target_kind", "target_name", "on_name", "simulated", "expires_at", "answer_by", "approval_id", "deadline_at",
    "read_back_at", "updated_at", "intent_key", "proposal_key", "round", "external_id", "idempotency_key",
}  # fmt: skip
TELLS_NOTHING: Final = {
    Kind.ACTION_VOTED, Kind.ACTION_COMMENTED, Kind.ACTION_CLAIMED, Kind.ACTION_OVERTOOK, Kind.ACTION_REVIEWED,
    Kind.ACTION_REHEARSED,
}  # fmt: skip


# What somebody with a hand on the database changes


def another(name: str, action: Action) -> Any:
    """A value that the column takes and that nothing of ours has written there."""
    own: Mapping[str, Callable[[], Any]] = {
        "decision": lambda: Decision.NOT_REQUIRED,
        "execution": lambda: Execution.FAILED,
        "decided_by": lambda: factories.person("sam"),
        "requested_by": lambda: factories.person("sam"),
        "assigned_to": lambda: factories.person("sam"),
        "group_id": lambda: factories.group("Board members").pk,
        "undone_by": lambda: factories.waiting_action(),
        "undo_of": lambda: factories.waiting_action(),
    }
    if name in own:
        return own[name]()
    value = getattr(action, name)
    if name.endswith("_at") or name == "deferred_until":
        return (value or action.created_at) + 2 * HOUR
    if isinstance(value, bool):
        return not value
    return CHANGED[type(value)](value)


CHANGED: Final[Mapping[type, Callable[[Any], Any]]] = {
    int: lambda value: value + 1,
    str: lambda value: f"{value[:30]}x",
    dict: lambda value: {**value, "force": True},
    list: lambda value: [*value, "user:4711"],
}


@pytest.mark.parametrize("name", comparing.COLUMNS)
def test_a_changed_column_is_found_and_named(name: str, run: Run, estate: Estate) -> None:
    action = done(run, estate)
    value = another(name, action)
    assert list(differences()) == []
    Action.objects.filter(pk=action.pk).update(**{name: value})
    (found,) = differences()
    assert (found.action, found.field) == (action.pk, name)
    assert found.logged != found.found
    assert f"A-{action.pk}, {name}" in found.message


def test_both_values_are_told(run: Run, estate: Estate) -> None:
    action = factories.waiting_action().reject(by=by("mira"), comment="Ours.")
    Action.objects.filter(pk=action.pk).update(decision=Decision.WITHDRAWN, decided_by_name="Sam Okoye")
    told = {(each.field, each.logged, each.found) for each in differences()}
    assert told == {("decision", "REJECTED", "WITHDRAWN"), ("decided_by_name", "Mira Chen", "Sam Okoye")}


def test_a_decision_that_nobody_made_is_found(run: Run, estate: Estate) -> None:
    action = factories.waiting_action()
    Action.objects.filter(pk=action.pk).update(
        decision=Decision.APPROVED, execution=Execution.QUEUED, decided_at=Now(), decided_by_name="Mira Chen",
        queued_at=Now(), approved_fingerprint=F("fingerprint"),
    )  # fmt: skip
    fields = {"decision", "execution", "decided_at", "decided_by_name", "queued_at", "approved_fingerprint"}
    assert named(differences()) == {(action.pk, field) for field in fields}


def test_a_plan_that_was_taken_away_or_changed_is_found(run: Run, estate: Estate) -> None:
    action = mail_approved(run)
    assert action.approved_plan is not None
    Action.objects.filter(pk=action.pk).update(approved_plan=None, approved_plan_digest="0" * 64)
    assert named(differences()) == {(action.pk, "plan"), (action.pk, "approved_plan_digest")}


def test_an_end_that_was_taken_away_is_found(run: Run, estate: Estate) -> None:
    action = isolated(run, hours=4)
    Action.objects.filter(pk=action.pk).update(ends_at=None)
    assert named(differences()) == {(action.pk, "ends_at")}


def add_target(rows: Any) -> None:
    one = rows.get()
    one.pk, one.entity, one.lane = None, "e" * 64, "elsewhere"
    one.save(force_insert=True)


TARGETS: Final[Mapping[str, tuple[Callable[[Any], Any], set[str]]]] = {
    "state": (
        lambda rows: rows.update(state=TargetState.FAILED),
        {"succeeded_targets", "failed_targets"},
    ),
    "entity": (lambda rows: rows.update(entity="f" * 64), {"targets"}),
    "kind that there isn't": (lambda rows: rows.update(kind=99), {"targets"}),
    "added": (add_target, {"targets", "succeeded_targets"}),
    "deleted": (lambda rows: rows.all().delete(), {"targets", "succeeded_targets"}),
}


@pytest.mark.parametrize("change", TARGETS)
def test_changed_targets_are_found_and_named(change: str, run: Run, estate: Estate) -> None:
    tamper, fields = TARGETS[change]
    action = done(run, estate)
    tamper(ActionTarget.objects.filter(action=action))
    assert named(differences()) == {(action.pk, field) for field in fields}


def test_values_that_no_enum_has_are_shown_as_they_are(run: Run, estate: Estate) -> None:
    action = done(run, estate)
    Action.objects.filter(pk=action.pk).update(type=99)
    (found,) = differences()
    assert (found.logged, found.found) == ("quarantine_file", "unknown 99")


def test_a_row_that_was_deleted_is_found(run: Run, estate: Estate) -> None:
    kept, gone = factories.waiting_actions(2)
    number = gone.pk
    gone.delete()
    for found in (list(differences()), list(differences(actions=[kept.pk, number]))):
        assert [(each.action, each.field, each.found) for each in found] == [(number, "row", "")]


def test_a_row_that_was_forged_is_found(run: Run, estate: Estate) -> None:
    action = done(run, estate)
    genuine = action.pk
    action.pk, action.public_id, action.round = None, uuid.uuid4(), 7
    action.save(force_insert=True)
    assert action.pk != genuine
    assert named(differences()) == {(action.pk, "row")}


# How it is read


def test_only_the_actions_that_were_asked_for_are_compared(run: Run, estate: Estate) -> None:
    first, second = factories.waiting_actions(2)
    Action.objects.update(revision=9)
    assert named(differences()) == {(first.pk, "revision"), (second.pk, "revision")}
    assert named(differences(actions=[second.pk, second.pk])) == {(second.pk, "revision")}
    assert list(differences(actions=[second.pk + 1000])) == []


def test_nothing_is_overlooked_at_the_edges_of_chunks(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "CHUNK", 2)
    rows = factories.waiting_actions(5)
    Action.objects.update(revision=9)
    assert named(differences()) == {(row.pk, "revision") for row in rows}
    assert len(list(differences(actions=[row.pk for row in rows]))) == 5


def queries() -> int:
    with CaptureQueriesContext(
        connection,
    ) as caught:
        assert list(differences()) == []
    return len(caught)


def test_a_chunk_takes_as_many_queries_however_many_actions_it_has(run: Run, estate: Estate) -> None:
    isolated(run).undo(by=by("mira"), comment="Harmless.")
    few = queries()
    done(run, estate)
    partly_done(run, estate)
    taken(ActionType.ISOLATE_DEVICE, factories.device())
    assert queries() == few


def test_what_is_decided_while_it_is_read_is_no_difference(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, read = factories.waiting_action(), comparing._lives

    def decided_meanwhile(numbers: list[int]) -> Any:
        if Action.objects.filter(pk=action.pk, decision=Decision.PENDING).exists():
            action.reject(by=by("mira"), comment="Ours.")
        return read(numbers)

    monkeypatch.setattr(comparing, "_lives", decided_meanwhile)
    assert list(differences()) == []
    action.refresh_from_db()
    assert action.decision == Decision.REJECTED


def test_an_event_that_says_nothing_is_named_and_the_others_are_read_on(run: Run, estate: Estate) -> None:
    odd, sound = factories.waiting_actions(2)
    with transaction.atomic():
        log.record(Kind.ACTION_APPROVED, by=RUNNER, subject=f"action:{odd.pk}")
        log.record(Kind.ACTION_COMMENTED, by=RUNNER, subject="action:none")
    Action.objects.filter(pk=sound.pk).update(revision=9)
    assert named(differences()) == {(odd.pk, "log"), (sound.pk, "revision")}
    assert Event.objects.filter(stream="action:none").exists()


# Logs of earlier versions


def forget(action: Action, kind: Kind, *keys: str) -> None:
    """Its event as a version wrote it that didn't tell these."""
    event = Event.objects.get(stream=f"action:{action.pk}", kind=kind)
    values = canonical.read(event.canonical)
    values["detail"] = {key: value for key, value in values["detail"].items() if key not in keys}
    Event.objects.filter(pk=event.pk).update(detail=values["detail"], canonical=canonical.render(values))


@pytest.mark.parametrize("execution", [Execution.SUCCEEDED, Execution.IN_PROGRESS, Execution.QUEUED])
def test_what_an_earlier_version_did_not_tell_is_not_compared(
    execution: Execution, run: Run, estate: Estate
) -> None:
    action = CARRIED_OUT[execution](run, estate)
    triggers.remove(connection)
    forget(action, Kind.ACTION_PROPOSED, "rule", "proposers")
    forget(action, Kind.ACTION_APPROVED, "fingerprint", "plan", "sealed")
    Event.objects.filter(stream=f"action:{action.pk}", kind=Kind.ACTION_QUEUED).delete()

    assert list(differences()) == []
    Action.objects.filter(pk=action.pk).update(decided_by_name="Tom Reyes")
    assert named(differences()) == {(action.pk, "decided_by_name")}
