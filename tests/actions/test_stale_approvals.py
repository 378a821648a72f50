"""An approval whose execution nobody began in time is asked again; waiting that nobody could help isn't counted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Risk, Source, TargetKind
from actioncenter.actions.models import Action, ActionTarget, Proposal, TargetDraft
from actioncenter.actions.permissions import Refused
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import ApprovalRule, Safeguards, Stop
from tests import factories
from tests.actions.test_gates import ago, approved, effects

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
LIMITS = {Risk.HIGH: 30, Risk.MEDIUM: 60, Risk.LOW: 240}
"""In minutes, as they are set out of the box."""


@pytest.mark.oversight("HO-019")
@pytest.mark.parametrize("risk", list(Risk), ids=lambda risk: risk.name.lower())
def test_stale_approval_returns(
    risk: Risk, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale, fresh = approved(), approved()
    kind = ActionType(stale.type)
    monkeypatch.setitem(CATALOGUE, kind, replace(CATALOGUE[kind], risk=Risk.LOW))  # type: ignore[arg-type]
    ago(LIMITS[risk] + 1, action=stale, risk=risk)
    ago(LIMITS[risk] - 1, action=fresh, risk=risk)
    run(stale, fresh)
    assert (stale.execution, stale.code) == (Execution.CANCELLED, "stale_approval")
    assert (fresh.execution, effects(estate)) == (Execution.SUCCEEDED, 1)
    again = Action.objects.waiting().get()
    assert (again.round, again.proposal_key) == (2, stale.proposal_key)
    run(again.approve(by=factories.person("mira").actor()))
    assert effects(estate) == 2


def test_the_limits_are_settings(run: Run) -> None:
    Safeguards(pk=1, stale_medium_minutes=5).save()
    action = approved()
    ago(6, action=action)
    run(action)
    assert action.code == "stale_approval"


def stop(of: Action, since: float, until: float | None, **more: Any) -> None:
    """A stop in minutes before now, over by now."""
    made = Stop.objects.create(pulled_by_name="Noa Levi", **{"scope": StopScope.ALL, **more})
    end = None if until is None else Now() - timedelta(minutes=until)
    Stop.objects.filter(pk=made.pk).update(pulled_at=Now() - timedelta(minutes=since), lifted_at=end)


@pytest.mark.parametrize("kind", list(StopKind))
def test_the_clock_stands_while_execution_is_stopped(kind: StopKind, run: Run) -> None:
    action = approved()
    ago(90, action=action)
    stop(action, 80, 45, kind=kind)
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_two_stops_at_a_time_count_once_and_others_not_at_all(run: Run) -> None:
    action = approved()
    ago(90, action=action)
    stop(action, 80, 60)
    stop(action, 75, 60, scope=StopScope.TYPE, value=action.type)
    stop(action, 200, 89)
    stop(action, 50, 10, scope=StopScope.TYPE, value=ActionType.BLOCK_URL)
    run(action)
    assert action.code == "stale_approval", "it was held for 21 of 90 minutes"


def test_a_stop_in_force_holds_it_rather_than_asking_again(run: Run) -> None:
    action = approved()
    ago(90, action=action)
    stop(action, 5, None)
    run(action)
    assert (action.execution, Action.objects.waiting().count()) == (Execution.QUEUED, 0)


def test_waiting_for_an_offline_device_is_not_stale(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("offline", True)
    run(action)
    assert action.execution == Execution.QUEUED
    Action.objects.update(
        queued_at=F("queued_at") - timedelta(hours=5), started_at=F("started_at") - timedelta(hours=5)
    )
    estate.behave_normally()
    ActionTarget.objects.update(not_before=None)
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_a_retry_starts_the_clock_again(run: Run, estate: Estate) -> None:
    action = approved()
    estate.behave("refuse", "protected")
    run(action)
    Action.objects.update(
        queued_at=F("queued_at") - timedelta(hours=5), started_at=F("started_at") - timedelta(hours=5)
    )
    action.retry(by=factories.person("mira").actor())
    estate.behave_normally()
    ago(61, action=action)
    run(action)
    assert (action.execution, action.code) == (Execution.CANCELLED, "stale_approval")


def two_step(by: str = "kim") -> Action:
    """What somebody proposed by hand, on nobody's evidence."""
    machine = factories.device(in_group=factories.group())
    binding = machine.bindings.get()
    draft = TargetDraft(
        kind=TargetKind.FILE, name="tool.exe", entity="c" * 64, on_name=machine.name, device_id=machine.pk,
        instance_id=binding.instance_id, instance_name="Simulator", remote=binding.remote,
        facts={"path": r"C:\tools\tool.exe", "sha256": "c" * 64},
    )  # fmt: skip
    action, _ = Action.objects.propose(
        Proposal(
            type=ActionType.QUARANTINE_FILE, area=Area.DEVICE, source=Source.MANUAL_DEVICE,
            decision=Decision.PENDING, targets=[draft], group_id=machine.group_id, group_name="Finance laptops",
            reason_code="proposed_by", comment="Looks odd", idempotency_key="form-1",
        ),
        by=factories.person(by).actor(),
    )  # fmt: skip
    return action


def asked_again(action: Action, run: Run) -> Action:
    """Approved by everybody it takes, but begun too late."""
    for name in ("sam", "noa")[: action.quorum]:
        action.approve(by=factories.actor(factories.person(name)))
    ago(61, action=action)
    run(action)
    assert action.code == "stale_approval"
    return Action.objects.waiting().get()


def test_asked_again_its_proposer_still_does_not_approve_it(run: Run) -> None:
    again = asked_again(two_step("mira"), run)
    with pytest.raises(Refused, match="proposed"):
        again.approve(by=factories.actor(factories.person("mira")))


@pytest.mark.parametrize(
    ("asked", "before", "since"),
    [
        ("quorum", 2, 1), ("second_person", True, False), ("reauthenticate", True, False),
        ("expiry_days", 3, 9), ("deny_quorum", 1, 2), ("answer_within_minutes", 5, 50),
    ],
)  # fmt: skip
def test_asked_again_never_less_is_asked_for(asked: str, before: int, since: int, run: Run) -> None:
    noa = factories.actor(factories.person("noa"))
    rule = ApprovalRule.add(by=noa, risk=Risk.MEDIUM, **{asked: before})
    action = two_step()
    rule.change(by=noa, **{asked: since})
    assert asked_again(action, run).approval_rule == action.approval_rule


@pytest.mark.parametrize(("asked", "before", "since"), [("quorum", 1, 3), ("second_person", False, True)])
def test_asked_again_more_may_be_asked_for(asked: str, before: int, since: int, run: Run) -> None:
    action = two_step()
    ApprovalRule.add(by=factories.actor(factories.person("noa")), risk=Risk.MEDIUM, **{asked: since})
    assert action.approval_rule[asked] == before
    assert asked_again(action, run).approval_rule[asked] == since


def test_what_a_person_proposed_comes_back_as_that_person_s_proposal(run: Run, estate: Estate) -> None:
    action = two_step().approve(by=factories.person("mira").actor())
    ago(61, action=action)
    run(action)
    assert action.code == "stale_approval"
    again = Action.objects.waiting().get()
    assert (again.round, again.requested_by_name, again.proposers) == (2, "Kim Larsen", action.proposers)
    assert (again.target_name, again.intent_key) == (action.target_name, action.intent_key)
    assert again.policy["params"]["also"] == ["stale_approval"]
    run(again.approve(by=factories.person("mira").actor()))
    assert effects(estate) == 1
