"""What was decided happens once, is read back, and says truly what became of it."""

from collections.abc import Callable

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.actions.enums import ActionType, Execution, TargetState
from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Attempt,
    Conflict,
    ConnectorJob,
    LeaseLost,
    attempting,
    settling,
)
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import AutomationLevel, StopScope
from actioncenter.settings.models import Stop
from investigations.enums import RemediationStatus
from investigations.models import Evidence
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


def approved(**more: object) -> Action:
    action = factories.waiting_action(**more)  # type: ignore[arg-type]
    return action.approve(by=factories.person("mira").actor())


def effects(estate: Estate) -> int:
    return sum(estate.effects().values())


def test_nothing_runs_before_it_is_approved(run: Run, estate: Estate) -> None:
    action = factories.waiting_action()
    run(action)
    assert action.execution == Execution.NONE
    assert effects(estate) == 0


def test_an_approved_action_succeeds_only_after_read_back(run: Run, estate: Estate) -> None:
    action = approved()
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert action.read_back_at is not None
    assert effects(estate) == 1
    target = action.targets.get()
    assert target.before, "what an undo needs was kept"
    assert bytes(target.restore).startswith(b"gAAAA"), "and it is encrypted"


def test_a_connector_that_lies_is_not_believed(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("lie", True)
    run(action)
    assert (action.execution, action.code) == (Execution.FAILED, "not_in_force")
    assert "reading it back" in action.status_detail


def test_lost_answer_after_the_effect_is_found_out_and_not_repeated(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("timeout_after_effect", True, times=1)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.OUTCOME_UNKNOWN
    assert list(Action.objects.needs_a_look()) == [action]
    assert action in Action.objects.pending()
    assert action in Action.objects.running()
    Attempt.objects.update(next_poll_at=Now())
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert effects(estate) == 1


def test_a_blind_target_waits_for_a_person_who_looks(run: Run, estate: Estate) -> None:
    action = approved()
    instance = action.targets.get().instance
    assert instance is not None
    instance.settings = {"delivery": "blind", "pace": 0}
    instance.save()
    estate.behave("timeout_after_effect", True, times=1)
    run(action)
    Attempt.objects.update(next_poll_at=Now())
    run(action)
    assert action.execution == Execution.OUTCOME_UNKNOWN
    action.resolve_unknown(by=factories.person("mira").actor(), happened=True, comment="The file is gone.")
    assert action.execution == Execution.SUCCEEDED
    assert effects(estate) == 1


def test_an_offline_device_is_waited_for(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("offline", True)
    run(action)
    assert action.execution == Execution.QUEUED
    assert action.targets.get().error_class == "device_offline"
    estate.behave_normally()
    ActionTarget.objects.update(not_before=None)
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_long_work_shows_progress_and_goes_on_from_its_cursor(run: Run, estate: Estate) -> None:
    action = factories.waiting_mail_action(messages=300)
    run(action)
    action.approve(by=factories.person("aiko").actor())
    estate.behave("slow", 30)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.IN_PROGRESS
    attempt = action.attempts.get()
    assert attempt.cursor is not None
    assert attempt.lease_until is None, "a long job holds no lease between polls"
    assert attempt.total >= 300
    estate.behave_normally()
    run(action)
    assert (action.execution, action.succeeded_count) == (Execution.SUCCEEDED, 300)
    assert set(estate.effects().values()) == {1}
    assert action.attempts.count() == 1


def test_a_refusal_of_the_far_side_is_a_failure_that_can_be_retried(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("refuse", "protected")
    run(action)
    assert action.execution == Execution.FAILED
    estate.behave_normally()
    action.retry(by=factories.person("mira").actor())
    assert action.history_at is None
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert action.attempts.count() == 2


def test_results_are_exact_when_only_part_succeeds(run: Run, estate: Estate) -> None:
    action = factories.waiting_mail_action(messages=10)
    run(action)
    action.approve(by=factories.person("aiko").actor())
    estate.behave("partial", 0.3)
    run(action)
    assert action.execution == Execution.PARTLY_SUCCEEDED
    assert (action.target_count, action.succeeded_count, action.failed_count) == (10, 7, 3)


def test_a_cluster_cannot_be_approved_before_its_plan_was_made(run: Run) -> None:
    action = factories.waiting_mail_action()
    with pytest.raises(Conflict, match="before its plan"):
        action.approve(by=factories.person("aiko").actor())
    run(action)
    action.approve(by=factories.person("aiko").actor())
    plan = action.approved_plan
    assert plan is not None
    assert len(plan.body["targets"]) == 3


@pytest.mark.parametrize(
    "tamper",
    [
        lambda action: ActionTarget.objects.filter(action=action).update(entity="f" * 64),
        lambda action: Action.objects.filter(pk=action.pk).update(type=ActionType.KILL_PROCESS),
        lambda action: Action.objects.filter(pk=action.pk).update(parameters={"force": True}),
        lambda action: Action.objects.filter(pk=action.pk).update(revision=2),
    ],
    ids=["target", "type", "parameters", "revision"],
)
def test_what_was_changed_after_the_approval_is_not_sent(
    tamper: Callable[[Action], int], run: Run, estate: Estate
) -> None:
    action = approved()
    tamper(action)
    run(action)
    assert (action.execution, action.code) == (Execution.CANCELLED, "fingerprint_changed")
    assert effects(estate) == 0


@pytest.mark.parametrize("scope", list(StopScope))
def test_a_pulled_switch_holds_the_queue(scope: StopScope, run: Run, estate: Estate) -> None:
    action = approved()
    value = {
        StopScope.ALL: None,
        StopScope.CONNECTOR: action.targets.get().instance_id,
        StopScope.GROUP: action.group_id,
        StopScope.TYPE: action.type,
        StopScope.INVESTIGATION: action.investigation_id,
    }[scope]
    stop = Stop.objects.create(scope=scope, value=value, pulled_by_name="Noa Levi")
    run(action)
    assert (action.execution, effects(estate)) == (Execution.QUEUED, 0)
    stop.lifted_at = timezone.now()
    stop.save()
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_a_lowered_level_stops_what_automation_has_queued(run: Run, estate: Estate) -> None:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    action = factories.planned(factories.file_evidence(factories.device(in_group=full)))[0]
    assert action.automatic
    full.change_level(AutomationLevel.SEMI_ALL, by=factories.person("noa").actor())
    run(action)
    assert (action.execution, action.code) == (Execution.CANCELLED, "level_lowered")
    assert effects(estate) == 0
    again = Action.objects.waiting().get()
    assert (again.round, again.proposal_key) == (2, action.proposal_key)


def test_a_runner_that_lost_its_lease_writes_nothing(estate: Estate) -> None:
    action = approved()
    attempt = claiming.claim_one(action.pk, "first", by=RUNNER)
    assert attempt is not None
    stale = Attempt.objects.get(pk=attempt.pk)
    Attempt.objects.update(lease_until=Now())
    taken = loop.take_due("second")
    assert taken is not None
    assert taken.token == stale.token + 1
    with pytest.raises(LeaseLost):
        attempting.mark_sent(stale)
    stepping.work(stale, by=RUNNER)
    assert effects(estate) == 0
    stepping.work(taken, by=RUNNER)
    assert effects(estate) == 0, "the gates are passed anew first"
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, effects(estate)) == (Execution.SUCCEEDED, 1)


def test_a_crash_after_the_effect_repeats_nothing(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    with monkeypatch.context() as patched:
        patched.setattr(stepping, "_take", _die)
        with pytest.raises(SystemExit):
            loop.drain(by=RUNNER)
    assert effects(estate) == 1
    Attempt.objects.update(lease_until=Now())
    run(action)
    assert (action.execution, effects(estate)) == (Execution.SUCCEEDED, 1)


def _die(*_: object, **__: object) -> None:
    raise SystemExit


def test_our_own_mistake_is_never_called_a_failure(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    with monkeypatch.context() as patched:
        patched.setattr(stepping, "_take", lambda *_, **__: 1 / 0)
        loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.OUTCOME_UNKNOWN


def test_one_target_runs_in_a_lane_at_a_time() -> None:
    home = factories.group()
    machine = factories.device(in_group=home)
    same = "a" * 64
    first = factories.planned(factories.file_evidence(machine, sha256=same))[0]
    second = factories.planned(
        factories.file_evidence(machine, factories.investigation("again"), sha256=same)
    )[0]
    for action in (first, second):
        action.approve(by=factories.person("mira").actor())
    assert claiming.claim_one(second.pk, "r", by=RUNNER) is None, "the earlier one goes first"
    assert claiming.claim_one(first.pk, "r", by=RUNNER) is not None
    assert claiming.claim_one(second.pk, "r", by=RUNNER) is None, "the lane is taken"


def test_evidence_follows_its_action(run: Run) -> None:
    action = factories.waiting_action()
    item = Evidence.objects.get()
    assert item.remediation == RemediationStatus.PENDING_APPROVAL
    action.approve(by=factories.person("mira").actor())
    run(action)
    item.refresh_from_db()
    assert item.remediation == RemediationStatus.REMEDIATED


def test_an_offline_plan_says_why_there_is_none(run: Run, estate: Estate) -> None:
    estate.behave("offline", True)
    action = factories.waiting_action()
    run(action)
    job = ConnectorJob.objects.filter(action=action).get()
    assert "offline" in job.error
    action.approve(by=factories.person("mira").actor())
    assert action.approved_plan is None


@pytest.mark.parametrize("state", list(TargetState))
def test_every_target_state_has_an_effect_on_the_action(state: TargetState) -> None:
    assert isinstance(settling.execution_of(settling.Counter({state: 1})), Execution)
