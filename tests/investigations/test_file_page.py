"""The page of a file: where it was seen, and quarantine or release on many devices, each with its own outcome."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.settings.models import DeviceGroup
from investigations.enums import Verdict
from investigations.models import Device
from investigations.views.file import PAGE_SIZE
from tests import factories
from tests.actions.conftest import estate, run
from tests.investigations.test_device_page import signed_in

__all__ = ["estate", "run"]
Run = Callable[..., None]
pytestmark = pytest.mark.django_db
SHA = "ab" * 32


@pytest.fixture
def mira(client: Client) -> Client:
    return signed_in(client, "mira")


def spread(number: int, in_group: DeviceGroup | None = None, sha256: str = SHA) -> list[Device]:
    """The same file, seen on so many devices; nothing was planned for it."""
    home = in_group or DeviceGroup.objects.filter(name="Finance laptops").first() or factories.group()
    devices = [factories.device(in_group=home) for _ in range(number)]
    for device in devices:
        factories.file_evidence(device, sha256=sha256, planned_verdict=Verdict.MALICIOUS)
    return devices


def page(client: Client, query: str = "") -> Any:
    response = client.get(f"/files/{SHA}{query}")
    assert response.status_code == 200
    return response.context


def states(client: Client) -> dict[str, str]:
    return {row["name"]: row["state"] for row in page(client)["rows"]}


def send(client: Client, code: str, devices: Sequence[Device] = (), **more: Any) -> HttpResponse:
    sent = {"comment": "Known bad", "device": [device.pk for device in devices], **more}
    return client.post(f"/files/{SHA}/{code}", sent)


def asked(client: Client, code: str, devices: Sequence[Device] = (), **more: Any) -> list[dict[str, Any]]:
    """What came of each."""
    response = send(client, code, devices, **more)
    assert response.status_code == 200, response.content.decode()
    rows: list[dict[str, Any]] = response.context["rows"]
    return rows


def made(rows: Sequence[dict[str, Any]]) -> list[Action]:
    return [Action.objects.get(pk=row["number"]) for row in rows]


def test_picked_ones_are_quarantined_each_on_its_own(mira: Client, run: Run) -> None:
    first, second, third = spread(3)

    rows = asked(mira, "quarantine_file", [first, third])
    actions = made(rows)
    run(*actions)

    assert [(row["device"], row["code"]) for row in rows] == [(first.pk, "done"), (third.pk, "done")]
    assert {action.execution for action in actions} == {Execution.SUCCEEDED}
    assert {action.decision for action in actions} == {Decision.NOT_REQUIRED}
    assert len({action.approval_id for action in actions}) == 1
    assert [action.device_id for action in actions] == [first.pk, third.pk]
    assert [states(mira)[device.name] for device in (first, second, third)] == [
        "Quarantined", "Not quarantined", "Quarantined",
    ]  # fmt: skip
    seen = page(mira)
    assert (seen["seen"], seen["held"], seen["left"]) == (3, 2, 1)


def test_on_all_means_those_that_are_left(mira: Client, run: Run) -> None:
    first, *others = spread(3)
    run(*made(asked(mira, "quarantine_file", [first])))

    preview = mira.get(f"/files/{SHA}/quarantine_file?all=on").context

    assert preview["picked"] == [device.pk for device in others]
    again = asked(mira, "quarantine_file", [first, *others])
    assert [row["code"] for row in again] == ["conflict", "done", "done"]
    assert "holds there already" in again[0]["text"]


def test_more_instances_are_the_same_file_still_quarantined_and_seen(client: Client, run: Run) -> None:
    """Not another file, not one released already, not one in a group that the person doesn't see."""
    first, second, released = spread(3)
    hidden = spread(1, in_group=factories.closed_group())
    [other] = spread(1, sha256="cd" * 32)
    noa = signed_in(client, "noa")
    [one, two, three] = made(asked(noa, "quarantine_file", [first, second, released]))
    far = made(asked(noa, "quarantine_file", hidden))
    response = noa.post(f"/files/{'cd' * 32}/quarantine_file", {"comment": "x", "device": [other.pk]})
    run(one, two, three, *far, *made(response.context["rows"]))
    run(three.undo(by=factories.actor(factories.person("sam")), comment="Ours"))

    mira = signed_in(client, "mira")
    pane = mira.get(f"/action-center/actions/{one.pk}").context["action"]
    assert pane["more_instances"] == 1
    assert mira.get(pane["more_url"]).context["picked"] == [first.pk, second.pk]
    rows = asked(mira, "release_file", [first, second, *hidden])
    run(*made(rows))

    assert [(row["device"], row["code"]) for row in rows] == [(first.pk, "done"), (second.pk, "done")]
    assert {action.undo_of_id for action in made(rows)} == {one.pk, two.pk}
    [approval] = {action.approval_id for action in made(rows)}
    history = mira.get(f"/action-center/history?approval={approval}").context["numbers"]
    assert sorted(history) == [action.pk for action in made(rows)]
    assert page(mira)["held"] == 0
    assert page(signed_in(client, "noa"))["held"] == 1


