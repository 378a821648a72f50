"""Containing a device by hand: the others carry it out, and every one of them has to let it go again."""

from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from actioncenter.accounts.answers import key_of_form
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, JobKind, TargetState
from actioncenter.actions.models import Action, ConnectorJob
from actioncenter.actions.models.containing import peers_of
from actioncenter.actions.models.following import follow_execution
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from investigations.models import Binding, Device
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.varied import put

CONTAIN, RELEASE = ActionType.CONTAIN_DEVICE, ActionType.RELEASE_CONTAINMENT
ABLE = {CATALOGUE[kind].code: {"support": "supported"} for kind in (CONTAIN, RELEASE)}


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    factories.prove(client)
    return client


@pytest.fixture
def home() -> DeviceGroup:
    return factories.group()


@pytest.fixture
def hosts(home: DeviceGroup) -> list[Device]:
    """Three that a real connector reaches."""
    made = ConnectorInstance.objects.create(kind="ssh", name="Linux hosts", enabled=True, simulated=False)
    found = [factories.device(f"srv-{at}", in_group=home) for at in range(3)]
    for at, host in enumerate(found):
        Binding.objects.create(instance=made, device=host, remote=f"host-{at}", capabilities=ABLE)
    return found


@pytest.fixture
def printer(home: DeviceGroup) -> Device:
    """No connector reaches it."""
    device = factories.device("printer-3", in_group=home)
    device.bindings.all().delete()
    return device


def send(client: Client, device: Device, code: str, **more: str) -> HttpResponse:
    form = {"comment": "It beacons.", "hours": "0", "idempotency_key": str(uuid4()), **more}
    return client.post(f"/devices/{device.pk}/{code}", form)


def contained(client: Client, device: Device) -> Action:
    """By all of them."""
    assert send(client, device, "contain").status_code == 302
    action = Action.objects.latest("pk")
    put(action, Decision.APPROVED, Execution.SUCCEEDED)
    action.targets.update(state=TargetState.SUCCEEDED, in_force=True)
    Device.objects.filter(pk=device.pk).update(contained=True)
    return action


@pytest.mark.django_db
def test_before_it_is_confirmed_every_peer_is_counted_and_asked(
    mira: Client, hosts: list[Device], printer: Device
) -> None:
    Device.objects.filter(pk=hosts[0].pk).update(critical=True)
    reach = mira.get(f"/devices/{printer.pk}/contain").context["reach"]
    assert reach == [("Carried out by", "3 managed hosts in 1 group, 1 of them critical")]

    mira.post(f"/devices/{printer.pk}/contain", {"look": "yes"})

    job = ConnectorJob.objects.get(kind=JobKind.LOOK)
    assert [each["remote"] for each in job.request["targets"]] == ["host-0", "host-1", "host-2"]
    assert {each["facts"]["name"] for each in job.request["targets"]} == {printer.name}


@pytest.mark.django_db
def test_what_no_connector_reaches_is_contained_by_the_others(
    mira: Client, hosts: list[Device], printer: Device
) -> None:
    assert send(mira, printer, "contain").status_code == 302

    action = Action.objects.latest("pk")
    assert {target.entity for target in action.targets.all()} == {f"peer:{host.pk}" for host in hosts}
    assert {target.device_id for target in action.targets.all()} == {printer.pk}


@pytest.mark.django_db
def test_without_anybody_to_do_it_it_says_so(mira: Client, printer: Device) -> None:
    assert send(mira, printer, "contain").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("done", [False, True], ids=["waits", "in force"])
def test_it_is_asked_for_once(mira: Client, hosts: list[Device], printer: Device, done: bool) -> None:
    if done:
        contained(mira, printer)
    else:
        send(mira, printer, "contain")

    assert send(mira, printer, "contain").status_code == 409
    assert Action.objects.count() == 1


