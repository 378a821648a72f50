"""A connector that keeps failing is left alone, tried by one call at a time, and found again by itself."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution, JobKind
from actioncenter.actions.execution import claiming, faring, jobs, loop, stepping
from actioncenter.actions.models import Action, Attempt, ConnectorJob, ConnectorState, pacing
from actioncenter.audit.models import Event
from actioncenter.connectors import base
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.settings.enums import StopScope
from actioncenter.settings.models import ConnectorInstance, PaceError, Stop
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.connecting import connector, decided, effects, estate_of, fresh, now_due, state

pytestmark = pytest.mark.django_db
PRESENTLY = timedelta(seconds=1)
AWAY = base.Transient("It can't be reached.")


@pytest.fixture
def instance(tmp_path: Path) -> ConnectorInstance:
    return connector(tmp_path, max_parallel=50)


def locked_out(instance: ConnectorInstance) -> None:
    estate_of(instance).require_token("another")


def let_in(instance: ConnectorInstance) -> None:
    with estate_of(instance).writing() as scene:
        scene.sql.execute("DELETE FROM meta WHERE name = 'token'")


def drain() -> None:
    now_due()
    loop.drain(by=RUNNER)


def opened(instance: ConnectorInstance) -> list[Action]:
    """What waits at a circuit that opened because the credentials were wrong."""
    locked_out(instance)
    actions = decided(instance, pacing.FAILURES + 2)
    drain()
    return actions


def executions(actions: list[Action]) -> set[Execution]:
    return {Execution(action.execution) for action in fresh(actions)}


def time_to_probe() -> None:
    ConnectorState.objects.update(probe_at=Now())


@pytest.mark.parametrize("how", ["credentials", "unreachable", "identity"])
def test_failures_in_a_row_open_it(
    how: str, instance: ConnectorInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.person("noa")
    {
        "credentials": lambda: locked_out(instance),
        "identity": lambda: estate_of(instance).behave("impostor"),
        "unreachable": lambda: monkeypatch.setattr(Simulator, "step", _raise(AWAY)),
    }[how]()
    actions = decided(instance, pacing.FAILURES + 2)

    loop.drain(by=RUNNER)

    now = state(instance)
    assert now.opened_at is not None
    assert now.failures == pacing.FAILURES
    assert now.error
    assert executions(actions) == {Execution.QUEUED}, "none of them is to blame"
    assert not any(action.attempts.exists() for action in actions[pacing.FAILURES :])
    (event,) = Event.objects.filter(kind="connector.opened")
    assert (event.stream, event.detail["failures"]) == (f"connector:{instance.pk}", pacing.FAILURES)
    notice = Notice.objects.get(kind="connector_opened")
    assert notice.severity == Severity.URGENT
    assert "Second" in notice.title


def _raise(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


OTHER_FAULTS = {
    "a device is offline": base.Transient("It is offline.", offline=True),
    "the far side refuses": base.Permanent("protected", "This process is protected."),
    "another job excludes it": base.Conflict("Another job excludes this one."),
    "it can't do that": base.Unsupported("No such thing there."),
}


@pytest.mark.parametrize("fault", OTHER_FAULTS)
def test_what_is_no_fault_of_the_connector_opens_nothing(
    fault: str, instance: ConnectorInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "step", _raise(OTHER_FAULTS[fault]))
    decided(instance, 2 * pacing.FAILURES)
    loop.drain(by=RUNNER)
    assert Attempt.objects.count() >= 2 * pacing.FAILURES
    assert state(instance).failures == 0


def test_a_switch_that_was_pulled_is_no_failure(instance: ConnectorInstance) -> None:
    decided(instance, pacing.FAILURES)
    for _ in range(pacing.FAILURES):
        attempt = claiming.claim_next("r", by=RUNNER)
        assert attempt is not None
        stop = Stop.objects.create(scope=StopScope.ALL, pulled_by_name="Noa Levi")
        stepping.work(attempt, by=RUNNER)
        stop.delete()
    assert effects(instance) == 0
    assert state(instance).failures == 0


def test_lost_answers_count_once_for_each_attempt(instance: ConnectorInstance) -> None:
    """One target that stays dumb is not the connector."""
    estate_of(instance).behave("timeout_before_effect")
    (action,) = decided(instance)
    for _ in range(pacing.FAILURES + 2):
        drain()
    assert fresh([action])[0].execution == Execution.OUTCOME_UNKNOWN
    assert state(instance).failures == 1
    decided(instance, pacing.FAILURES - 1)
    drain()
    assert state(instance).opened_at is not None


def test_a_success_in_between_sets_it_back(instance: ConnectorInstance) -> None:
    locked_out(instance)
    decided(instance, pacing.FAILURES - 1)
    loop.drain(by=RUNNER)
    assert state(instance).failures == pacing.FAILURES - 1
    let_in(instance)
    drain()
    assert state(instance).failures == 0
    locked_out(instance)
    decided(instance, pacing.FAILURES - 1)
    loop.drain(by=RUNNER)
    assert state(instance).opened_at is None


def test_another_connector_is_not_affected(instance: ConnectorInstance, tmp_path: Path) -> None:
    opened(instance)
    actions = decided(connector(tmp_path, "Third"))
    loop.drain(by=RUNNER)
    assert executions(actions) == {Execution.SUCCEEDED}


def test_nothing_is_sent_before_the_first_probe_is_due(instance: ConnectorInstance) -> None:
    opened(instance)
    tried = Attempt.objects.count()
    let_in(instance)
    drain()
    assert Attempt.objects.count() == tried
    assert ConnectorState.objects.filter(
        probe_at__gt=Now() + pacing.PROBE_AFTER - 25 * PRESENTLY, probe_at__lte=Now() + pacing.PROBE_AFTER
    ).exists()


def test_one_call_at_a_time_probes(instance: ConnectorInstance) -> None:
    opened(instance)
    now_due()
    time_to_probe()
    probe = claiming.claim_next("r", by=RUNNER)
    assert probe is not None
    assert claiming.claim_next("r", by=RUNNER) is None
    ConnectorJob.objects.create(kind=JobKind.CHECK, instance=instance, requested_by_name="tests")
    assert jobs.claim_next() is None


def test_a_good_probe_closes_it_and_the_rest_follows(instance: ConnectorInstance) -> None:
    factories.person("noa")
    actions = opened(instance)
    let_in(instance)
    time_to_probe()
    drain()
    now = state(instance)
    assert (now.failures, now.opened_at, now.probe_at) == (0, None, None)
    assert executions(actions) == {Execution.SUCCEEDED}
    assert effects(instance) == len(actions)
    assert Event.objects.filter(kind="connector.closed", stream=f"connector:{instance.pk}").count() == 1
    assert "Second is called again" in Notice.objects.get(kind="connector_closed").title


def test_a_bad_probe_makes_the_next_one_wait_longer(instance: ConnectorInstance) -> None:
    opened(instance)
    ConnectorState.objects.update(opened_at=Now() - timedelta(minutes=3))
    tried = Attempt.objects.count()
    time_to_probe()
    drain()
    assert Attempt.objects.count() == tried + 1
    assert ConnectorState.objects.filter(probe_at__gt=Now() + timedelta(minutes=2)).exists()
    assert Event.objects.filter(kind="connector.opened").count() == 1
    ConnectorState.objects.update(opened_at=Now() - timedelta(days=1))
    time_to_probe()
    drain()
    latest = Now() + pacing.PROBE_AT_LEAST_EVERY
    assert ConnectorState.objects.filter(probe_at__lte=latest).exists()


def test_a_probe_that_nobody_hears_of_again_is_followed_by_another(instance: ConnectorInstance) -> None:
    opened(instance)
    now_due()
    time_to_probe()
    assert claiming.claim_next("killed", by=RUNNER) is not None
    assert ConnectorState.objects.filter(
        probe_at__gt=Now() + claiming.LEASE, probe_at__lte=Now() + 2 * claiming.LEASE
    ).exists()
    time_to_probe()
    assert claiming.claim_next("r", by=RUNNER) is not None


def test_what_runs_there_is_asked_for_by_a_probe_only(instance: ConnectorInstance) -> None:
    estate_of(instance).behave("slow", 60)
    running = decided(instance, 2)
    loop.drain(by=RUNNER)
    ConnectorState.objects.update(opened_at=Now(), failures=9, probe_at=Now() + timedelta(minutes=1))
    now_due()
    assert loop.take_due("r") is None
    time_to_probe()
    assert loop.take_due("r") is not None
    assert loop.take_due("r") is None
    assert executions(running) == {Execution.IN_PROGRESS}


def test_what_its_runner_never_sent_goes_back_to_the_queue_although_it_is_open(
    instance: ConnectorInstance,
) -> None:
    (action,) = decided(instance)
    claiming.claim_next("killed", by=RUNNER)
    ConnectorState.objects.update(opened_at=Now(), failures=9, probe_at=Now() + timedelta(minutes=1))
    Attempt.objects.update(lease_until=Now())
    loop.drain(by=RUNNER)
    assert executions([action]) == {Execution.QUEUED}


def test_an_ill_check_counts_and_a_good_one_closes(instance: ConnectorInstance) -> None:
    locked_out(instance)
    for _ in range(pacing.FAILURES):
        ConnectorJob.objects.create(kind=JobKind.CHECK, instance=instance, requested_by_name="tests")
    loop.drain(by=RUNNER)
    instance.refresh_from_db()
    assert instance.health["ok"] is False
    assert state(instance).opened_at is not None
    let_in(instance)
    time_to_probe()
    ConnectorJob.objects.create(kind=JobKind.CHECK, instance=instance, requested_by_name="tests")
    loop.drain(by=RUNNER)
    assert state(instance).opened_at is None


def test_a_plan_is_asked_for_until_the_connector_is_let_in(instance: ConnectorInstance) -> None:
    locked_out(instance)
    (action,) = decided(instance)
    job = ConnectorJob.objects.create(
        kind=JobKind.PREVIEW, instance=instance, action=action, requested_by_name="tests"
    )
    Action.objects.filter(pk=action.pk).update(cancel_requested_at=None)
    faring.note(instance.pk, AWAY, by=RUNNER)
    taken = jobs.claim_next()
    assert taken == job
    jobs._later(taken, "Refused.", 0.0)
    job.refresh_from_db()
    assert (job.error, job.finished_at) == ("Refused.", None)


# By hand


def test_an_admin_closes_it_with_a_reason(instance: ConnectorInstance) -> None:
    actions = opened(instance)
    let_in(instance)
    noa = factories.actor(factories.person("noa"))
    state(instance).reset(by=noa, comment="The token was renewed")
    event = Event.objects.get(kind="connector.closed")
    assert (event.actor_name, event.detail["comment"]) == ("Noa Levi", "The token was renewed")
    drain()
    assert executions(actions) == {Execution.SUCCEEDED}
    with pytest.raises(PaceError, match="closed already") as caught:
        state(instance).reset(by=noa, comment="Once more")
    assert caught.value.code == "changed"


@pytest.mark.parametrize(
    ("who", "proof", "comment", "code"),
    [
        ("mira", True, "I want it", "role"),
        ("noa", False, "Renewed", "reauthenticate"),
        ("noa", True, "  ", "comment"),
        ("noa", True, "x" * 2001, "comment"),
    ],
)
def test_nobody_else_and_not_without_proof_or_reason(
    who: str, proof: bool, comment: str, code: str, instance: ConnectorInstance
) -> None:
    opened(instance)
    by = factories.person(who).actor(proved_at=time.time() if proof else None)
    with pytest.raises(PaceError) as caught:
        state(instance).reset(by=by, comment=comment)
    assert caught.value.code == code
    assert state(instance).opened_at is not None


def test_a_command_closes_nothing(instance: ConnectorInstance) -> None:
    opened(instance)
    with pytest.raises(PaceError) as caught:
        state(instance).reset(by=RUNNER, comment="By itself")
    assert caught.value.code == "role"