def test_who_may_not_run_it_proposes_it(client: Client) -> None:
    devices = spread(2)
    kim = signed_in(client, "kim")
    assert "somebody else decides" in " ".join(
        kim.get(f"/files/{SHA}/quarantine_file?all=on").context["comes"]
    )

    actions = made(asked(kim, "quarantine_file", devices))

    assert {action.decision for action in actions} == {Decision.PENDING}
    mira = signed_in(client, "mira")
    assert all("waits for a decision" in state for state in states(mira).values())
    assert [row["code"] for row in asked(mira, "quarantine_file", devices)] == ["conflict"] * 2


def test_an_auditor_looks_and_does_nothing(client: Client) -> None:
    devices = spread(1)
    ivo = signed_in(client, "ivo")

    assert "role" in page(ivo)["read_only"]
    assert 'name="device"' not in ivo.get(f"/files/{SHA}").content.decode()
    for code in ("quarantine_file", "release_file"):
        assert send(ivo, code, devices).status_code == 403
    assert not Action.objects.exists()


def test_out_of_scope_is_not_there(mira: Client) -> None:
    hidden = spread(1, in_group=factories.closed_group())

    for path in (f"/files/{SHA}", f"/files/{SHA}/quarantine_file", f"/files/{'0' * 64}", "/files/abc"):
        assert mira.get(path).status_code == 404, path
    assert send(mira, "quarantine_file", hidden).status_code == 404

    spread(1)
    assert send(mira, "quarantine_file", hidden).status_code == 422
    assert mira.get(f"/files/{SHA}/isolate").status_code == 404
    assert not Action.objects.exists()


def test_a_form_sent_twice_does_one_thing(mira: Client) -> None:
    devices, key = spread(2), uuid4().hex

    first, second = (send(mira, "quarantine_file", devices, idempotency_key=key) for _ in range(2))

    assert first.content == second.content
    assert Action.objects.count() == 2


@pytest.mark.parametrize(
    "more", [{"comment": " "}, {"device": []}, {"device": ["x"]}, {"device": ["1"] * 501}]
)
def test_what_is_wrong_is_said_and_nothing_done(mira: Client, more: dict[str, Any]) -> None:
    devices = spread(1)

    assert send(mira, "quarantine_file", **{"device": [devices[0].pk], **more}).status_code == 422
    assert not Action.objects.exists()


def test_an_action_by_hand_stands_beside_one_that_was_rejected(mira: Client, run: Run) -> None:
    waiting = factories.waiting_action(sha256=SHA)
    waiting.reject(by=factories.actor(factories.person("sam")), comment="Ours")

    [action] = made(asked(mira, "quarantine_file", [Device.objects.get(pk=waiting.device_id)]))
    run(action)

    assert (action.execution, action.round, action.investigation_id) == (
        Execution.SUCCEEDED, 2, waiting.investigation_id,
    )  # fmt: skip


def test_pages_follow_each_other_and_cost_the_same(mira: Client, run: Run) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(mira)
        return len(queries)

    costs = []
    for number in (1, 2, PAGE_SIZE):
        run(*made(asked(mira, "quarantine_file", spread(number)[:1])))
        cost()
        costs.append(cost())
    assert len(set(costs)) == 1, costs

    names, url = [], f"/files/{SHA}"
    while url:
        context = mira.get(url).context
        names += [row["name"] for row in context["rows"]]
        url = context["next_url"]
    assert names == list(Device.objects.order_by("name", "pk").values_list("name", flat=True))
    assert mira.get(f"/files/{SHA}?page=x").status_code == 400
