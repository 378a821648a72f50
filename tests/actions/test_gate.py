"""No way round the gate: every route, role and type over HTTP, and every forged wake-up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from actioncenter.actions import tasks
from actioncenter.actions.abilities import to_type
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.actions.permissions import RUNNER_ROLES
from actioncenter.settings.enums import Role
from tests import factories
from tests.actions.test_votes import planned
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting() -> list[Action]:
    """One of every type that nothing but a person's decision keeps from running."""
    actions = [proposed(kind) for kind in ActionType]
    for action in actions:
        action.targets.update(instance=1)
        planned(action)
    return actions


def attempts_of(client: Client, action: Action) -> Iterator[Any]:
    """Whatever a page sends to let an action run, and what it must not be able to."""
    one, fields = (
        f"/action-center/actions/{action.pk}",
        {"comment": "let me", "revision": 1, "plan": "a" * 64, "typed": to_type(action)},
    )
    for verb in ("approve", "break-glass", "retry", "happened"):
        yield client.post(f"{one}/{verb}", fields)
    bulk = {"verb": "approve", "selected": f"{action.pk}:1:{'a' * 8}", "comment": "let me"}
    yield client.post("/action-center/bulk", bulk)
    yield client.get(f"{one}/approve")
    forged = {**fields, "decision": Decision.APPROVED.value, "execution": Execution.QUEUED.value}
    yield client.post(one, forged)
    yield client.post(f"{one}/edit", forged)


@pytest.mark.oversight("HO-001")
@pytest.mark.parametrize("role", [None, *Role])
def test_gate_cannot_be_bypassed(role: Role | None, waiting: list[Action], run: Callable[..., None]) -> None:
    client, person = Client(), factories.person("nobody")
    if role is not None:
        person.grant(role, by=factories.SETUP)
    client.force_login(person)
    factories.prove(client)
    barred = [a for a in waiting if role is None or role not in RUNNER_ROLES[a.entry.runner_role]]
    for action in barred:
        assert all(
            answer.status_code in {200, 302, 403, 404, 405, 409, 422}
            for answer in attempts_of(client, action)
        )
    tasks.wake(ids=[action.pk for action in barred])
    run()
    decided = Action.objects.filter(pk__in=[a.pk for a in barred]).exclude(decision=Decision.PENDING)
    assert not decided.exists()
    assert not Attempt.objects.filter(action__in=barred).exists()


@pytest.mark.oversight("HO-001")
def test_nobody_signed_in_and_no_page_of_another_site_gets_through(waiting: list[Action]) -> None:
    stranger, strict = Client(), Client(enforce_csrf_checks=True)
    strict.force_login(factories.person("noa"))
    factories.prove(strict)
    for client in (stranger, strict):
        for answer in attempts_of(client, waiting[0]):
            assert answer.status_code in {302, 403, 405}
    assert not Action.objects.exclude(decision=Decision.PENDING).exists()


def test_with_the_right_the_same_requests_do_get_through(waiting: list[Action]) -> None:
    """The routes above are the real ones: for who may decide they work."""
    client = Client()
    client.force_login(factories.person("noa"))
    factories.prove(client)
    for action in waiting:
        list(attempts_of(client, action))
    assert set(Action.objects.values_list("decision", flat=True)) == {Decision.APPROVED}
    alone = Action.objects.filter(break_glass=True).values_list("pk", flat=True)
    assert set(alone) == {action.pk for action in waiting if action.approval_rule["second_person"]}