@pytest.mark.django_db
def test_releasing_it_asks_every_one_of_them(mira: Client, hosts: list[Device], printer: Device) -> None:
    action = contained(mira, printer)

    assert send(mira, printer, "release_containment").status_code == 302

    release = Action.objects.latest("pk")
    assert (release.type, release.undo_of_id, release.targets.count()) == (RELEASE, action.pk, len(hosts))


@pytest.mark.django_db
def test_whoever_may_not_undo_it_proposes_all_of_it(
    mira: Client, hosts: list[Device], printer: Device
) -> None:
    contained(mira, printer)
    kim = Client()
    kim.force_login(factories.person("kim"))

    assert send(kim, printer, "release_containment").status_code == 302
    release = Action.objects.latest("pk")
    assert (release.decision, release.targets.count()) == (Decision.PENDING, len(hosts))


@pytest.mark.django_db
@pytest.mark.parametrize("let_go", [1, 3])
def test_it_is_contained_as_long_as_one_keeps_it_off(
    mira: Client, hosts: list[Device], printer: Device, let_go: int
) -> None:
    action = contained(mira, printer)
    send(mira, printer, "release_containment")
    release = Action.objects.latest("pk")
    gone = list(release.targets.order_by("pk").values_list("entity", flat=True)[:let_go])
    release.targets.filter(entity__in=gone).update(state=TargetState.SUCCEEDED)
    release.targets.exclude(entity__in=gone).update(state=TargetState.FAILED)
    action.targets.filter(entity__in=gone).update(in_force=False)
    put(release, Decision.NOT_REQUIRED, Execution.PARTLY_SUCCEEDED)

    follow_execution(release, by=RUNNER)

    printer.refresh_from_db()
    assert printer.contained is (let_go < len(hosts))


@pytest.mark.django_db
def test_hosts_outside_of_the_connectors_groups_are_left_alone(hosts: list[Device], printer: Device) -> None:
    elsewhere = factories.group("Elsewhere")
    hosts[0].group = elsewhere
    hosts[0].save()
    ConnectorInstance.objects.get(kind="ssh").groups.set(DeviceGroup.objects.exclude(pk=elsewhere.pk))

    assert {peer.device_id for peer in peers_of(printer)} == {host.pk for host in hosts[1:]}


# Out of sight


@pytest.mark.django_db
def test_what_holds_since_it_was_in_another_group_is_not_told(mira: Client, home: DeviceGroup) -> None:
    """The action stays where it was taken; the device is where one looks."""
    device = factories.device(in_group=factories.closed_group())
    noa = Client()
    noa.force_login(factories.person("noa"))
    factories.prove(noa)
    assert send(noa, device, "isolate", isolation="full").status_code == 302
    action = Action.objects.latest("pk")
    put(action, Decision.APPROVED, Execution.SUCCEEDED)
    action.targets.update(state=TargetState.SUCCEEDED, in_force=True)
    device.group = home
    device.save()

    for page in ("", "/release_device"):
        body = mira.get(f"/devices/{device.pk}{page}").content.decode()
        assert f"/action-center/actions/{action.pk}" not in body, page
    assert send(mira, device, "release_device").status_code == 302
    release = Action.objects.latest("pk")
    assert (release.type, release.undo_of_id) == (ActionType.RELEASE_DEVICE, None)


# Keys


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["again:7", "timer:7:2026-11-30T08:00:00+00:00", "form:x"])
def test_no_form_takes_a_key_that_is_not_its_own(mira: Client, home: DeviceGroup, key: str) -> None:
    machine = factories.device(in_group=home)
    assert send(mira, machine, "collect_package", idempotency_key=key).status_code == 302

    action = Action.objects.latest("pk")
    assert not Action.objects.filter(idempotency_key=key).exists()
    assert action.idempotency_key == key_of_form(key, by=factories.person("mira").actor())
    assert action.idempotency_key != key_of_form(key, by=factories.person("sam").actor())
