"""What is sent is what was decided on, or nothing is: whoever can write rows can't make the runner act."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, JobKind
from actioncenter.actions.execution import binding, claiming, emptied, loop, stepping
from actioncenter.actions.models import Action, ActionTarget, ConnectorJob, Plan
from actioncenter.audit import triggers
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.entities import folded
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.scene import FILE
from actioncenter.settings.enums import AutomationLevel
from tests import factories
from tests.actions import tampering
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


@pytest.fixture(autouse=True)
def admins() -> None:
    factories.person("noa")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[ActionType]:
    """What reached the connector to be carried out."""
    made: list[ActionType] = []
    step = Simulator.step

    def counted(connector: Simulator, request: Any, *rest: Any) -> Any:
        made.append(request.type)
        return step(connector, request, *rest)

    monkeypatch.setattr(Simulator, "step", counted)
    return made


def approved() -> Action:
    return factories.waiting_action().approve(by=factories.person("mira").actor())


def automatic() -> Action:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    action = factories.planned(factories.file_evidence(factories.device(in_group=full)))[0]
    assert action.automatic
    return action


def isolation() -> Action:
    full = factories.group("Kiosks", AutomationLevel.SEMI_ALL, recipe_isolates=True)
    made = factories.planned(factories.file_evidence(factories.device(in_group=full)))
    action = next(action for action in made if action.type == ActionType.ISOLATE_DEVICE)
    return action.approve(by=factories.person("mira").actor(proved_at=time.time()))


def mail(run: Run) -> Action:
    action = factories.waiting_mail_action(messages=4)
    run(action)
    return action.approve(by=factories.person("aiko").actor())


def refused(action: Action, run: Run, calls: Sequence[ActionType], code: str = binding.TAMPERED) -> None:
    run(action)
    assert calls == []
    assert (action.execution, action.code) == (Execution.CANCELLED, code)
    told = Event.objects.get(stream=f"action:{action.pk}", kind="action.refused").detail
    assert told is not None
    assert told["code"] == code
    assert told["agreed"] != told["found"]


@pytest.mark.parametrize("decided", [approved, automatic])
@pytest.mark.parametrize("name", tampering.OF_ANY_ACTION)
def test_what_was_changed_after_the_decision_is_never_sent(
    name: str, decided: Callable[[], Action], run: Run, calls: list[ActionType]
) -> None:
    action = decided()
    tampering.OF_ANY_ACTION[name](action)
    if name == "no target":
        loop.drain(by=RUNNER)
        assert not action.attempts.exists(), "nothing is left that could start it"
        assert emptied.refuse(RUNNER) == 1
    refused(action, run, calls)
    (notice,) = Notice.objects.filter(kind=binding.TAMPERED)
    assert (notice.severity, notice.user.username) == (Severity.URGENT, "noa")
    assert not Action.objects.waiting().exists(), (
        "what was tampered with isn't asked again as if it were ours"
    )


@pytest.mark.parametrize("decided", [approved, automatic])
def test_what_nobody_touched_is_sent(
    decided: Callable[[], Action], run: Run, calls: list[ActionType]
) -> None:
    action = decided()
    run(action)
    assert (action.execution, len(calls)) == (Execution.SUCCEEDED, 1)


@pytest.mark.parametrize("name", sorted(CATALOGUE[ActionType.ISOLATE_DEVICE].parameters))
def test_each_parameter_is_bound(name: str, run: Run, calls: list[ActionType]) -> None:
    action = isolation()
    tampering.parameter(name)(action)
    refused(action, run, calls)


def test_another_approved_fingerprint_is_refused(run: Run, calls: list[ActionType]) -> None:
    action = approved()
    tampering.row(approved_fingerprint="0" * 64)(action)
    refused(action, run, calls)


@pytest.mark.parametrize(
    "decision", [Decision.NOT_REQUIRED, Decision.APPROVED], ids=lambda decision: decision.name.lower()
)
def test_a_decision_that_nobody_made_is_refused(
    decision: Decision, run: Run, calls: list[ActionType]
) -> None:
    action = factories.waiting_action()
    tampering.row(
        decision=decision, decided_at=Now(), decided_by_name="Mira Chen", execution=Execution.QUEUED,
        queued_at=Now(), approved_fingerprint=action.fingerprint,
    )(action)  # fmt: skip
    refused(action, run, calls)


def test_an_event_that_was_rewritten_vouches_for_nothing(run: Run, calls: list[ActionType]) -> None:
    """Without the key nobody can give it its place in the chain."""
    action = approved()
    before = action.fingerprint
    tampering.forge(action)
    action.refresh_from_db()
    triggers.remove(connection)
    try:
        event = Event.objects.get(stream=f"action:{action.pk}", kind="action.approved")
        forged = event.canonical.replace(before, action.fingerprint)
        detail = json.loads(json.dumps(event.detail).replace(before, action.fingerprint))
        assert Event.objects.filter(pk=event.pk).update(canonical=forged, detail=detail) == 1
    finally:
        triggers.install(connection)
    refused(action, run, calls)


# The plan


def swap_messages(action: Action) -> None:
    plan = Plan.objects.get(action=action)
    plan.body["targets"][0]["remote"] = "ceo@halden.example"
    plan.save()


def retell(part: str) -> tampering.Tamper:
    """What people saw says something else than when they approved."""

    def tamper(action: Action) -> None:
        plan = Plan.objects.get(action=action)
        assert part in plan.body
        plan.body[part] = ["Nothing is deleted."]
        plan.save()

    return tamper


def swap_and_seal(action: Action) -> None:
    swap_messages(action)
    tampering.row(approved_plan_digest=Plan.objects.get(action=action).seal)(action)


def newer_plan(action: Action) -> None:
    old = Plan.objects.get(action=action)
    Plan.objects.create(
        action=action, revision=old.revision, digest="d" * 64, body=old.body, expires_at=old.expires_at
    )


PLANS: dict[str, tuple[tampering.Tamper, str]] = {
    **{
        f"body's {part}": (retell(part), binding.PLAN_CHANGED)
        for part in ("observed", "changes", "affected", "warnings")
    },
    "body's targets": (swap_messages, binding.PLAN_CHANGED),
    "body's targets and seal": (swap_and_seal, binding.PLAN_CHANGED),
    "digest": (lambda a: Plan.objects.update(digest="d" * 64), binding.PLAN_CHANGED),
    "seal": (tampering.row(approved_plan_digest="d" * 64), binding.PLAN_CHANGED),
    "revision": (lambda a: Plan.objects.update(revision=2), binding.PLAN_CHANGED),
    "gone": (lambda a: Plan.objects.all().delete(), binding.PLAN_CHANGED),
    "unbound": (tampering.row(approved_plan=None, approved_plan_digest=""), binding.PLAN_CHANGED),
    "newer": (newer_plan, binding.PLAN_CHANGED),
    "too old": (lambda a: Plan.objects.update(expires_at=Now() - timedelta(seconds=1)), binding.PLAN_EXPIRED),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_changed_after_the_approval_is_asked_again(
    name: str, run: Run, calls: list[ActionType]
) -> None:
    action, (tamper, code) = mail(run), PLANS[name]
    tamper(action)
    refused(action, run, calls, code)
    again = Action.objects.waiting().get()
    assert (again.round, again.proposal_key) == (2, action.proposal_key)
    told = list(Notice.objects.filter(kind=code).values_list("user__username", "severity"))
    assert told == OF_OUR_OWN.get(name, [("noa", Severity.URGENT)])


OF_OUR_OWN: dict[str, list[tuple[str, Severity]]] = {"newer": [("aiko", Severity.WARNING)], "too old": []}
"""What happens without anybody's evil will: who had approved it is told that it changed."""


