"""The page of a device: what holds there, what somebody may do by hand, and what happened."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.actions import by_hand
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, ActionTarget, Proposal
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import IsolationState
from investigations.models import Binding, Device, Evidence
from investigations.queries import routes_for
from investigations.views.timeline import PAGE_SIZE
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.in_force import look, set_free

__all__ = ["estate", "run"]
Run = Callable[..., None]
pytestmark = pytest.mark.django_db
INVERTIBLE = [kind for kind in by_hand.ON_DEVICES if CATALOGUE[kind].inverse]


def signed_in(client: Client, who: str, *, proved: bool = True) -> Client:
    client.force_login(factories.person(who))
    if proved:
        factories.prove(client)
    return client


@pytest.fixture
def mira(client: Client) -> Client:
    return signed_in(client, "mira")


@pytest.fixture
def laptop() -> Device:
    return factories.device(in_group=factories.group())


def page(client: Client, device: Device) -> Any:
    response = client.get(f"/devices/{device.pk}")
    assert response.status_code == 200
    return response.context


def buttons(client: Client, device: Device) -> dict[str, dict[str, Any]]:
    return {button["code"]: button for button in page(client, device)["buttons"]}


def send(client: Client, device: Device, code: str, **more: Any) -> HttpResponse:
    sent = {"comment": "Beacons to a known host", "isolation": "full", "scan": "quick", "hours": "0", **more}
    return client.post(f"/devices/{device.pk}/{code}", sent)


def taken(client: Client, device: Device, code: str, **more: Any) -> Action:
    response = send(client, device, code, **more)
    assert response.status_code == 302, response.content.decode()
    return Action.objects.latest("pk")


@pytest.mark.parametrize("kind", INVERTIBLE)
def test_a_button_turns_into_its_inverse_and_back(
    mira: Client, run: Run, laptop: Device, kind: ActionType
) -> None:
    entry, inverse = CATALOGUE[kind], CATALOGUE[CATALOGUE[kind].inverse or kind]

    done = taken(mira, laptop, entry.code)
    run(done)
    assert (done.decision, done.execution) == (Decision.NOT_REQUIRED, Execution.SUCCEEDED)
    assert done.requested_comment == "Beacons to a known host"
    turned = buttons(mira, laptop)
    assert inverse.code in turned
    assert entry.code not in turned

    preview = mira.get(f"/devices/{laptop.pk}/{inverse.code}").context
    assert preview["takes_back"]["label"] == done.label
    undone = taken(mira, laptop, inverse.code)
    run(undone)
    assert (undone.undo_of_id, undone.execution) == (done.pk, Execution.SUCCEEDED)
    assert entry.code in buttons(mira, laptop)
    assert page(mira, laptop)["in_force"] == []


def test_what_holds_and_when_it_was_read_back_and_what_drifted(
    mira: Client, run: Run, estate: Estate, laptop: Device
) -> None:
    done = taken(mira, laptop, "isolate", isolation="selective")
    run(done)
    [held] = page(mira, laptop)["in_force"]
    assert (held["action_label"], held["by"], held["drift"]) == (done.label, "Simulator", "")
    assert "selective" in held["says"]
    assert held["read"]

    set_free(estate, laptop)
    look(done)
    [held] = page(mira, laptop)["in_force"]
    assert "none" in held["drift"]
    assert "Drift." in mira.get(f"/devices/{laptop.pk}").content.decode()


def test_who_may_not_run_it_proposes_it(client: Client, run: Run, laptop: Device) -> None:
    kim = signed_in(client, "kim")
    assert "You may propose it" in buttons(kim, laptop)["isolate"]["proposes"]
    assert "somebody else decides" in kim.get(f"/devices/{laptop.pk}/isolate").context["comes"]

    proposed = taken(kim, laptop, "isolate")
    run(proposed)
    assert (proposed.decision, proposed.execution) == (Decision.PENDING, Execution.NONE)
    proposed.approve(by=factories.actor(factories.person("mira")))
    run(proposed)
    assert proposed.execution == Execution.SUCCEEDED

    released = taken(kim, laptop, "release_device")
    assert (released.decision, released.undo_of_id) == (Decision.PENDING, None)
    released.approve(by=factories.actor(factories.person("mira")))
    run(released)
    laptop.refresh_from_db()
    assert (released.execution, laptop.isolation) == (Execution.SUCCEEDED, IsolationState.NONE)


def test_an_analyst_scans_and_collects_at_once(client: Client, run: Run, laptop: Device) -> None:
    kim = signed_in(client, "kim")
    for code in ("scan", "collect_package"):
        assert kim.get(f"/devices/{laptop.pk}/{code}").context["comes"] == "It runs at once."
        action = taken(kim, laptop, code)
        run(action)
        assert (action.decision, action.execution) == (Decision.NOT_REQUIRED, Execution.SUCCEEDED)


def test_offboarding_waits_for_a_second_admin(client: Client, laptop: Device) -> None:
    noa = signed_in(client, "noa")
    assert "second person" in noa.get(f"/devices/{laptop.pk}/offboard").context["comes"]

    action = taken(noa, laptop, "offboard")

    assert (action.decision, action.reason_code) == (Decision.PENDING, "second_person")
    assert action.jobs.exists()  # the plan, without which nobody may approve


def test_what_is_dangerous_asks_for_the_password(client: Client, laptop: Device) -> None:
    mira = signed_in(client, "mira", proved=False)
    assert "password" in mira.get(f"/devices/{laptop.pk}/isolate").context["comes"]

    response = send(mira, laptop, "isolate")

    assert response.headers["Location"] == f"/confirm-identity?next=%2Fdevices%2F{laptop.pk}%2Fisolate"
    assert not Action.objects.exists()


def test_an_auditor_looks_and_does_nothing(client: Client, laptop: Device) -> None:
    ivo = signed_in(client, "ivo")
    assert all("role" in button["reason"] for button in buttons(ivo, laptop).values())
    assert 'name="comment"' not in ivo.get(f"/devices/{laptop.pk}/isolate").content.decode()

    for kind in by_hand.ON_DEVICES:
        assert send(ivo, laptop, CATALOGUE[kind].code).status_code == 403
    assert not Action.objects.exists()


def unreachable(device: Device) -> None:
    device.bindings.all().delete()


def unable(device: Device) -> None:
    said = {"isolate": {"support": "unsupported", "reason": "It has no firewall."}}
    Binding.objects.filter(device=device).update(capabilities=said)


def offboarded(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(offboarded=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(unreachable, "No connector reaches"), (unable, "no firewall"), (offboarded, "was offboarded")],
)
def test_a_button_says_why_it_is_off(
    mira: Client, laptop: Device, spoil: Callable[[Device], None], words: str
) -> None:
    spoil(laptop)

    assert words in buttons(mira, laptop)["isolate"]["reason"]
    assert words in mira.get(f"/devices/{laptop.pk}").content.decode()
    response = send(mira, laptop, "isolate")
    assert response.status_code == 403
    assert words in response.content.decode()
    assert not Action.objects.exists()


def test_the_same_is_not_asked_for_twice(client: Client, laptop: Device) -> None:
    waits = taken(signed_in(client, "kim"), laptop, "isolate")
    mira = signed_in(client, "mira")

    button = buttons(mira, laptop)["isolate"]
    assert button["twin"] == {"label": waits.label, "url": f"/action-center/actions/{waits.pk}"}
    assert "waits for a decision" in button["reason"]
    response = send(mira, laptop, "isolate")
    assert response.status_code == 409
    assert waits.label in response.content.decode()
    assert Action.objects.count() == 1
    assert [each["label"] for each in mira.get(f"/devices/{laptop.pk}/contain").context["beside"]] == [
        waits.label
    ]


def test_what_was_taken_back_meanwhile_is_said(mira: Client, run: Run, laptop: Device) -> None:
    done = taken(mira, laptop, "restrict")
    run(done)
    run(done.undo(by=factories.actor(factories.person("sam")), comment="False alarm"))

    response = send(mira, laptop, "release_execution")

    assert response.status_code == 403
    assert "in force there any more" in response.content.decode()
    assert Action.objects.count() == 2


def test_a_form_sent_twice_does_one_thing(mira: Client, laptop: Device) -> None:
    key = uuid4().hex
    first, second = (send(mira, laptop, "scan", idempotency_key=key) for _ in range(2))

    assert first.headers["Location"] == second.headers["Location"]
    assert send(mira, laptop, "scan", idempotency_key=key, comment="Another").status_code == 422
    assert Action.objects.count() == 1


def test_without_a_reason_nothing_happens(mira: Client, laptop: Device) -> None:
    response = send(mira, laptop, "isolate", comment="  ")

    assert response.status_code == 422
    assert "Say why" in response.content.decode()
    assert send(mira, laptop, "isolate", isolation="half").status_code == 422
    assert not Action.objects.exists()


def test_out_of_scope_is_not_there(mira: Client) -> None:
    hidden = factories.device(in_group=factories.closed_group())

    for path in (
        f"/devices/{hidden.pk}",
        f"/devices/{hidden.pk}/isolate",
        "/devices/999999",
        "/devices/1/approve",
    ):
        assert mira.get(path).status_code == 404, path
    assert send(mira, hidden, "isolate").status_code == 404
    assert not Action.objects.exists()


def test_released_on_one_device_it_holds_on_the_other(mira: Client, run: Run, laptop: Device) -> None:
    other = factories.device(in_group=laptop.group)
    routes = routes_for([laptop, other])
    one, two = (
        by_hand.proposal(by_hand.Intent(ActionType.ISOLATE_DEVICE, each), routes, comment="Both")
        for each in (laptop, other)
    )
    both, _ = Action.objects.propose(
        Proposal(**{name: getattr(one, name) for name in Proposal.__slots__} | {"targets": [*one.targets, *two.targets]}),
        by=factories.actor(factories.person("mira")),
    )  # fmt: skip
    run(both)

    released = taken(mira, laptop, "release_device")
    run(released)

    assert released.undo_of_id is None
    assert page(mira, laptop)["in_force"] == []
    assert [held["action_label"] for held in page(mira, other)["in_force"]] == [both.label]


def walked(client: Client, device: Device) -> list[list[tuple[int, int]]]:
    """(branch, id) of every entry, page by page."""
    pages, url = [], f"/devices/{device.pk}"
    while url:
        context = client.get(url).context
        pages.append([(entry["branch"], entry["id"]) for entry in context["timeline"]])
        url = context["earlier_url"]
    return pages


@pytest.mark.parametrize("at_once", [False, True])
def test_the_timeline_has_everything_once_newest_first(mira: Client, laptop: Device, at_once: bool) -> None:
    evidence = [factories.file_evidence(laptop) for _ in range(PAGE_SIZE + 5)]
    factories.planned(*evidence)
    if at_once:
        moment = timezone.now()
        Evidence.objects.update(created_at=moment)
        Action.objects.update(created_at=moment)

    pages = walked(mira, laptop)

    assert [len(rows) for rows in pages] == [PAGE_SIZE, PAGE_SIZE, 10]
    flat = [entry for rows in pages for entry in rows]
    assert len(set(flat)) == len(flat) == 2 * len(evidence)
    moments = {(1, row.pk): row.created_at for row in Evidence.objects.all()}
    moments |= {(0, row.pk): row.created_at for row in Action.objects.all()}
    assert flat == sorted(flat, key=lambda entry: (-moments[entry].timestamp(), entry[0], -entry[1]))


def test_a_page_of_another_timeline_is_refused(mira: Client, laptop: Device) -> None:
    factories.planned(*(factories.file_evidence(laptop) for _ in range(PAGE_SIZE)))
    token = page(mira, laptop)["earlier_url"].partition("page=")[2]
    other = factories.device(in_group=laptop.group)

    assert mira.get(f"/devices/{laptop.pk}?page={token}").status_code == 200
    assert mira.get(f"/devices/{other.pk}?page={token}").status_code == 400
    assert mira.get(f"/devices/{laptop.pk}?page={token[:-1]}").status_code == 400


def test_as_many_queries_for_a_hundred_rows_as_for_one(mira: Client, run: Run, laptop: Device) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(mira, laptop)
        return len(queries)

    cost()  # what is read once for every session
    costs = []
    for number in (1, 2, 97):
        factories.planned(*(factories.file_evidence(laptop) for _ in range(number)))
        ActionTarget.objects.update(in_force=True)
        costs.append(cost())
    assert len(set(costs)) == 1, costs


def test_the_connectors_that_serve_it_are_named(mira: Client, laptop: Device) -> None:
    ConnectorInstance.objects.update(enabled=False)

    [connector] = page(mira, laptop)["connectors"]
    assert (connector["name"], connector["enabled"]) == ("Simulator", False)
    assert buttons(mira, laptop)["scan"]["reason"]


def listed(client: Client, query: str = "") -> list[str]:
    response = client.get(f"/devices/?{query}")
    assert response.status_code == 200, query
    return [row["name"] for row in response.context["rows"]]


def test_the_list_is_narrowed_and_leaves_out_what_nobody_may_see(
    mira: Client, run: Run, laptop: Device
) -> None:
    server = factories.device("srv-01", critical=True)
    factories.device("hidden-01", in_group=factories.closed_group())
    run(taken(mira, laptop, "isolate"))

    assert listed(mira) == sorted([laptop.name, server.name])
    for query, found in (
        ("q=srv", server), ("state=critical", server), ("state=isolated", laptop), (f"group={laptop.group_id}", laptop),
    ):  # fmt: skip
        assert listed(mira, query) == [found.name], query
    assert listed(mira, "q=hidden") == []
    [row] = mira.get("/devices/?state=isolated").context["rows"]
    assert row["held"] == "Isolate device"
    assert mira.get("/devices/?state=nonsense").status_code == 400
    assert mira.get("/devices/?page=x").status_code == 400


def test_the_pages_of_the_list_follow_each_other_and_cost_the_same(mira: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            listed(mira)
        return len(queries)

    costs = []
    for number in (1, 2, 97):
        for _ in range(number):
            factories.device()
        cost()
        costs.append(cost())
    assert len(set(costs)) == 1, costs

    names, url = [], "/devices/"
    while url:
        context = mira.get(url).context
        names += [row["name"] for row in context["rows"]]
        url = context["next_url"]
    assert names == list(Device.objects.order_by("name", "pk").values_list("name", flat=True))
