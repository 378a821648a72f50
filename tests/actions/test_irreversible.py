"""Approving what nothing brings back takes more than a click, and not many at once."""

from typing import Any

import pytest
from django.test import Client

from actioncenter.actions.abilities import IRREVERSIBLE, to_type
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.models import Action
from actioncenter.actions.views.bulk import MOST_IRREVERSIBLE
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
HOSTILE = "fin\u202e-lt-0007"


def ready(kind: ActionType = ActionType.OFFBOARD_DEVICE, **more: Any) -> Action:
    """Waits for one approval, with a connector and, where one is asked for, a plan."""
    action = proposed(kind, **more)
    action.targets.update(instance=1)
    action.plans.create(revision=1, digest="ab" * 32, body={}, expires_at=action.expires_at)
    return action


@pytest.fixture
def noa(client: Client) -> Client:
    ApprovalRule.objects.create(action_type=ActionType.OFFBOARD_DEVICE)
    ApprovalRule.objects.create(action_type=ActionType.HARD_DELETE_EMAIL)
    client.force_login(factories.person("noa"))
    return client


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def approve(client: Client, action: Action, verb: str = "approve", **form: str) -> Any:
    answer = client.post(
        f"/action-center/actions/{action.pk}/{verb}", {"mode": "key", "revision": "1", **form}
    )
    action.refresh_from_db()
    return answer


def test_which_types_these_are() -> None:
    assert {ActionType.OFFBOARD_DEVICE, ActionType.HARD_DELETE_EMAIL} == IRREVERSIBLE


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize("kind", sorted(IRREVERSIBLE))
def test_the_name_is_typed(noa: Client, kind: ActionType) -> None:
    action = ready(kind, name="FIN-LT-0007")
    page = noa.get(f"/action-center/actions/{action.pk}")
    assert page.context["action"]["typed"] == "FIN-LT-0007"
    assert 'name="typed"' in page.content.decode()
    for typed in ({}, {"typed": ""}, {"typed": "fin-lt-0008"}, {"typed": "FIN-LT"}):
        answer = approve(noa, action, **typed)
        assert answer.status_code == 422
        assert "typed: Type “FIN-LT-0007”" in answer.content.decode()
        assert (action.decision, action.votes.count()) == (Decision.PENDING, 0)
    assert approve(noa, action, typed=" fin-lt-0007 ").status_code == 302
    assert (action.decision, action.votes.get().mode) == (Decision.APPROVED, "typed")


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize("critical", [True, False])
def test_killing_a_process_on_a_critical_device_is_typed(mira: Client, critical: bool) -> None:
    action = ready(ActionType.KILL_PROCESS, name="sqlservr.exe")
    Action.objects.filter(pk=action.pk).update(critical=critical)
    page = mira.get(f"/action-center/actions/{action.pk}").content.decode()
    assert ('name="typed"' in page) == critical

    answer = approve(mira, action)

    assert (answer.status_code, action.decision) == (
        (422, Decision.PENDING) if critical else (302, Decision.APPROVED)
    )
    if critical:
        assert approve(mira, action, typed="sqlservr.exe").status_code == 302
        assert (action.decision, action.votes.get().mode) == (Decision.APPROVED, "typed")


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize(("critical", "decision"), [(1, Decision.PENDING), (0, Decision.APPROVED)])
def test_one_critical_among_many_stops_them_all(mira: Client, critical: int, decision: Decision) -> None:
    actions = [
        ready(ActionType.KILL_PROCESS, on=f"host-{at}", name="a.exe") for at in range(MOST_IRREVERSIBLE + 1)
    ]
    Action.objects.filter(pk__in=[action.pk for action in actions[:critical]]).update(critical=True)

    selected = [f"{action.pk}:1" for action in actions]
    mira.post("/action-center/bulk", {"verb": "approve", "selected": selected, "comment": "Known bad"})

    assert set(Action.objects.values_list("decision", flat=True)) == {decision}


def test_breaking_the_glass_does_not_save_the_typing(noa: Client) -> None:
    ApprovalRule.objects.update(quorum=2)
    factories.prove(noa)
    action = ready(name="fin-lt-0007")
    assert approve(noa, action, "break-glass", comment="It spreads").status_code == 422
    assert (action.decision, action.break_glass) == (Decision.PENDING, False)
    assert approve(noa, action, "break-glass", comment="It spreads", typed="fin-lt-0007").status_code == 302
    assert action.break_glass


@pytest.mark.parametrize("verb", ["reject", "approve"])
def test_nothing_else_asks_for_it(noa: Client, verb: str) -> None:
    action = ready(ActionType.OFFBOARD_DEVICE if verb == "reject" else ActionType.QUARANTINE_FILE)
    assert approve(noa, action, verb, comment="No").status_code == 302
    assert action.votes.get().mode == "key"


def test_who_may_not_approve_is_told_that_first(client: Client) -> None:
    client.force_login(factories.person("kim"))
    assert approve(client, ready()).status_code == 403


@pytest.mark.parametrize("name", [HOSTILE, "x" * 101])
def test_what_nobody_can_type_is_named_by_its_number(name: str) -> None:
    action = ready(name=name)
    assert to_type(action) == action.label


def test_of_many_targets_the_number_is_typed() -> None:
    action = ready()
    action.target_count = 12
    assert to_type(action) == "12"


def bulk(client: Client, kind: ActionType, number: int, verb: str = "approve") -> Any:
    actions = [ready(kind, on=f"host-{at}", name=f"host-{at}") for at in range(number)]
    selected = [f"{action.pk}:1" for action in actions]
    return client.post("/action-center/bulk", {"verb": verb, "selected": selected, "comment": "Known bad"})


@pytest.mark.oversight("HO-010")
def test_many_at_once_are_refused(noa: Client) -> None:
    answer = bulk(noa, ActionType.OFFBOARD_DEVICE, MOST_IRREVERSIBLE + 1)
    assert answer.status_code == 422
    assert "at most 10 are approved at once. 11 were selected." in answer.content.decode()
    assert set(Action.objects.values_list("decision", flat=True)) == {Decision.PENDING}


@pytest.mark.parametrize(
    ("kind", "number", "verb", "decision"),
    [
        (ActionType.OFFBOARD_DEVICE, MOST_IRREVERSIBLE, "approve", Decision.APPROVED),
        (ActionType.OFFBOARD_DEVICE, MOST_IRREVERSIBLE + 1, "reject", Decision.REJECTED),
        (ActionType.QUARANTINE_FILE, MOST_IRREVERSIBLE + 1, "approve", Decision.APPROVED),
    ],
)
def test_a_few_or_something_else_go_on(
    noa: Client, kind: ActionType, number: int, verb: str, decision: Decision
) -> None:
    bulk(noa, kind, number, verb)
    assert set(Action.objects.values_list("decision", flat=True)) == {decision}