def test_of_a_cluster_that_is_carried_out_every_message_is_bound(run: Run, estate: Estate) -> None:
    """The rows that the plan was made into, as little as the plan itself, may become others."""
    action = mail(run)
    assert claiming.claim_one(action.pk, "dead", by=RUNNER)
    action.attempts.update(lease_until=Now())
    ActionTarget.objects.filter(pk=action.targets.order_by("pk")[1].pk).update(remote="ceo@halden.example")
    run(action)
    assert (action.execution, action.code, sum(estate.effects().values())) == (
        Execution.CANCELLED, binding.TAMPERED, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"type": ActionType.HARD_DELETE_EMAIL}, {"parameters": {"x": 1}}], ids=str
)
def test_of_a_cluster_that_is_carried_out_type_and_parameters_are_bound(
    change: dict[str, Any], run: Run, estate: Estate
) -> None:
    action = mail(run)
    assert claiming.claim_one(action.pk, "dead", by=RUNNER)
    action.attempts.update(lease_until=Now())
    tampering.row(**change)(action)
    run(action)
    assert (action.code, sum(estate.effects().values())) == (binding.TAMPERED, 0)


# The last moment


@pytest.mark.parametrize("name", ["target remote", "type", "forged", "policy level"])
def test_what_changes_between_claim_and_sending_isn_t_sent(
    name: str, run: Run, calls: list[ActionType]
) -> None:
    action = approved()
    attempt = claiming.claim_one(action.pk, "quick", by=RUNNER)
    assert attempt is not None
    tampering.OF_ANY_ACTION[name](action)
    stepping.work(attempt, by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code, calls) == (Execution.CANCELLED, binding.TAMPERED, [])
    assert attempt.targets.get().attempt is not None


def test_the_connector_asks_once_more_before_it_touches_anything(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, step = approved(), Simulator.step

    def tampered(connector: Simulator, *call: Any) -> Any:
        tampering.row(revision=2)(action)
        return step(connector, *call)

    monkeypatch.setattr(Simulator, "step", tampered)
    run(action)
    assert (action.execution, action.code) == (Execution.CANCELLED, binding.TAMPERED)
    assert sum(estate.effects().values()) == 0
    assert Notice.objects.filter(kind=binding.TAMPERED, severity=Severity.URGENT).count() == 1


def test_what_is_there_now_is_what_the_plan_showed(run: Run, estate: Estate) -> None:
    """The far side has another file at the path than the one that was approved."""
    action = factories.waiting_action()
    run(action)
    action.approve(by=factories.person("mira").actor())
    assert action.approved_plan is not None
    target = action.targets.get()
    path = target.facts["path"]
    estate.change(FILE, folded(path), owner=target.remote, path=path, sha256="b" * 64, status="present")
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code) == (Execution.CANCELLED, binding.PLAN_CHANGED)
    again = Action.objects.waiting().get()
    assert again.round == 2
    assert ConnectorJob.objects.filter(action=again, kind=JobKind.PREVIEW).exists()


# The tests can fail


@pytest.mark.parametrize("decided", [approved, automatic])
def test_a_gate_that_believes_the_row_is_noticed(
    decided: Callable[[], Action], run: Run, calls: list[ActionType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "recorded", _as_the_row_says)
    action = decided()
    tampering.forge(action)
    with pytest.raises(AssertionError):
        refused(action, run, calls)


def _as_the_row_says(action: Action) -> binding.Recorded:
    asked = binding.asked_for(action.approval_rule, action.proposers)
    return binding.Recorded(action.fingerprint, action.approved_plan_digest, asked)
