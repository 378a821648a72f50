"""What goes wrong half-way is never sent twice, never called done unseen, and never forgotten."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from actioncenter.actions.enums import AttemptState, Execution, JobState, TargetState
from actioncenter.actions.execution import candidates, claiming, loop, outside, stepping
from actioncenter.actions.models import Action, ActionTarget, Attempt, Conflict, ConnectorJob, attempting
from actioncenter.audit.models import Event
from actioncenter.connectors import base
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopScope
from actioncenter.settings.models import Stop
from investigations.enums import IsolationState, RemediationStatus
from investigations.models import Device, Evidence
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


def approved(**more: object) -> Action:
    action = factories.waiting_action(**more)  # type: ignore[arg-type]
    return action.approve(by=factories.person("mira").actor())


def effects(estate: Estate) -> int:
    return sum(estate.effects().values())


def drain(*actions: Action) -> None:
    """One pass of a runner, with whatever waits for a moment being due."""
    Attempt.objects.filter(ended_at=None, next_poll_at__isnull=False).update(next_poll_at=Now())
    ActionTarget.objects.update(not_before=None)
    loop.drain(by=RUNNER)
    for action in actions:
        action.refresh_from_db()


def die_after_the_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(stepping, "_take", die)
        with pytest.raises(SystemExit):
            loop.drain(by=RUNNER)
    Attempt.objects.update(lease_until=Now())


def test_a_far_side_that_went_offline_after_the_effect_gets_no_second_request(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    die_after_the_effect(monkeypatch)
    # The connection breaks before the far side answers that it knows the request.
    estate.behave("flaky", 1)
    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "step", _offline)
        drain(action)
        assert action.execution == Execution.OUTCOME_UNKNOWN
    estate.behave_normally()
    drain(action)
    assert (action.execution, effects(estate), action.attempts.count()) == (Execution.SUCCEEDED, 1, 1)


def _offline(*_: object) -> None:
    raise base.Transient("It is offline.", offline=True)


def test_an_error_after_the_intent_is_not_taken_for_nothing_sent(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, step = approved(), Simulator.step

    def broken(*given: Any) -> None:
        step(*given)
        raise base.Transient("The answer could not be read.")

    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "step", broken)
        drain(action)
    assert action.execution == Execution.OUTCOME_UNKNOWN
    drain(action)
    assert (action.execution, effects(estate), action.attempts.count()) == (Execution.SUCCEEDED, 1, 1)


def test_a_refusal_to_a_question_says_nothing_about_what_was_sent(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    die_after_the_effect(monkeypatch)
    estate.require_token("another")
    drain(action)
    assert action.execution == Execution.OUTCOME_UNKNOWN


def test_long_work_waits_for_a_device_that_went_away_under_the_same_id(estate: Estate) -> None:
    action = approved()
    estate.behave("slow", 30)
    drain(action)
    estate.behave("offline", True)
    drain(action)
    attempt = action.attempts.get()
    assert (action.execution, attempt.state) == (Execution.IN_PROGRESS, AttemptState.POLLING)
    assert "offline" in attempt.message
    estate.behave_normally()
    drain(action)
    assert (action.execution, effects(estate), action.attempts.count()) == (Execution.SUCCEEDED, 1, 1)


def test_work_that_never_ends_times_out_by_its_deadline(estate: Estate) -> None:
    action = approved()
    estate.behave("slow", 30)
    drain(action)
    Attempt.objects.update(started_at=Now() - timedelta(days=2))
    drain(action)
    assert (action.execution, effects(estate)) == (Execution.TIMED_OUT, 0)


def test_a_chunk_that_may_have_been_sent_is_not_sent_again_from_the_old_cursor(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = factories.waiting_mail_action(messages=6).targets.get().instance
    assert instance is not None
    instance.settings = {"pace": 0, "chunk": 2, "delivery": "blind"}
    instance.save()
    action = Action.objects.get()
    run(action)
    action.approve(by=factories.person("aiko").actor())
    loop.next_task("r", by=RUNNER)()  # type: ignore[misc]
    assert effects(estate) == 2
    Attempt.objects.update(next_poll_at=Now())
    die_after_the_effect(monkeypatch)
    assert effects(estate) == 4
    drain(action)
    assert (action.execution, effects(estate), action.unknown_count) == (Execution.OUTCOME_UNKNOWN, 4, 4)


def test_what_could_not_be_read_back_is_read_again(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    action = approved()
    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "verify", _offline)
        drain(action)
        assert action.execution == Execution.OUTCOME_UNKNOWN
    drain(action)
    assert (action.execution, effects(estate)) == (Execution.SUCCEEDED, 1)
    assert action.read_back_at is not None


@pytest.mark.parametrize("seen", [{}, None], ids=["left out", "can't tell"])
def test_done_without_being_seen_is_not_success(
    seen: object, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()

    def blurred(connector: Simulator, request: base.Request) -> base.Observed:
        return base.Observed({} if seen == {} else {target.key: None for target in request.targets})

    monkeypatch.setattr(Simulator, "verify", blurred)
    drain(action)
    assert action.execution == Execution.OUTCOME_UNKNOWN
    assert action.targets.get().error_class == "not_read_back"


def test_a_runner_that_broke_after_losing_its_lease_writes_nothing(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    slow = claiming.claim_one(action.pk, "slow", by=RUNNER)
    assert slow is not None

    def overtaken(*_: object) -> None:
        Attempt.objects.update(token=slow.token + 1, runner="quick")
        raise OSError("connection reset")

    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "step", overtaken)
        stepping.work(slow, by=RUNNER)
    attempt = action.attempts.get()
    assert (attempt.runner, attempt.ended_at, attempt.state) == ("quick", None, AttemptState.SENT)


def test_a_lease_that_was_extended_is_not_taken_over(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = claiming.claim_one(approved().pk, "slow", by=RUNNER)
    assert attempt is not None
    Attempt.objects.update(lease_until=Now())
    due = Attempt.objects.get()
    attempting.intend(attempt, claiming.LEASE)
    monkeypatch.setattr(Attempt.objects, "filter", _first_answers([due], Attempt.objects.filter))
    assert attempting.take_over("quick", lease=claiming.LEASE) is None


def _first_answers(stale: list[Attempt], look: Callable[..., Any]) -> Callable[..., Any]:
    """The first look finds what was true a moment ago."""

    class Stale:
        def order_by(self, *_: str) -> list[Attempt]:
            return stale

    answers = iter([Stale()])
    return lambda *given, **more: next(answers, None) or look(*given, **more)


def test_what_was_cancelled_before_it_was_sent_is_not_sent_after_a_crash(estate: Estate) -> None:
    action = approved()
    claiming.claim_one(action.pk, "dead", by=RUNNER)
    action.request_cancel(by=factories.person("mira").actor(), comment="On second thought")
    Attempt.objects.update(lease_until=Now())
    drain(action)
    assert (action.execution, effects(estate)) == (Execution.CANCELLED, 0)


def test_a_switch_pulled_after_the_claim_stops_what_was_not_sent(estate: Estate) -> None:
    action = approved()
    attempt = claiming.claim_one(action.pk, "r", by=RUNNER)
    assert attempt is not None
    stop = Stop.objects.create(scope=StopScope.ALL, pulled_by_name="Noa Levi")
    stepping.work(attempt, by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, effects(estate)) == (Execution.QUEUED, 0)
    drain(action)
    assert action.execution == Execution.QUEUED, "the queue is kept"
    stop.delete()
    drain(action)
    assert action.execution == Execution.SUCCEEDED


def test_what_is_held_does_not_hold_up_the_rest(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "LOOKED_AT_ONCE", 1)
    held = [approved() for _ in range(3)]
    machine, same = factories.device(in_group=factories.group("Kiosks")), "c" * 64
    queued = [
        approved_for(factories.file_evidence(machine, factories.investigation(title), sha256=same))
        for title in ("first", "behind it")
    ]
    free = approved(in_group=factories.group("Office"))
    Stop.objects.create(scope=StopScope.GROUP, value=held[0].group_id, pulled_by_name="Noa Levi")
    claiming.claim_one(queued[0].pk, "busy", by=RUNNER)
    drain(free, *held)
    assert free.execution == Execution.SUCCEEDED
    assert {action.execution for action in held} == {Execution.QUEUED}


def approved_for(evidence: Evidence) -> Action:
    return factories.planned(evidence)[0].approve(by=factories.person("mira").actor())


def test_a_lane_that_was_taken_in_the_same_moment_is_no_error(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, same = factories.device(in_group=factories.group()), "d" * 64
    first, second = (
        approved_for(factories.file_evidence(machine, factories.investigation(title), sha256=same))
        for title in ("one", "two")
    )
    claiming.claim_one(first.pk, "quick", by=RUNNER)
    monkeypatch.setattr(attempting, "_blocked_lanes", lambda *_: set())
    assert claiming.claim_one(second.pk, "late", by=RUNNER) is None
    second.refresh_from_db()
    assert second.execution == Execution.QUEUED
    assert not second.attempts.exists()


def looked(*, happened: bool) -> None:
    mira = factories.person("mira").actor()
    Action.objects.get().resolve_unknown(by=mira, happened=happened, comment="I looked.")


@pytest.mark.parametrize("happened", [False, True])
def test_while_a_runner_asks_nobody_says_what_became_of_it(
    happened: bool, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has on the wire may still land: a retry under a new key would be a second effect."""
    action, step, refused = approved(), Simulator.step, []
    estate.behave("timeout_after_effect", True, times=1)
    drain(action)

    def meanwhile(*given: Any) -> Any:
        with pytest.raises(Conflict, match="asking the far side right now") as caught:
            looked(happened=happened)
        refused.append(caught.value.code)
        return step(*given)

    monkeypatch.setattr(Simulator, "step", meanwhile)
    drain(action)
    assert refused == ["being_asked"]
    assert (action.execution, effects(estate), action.attempts.count()) == (Execution.SUCCEEDED, 1, 1)
    assert not Event.objects.filter(stream=f"action:{action.pk}", kind="action.reconciled").exists()


@pytest.mark.parametrize("asked", ["not yet", "by a runner that is gone"])
def test_a_person_who_looked_is_not_overruled_by_a_runner(
    asked: str, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = approved()
    estate.behave("timeout_after_effect", True, times=1)
    drain(action)
    attempt = action.attempts.get()
    if asked != "not yet":
        Attempt.objects.update(next_poll_at=Now())
        taken = loop.take_due("slow")
        assert taken is not None
        attempt = taken
        Attempt.objects.update(lease_until=Now())
    looked(happened=False)
    stepping.work(attempt, by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.failed_count) == (Execution.FAILED, 1)
    assert not Attempt.objects.filter(ended_at=None).exists()


def test_what_a_person_saw_reaches_device_and_evidence(estate: Estate) -> None:
    machine = factories.device(in_group=factories.group())
    item = factories.file_evidence(machine, recommends_isolation=True)
    isolate = next(action for action in factories.planned(item) if action.entry.code == "isolate")
    isolate.approve(by=factories.person("mira").actor(proved_at=time.time()))
    estate.behave("timeout_after_effect", True)
    drain(isolate)
    isolate.resolve_unknown(by=factories.person("mira").actor(), happened=True, comment="Unplugged.")
    assert Device.objects.get(pk=machine.pk).isolation == IsolationState.FULL


def test_evidence_of_what_was_stopped_before_it_ran_is_open_again(estate: Estate) -> None:
    action = approved()
    action.request_cancel(by=factories.person("mira").actor(), comment="On second thought")
    drain(action)
    assert action.execution == Execution.CANCELLED
    assert Evidence.objects.get().remediation == RemediationStatus.UNREMEDIATED


def test_hostile_text_of_a_device_is_no_obstacle(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    action, step = approved(), Simulator.step

    def hostile(*given: Any) -> Any:
        answer = step(*given)
        nasty = {"name": "a\x00b", "list": [{"\x00": "\ud800"}]}
        return replace(answer, results=[replace(each, after=nasty) for each in answer.results])

    monkeypatch.setattr(Simulator, "step", hostile)
    drain(action)
    assert action.execution == Execution.SUCCEEDED
    assert action.targets.get().after == {"name": "a\u2400b", "list": [{"\u2400": "\ufffd"}]}
    assert outside.cleaned(5) == 5


def test_a_plan_is_asked_for_until_there_is_one(estate: Estate) -> None:
    action = factories.waiting_mail_action()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Simulator, "preview", _offline)
        drain(action)
    job = ConnectorJob.objects.get(action=action)
    assert (job.state, job.error) == (JobState.QUEUED, "It is offline.")
    ConnectorJob.objects.update(lease_until=Now())
    drain(action)
    assert action.plans.count() == 1


def test_a_read_that_breaks_ends(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    action = factories.waiting_action()
    monkeypatch.setattr(Simulator, "preview", lambda *_: 1 / 0)
    drain(action)
    job = ConnectorJob.objects.get(action=action)
    assert (job.state, job.error) == (JobState.FAILED, "Internal error: ZeroDivisionError")


def test_what_was_decided_goes_before_reads(estate: Estate) -> None:
    action = approved()
    factories.waiting_actions(2)
    task = loop.next_task("r", by=RUNNER)
    assert task is not None
    task()
    assert action.targets.get().state == TargetState.SUCCEEDED
