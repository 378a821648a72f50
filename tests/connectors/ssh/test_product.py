"""Through the whole product: a person isolates a real host, the runner does it, the peer feels it."""

import hashlib
import json
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import (
    ActionType,
    Area,
    AttemptState,
    Decision,
    Execution,
    Source,
    TargetKind,
    TargetState,
)
from actioncenter.actions.execution.loop import drain
from actioncenter.actions.models import Action, Attempt, Proposal, Surprise, TargetDraft
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.connectors.ssh.target.offboarding import FOLDER, RIGHT, SSHD, TRUST
from actioncenter.estate.lab import CONTROLLER, PEER
from actioncenter.ops import enrolment
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from investigations.enums import IsolationState, Namespace
from investigations.models import Binding, Device, Evidence
from tests import factories
from tests.actions.directly import taken
from tests.connectors.ssh.fleet import MARK, SEED, Fleet
from tests.connectors.ssh.wires import reaches, until

pytestmark = [pytest.mark.hosts, pytest.mark.django_db]

BY = Actor.command("tests")


@pytest.fixture
def real(fleet: Fleet, tmp_path: Path, settings: pytest.FixtureRequest) -> ConnectorInstance:
    settings.KEYS_DIR = tmp_path  # type: ignore[attr-defined]
    (tmp_path / "ssh.key").write_bytes(bytes.fromhex(SEED))
    made = enrolment.connector("Linux hosts", CONTROLLER, by=BY, namespace=fleet.lab.management)
    made.enable(by=BY)
    return made


@pytest.fixture
def device(real: ConnectorInstance, fleet: Fleet) -> Device:
    return enrolment.register(real, Pin.read(fleet.pins[0]), "lab-1", by=BY)


def test_isolated_seen_from_the_peer_and_undone(fleet: Fleet, device: Device) -> None:
    host = fleet.hosts[0]
    assert reaches(fleet.lab.peer, host.address, 22)

    action = taken(ActionType.ISOLATE_DEVICE, device, isolation="full")
    drain(by=BY)

    action.refresh_from_db()
    device.refresh_from_db()
    (target,) = action.targets.all()
    assert (action.execution, target.state) == (Execution.SUCCEEDED, TargetState.SUCCEEDED)
    assert target.in_force
    assert device.isolation == IsolationState.FULL
    assert not reaches(fleet.lab.peer, host.address, 22)
    assert not reaches(fleet.lab.peer, host.address6, 22)
    assert f"ID {action.attempts.get().public_id} " in fleet.lab.log(host)

    undo = action.undo(by=factories.actor(factories.person("mira")), comment="clean")
    drain(by=BY)

    undo.refresh_from_db()
    device.refresh_from_db()
    assert (undo.execution, device.isolation) == (Execution.SUCCEEDED, IsolationState.NONE)
    assert reaches(fleet.lab.peer, host.address, 22)
    assert fleet.ruleset(host) == ""


def polled(action: Action) -> None:
    """What a runner does, without its waits between polls."""
    for _ in range(200):
        drain(by=BY)
        polling = Attempt.objects.filter(action=action, ended_at=None, state=AttemptState.POLLING)
        if not polling.update(next_poll_at=Now()):
            break
        until(lambda: False, 0.2)
    action.refresh_from_db()


def test_a_package_is_brought_kept_encrypted_and_downloaded(
    fleet: Fleet, device: Device, client: Client
) -> None:
    action = taken(ActionType.COLLECT_PACKAGE, device)
    polled(action)
    assert action.execution == Execution.SUCCEEDED, action.status_detail
    row = action.artefacts.get()
    raw = row.content()
    assert (row.sha256, row.size) == (hashlib.sha256(raw).hexdigest(), len(raw))
    assert raw[100:200] not in Path(default_storage.path(row.place)).read_bytes()
    client.force_login(factories.person("mira"))
    response = client.get(f"/action-center/actions/{action.pk}/files/{row.public_id}")
    assert b"".join(response.streaming_content) == raw  # type: ignore[attr-defined]
    assert Event.objects.filter(kind=Kind.ARTEFACT_DOWNLOADED).exists()


def test_a_scan_finds_a_file_and_an_investigation_proposes_its_quarantine(
    fleet: Fleet, device: Device
) -> None:
    sha256 = fleet.put(fleet.hosts[0], "/home/ana/Downloads/tool", MARK)
    action = taken(ActionType.ANTIVIRUS_SCAN, device, scan="custom", path="/home/ana/Downloads")
    polled(action)
    assert action.execution == Execution.SUCCEEDED, action.status_detail
    found = Evidence.objects.get()
    assert (found.sha256, found.device_id, found.investigation.source) == (sha256, device.pk, "antivirus")
    housekeeping.tidy(by=BY)
    assert Action.objects.filter(type=ActionType.QUARANTINE_FILE, device=device).count() == 1


def test_another_host_key_stops_it_and_is_raised(fleet: Fleet, device: Device) -> None:
    fleet.change_key(fleet.hosts[0])

    action = taken(ActionType.ISOLATE_DEVICE, device, isolation="full")
    drain(by=BY)

    action.refresh_from_db()
    assert action.execution == Execution.CANCELLED
    assert Surprise.objects.filter(action=action).exists()
    assert fleet.ruleset(fleet.hosts[0]) == ""


def test_a_host_that_is_away_is_waited_for(fleet: Fleet, device: Device) -> None:
    fleet.cut_off(fleet.hosts[0])

    action = taken(ActionType.ISOLATE_DEVICE, device, isolation="full")
    drain(by=BY)

    action.refresh_from_db()
    assert action.execution == Execution.QUEUED
    assert action.attempts.get().error_class == "device_offline"


def test_capabilities_and_health_are_read_from_the_host(
    fleet: Fleet, real: ConnectorInstance, device: Device
) -> None:
    housekeeping.read_capabilities(BY)
    housekeeping.check_connectors(BY)
    drain(by=BY)
    binding = Binding.objects.get(device=device)
    assert binding.capabilities["isolate"]["support"] == "supported"
    assert binding.capabilities["remove_registry"]["support"] == "unsupported"
    real.refresh_from_db()
    assert real.health["detail"] == "Signed in to 1 of the hosts."


def test_the_command_enrols_a_host_whose_key_somebody_knows(fleet: Fleet, real: ConnectorInstance) -> None:
    pin, out = Pin.read(fleet.pins[1]), StringIO()
    words = ["enrol", pin.host, "--name", "web-7", "--key", str(fleet.lab.admin_key), "--json"]
    with pytest.raises(CommandError, match="another host key"):
        call_command(*words, "--fingerprint", "SHA256:" + "a" * 43)
    assert not Binding.objects.exists()

    call_command(*words, "--fingerprint", pin.fingerprint, stdout=out)

    told = json.loads(out.getvalue())
    assert told["pin"] == Binding.objects.get(device__name="web-7").remote == fleet.pins[1]
    assert ["enrolled", "actioncenter"] in told["steps"]
    enrolled = Event.objects.get(kind=Kind.CONNECTOR_CHANGED, actor="command:enrol", after__has_key="pin")
    assert enrolled.after is not None
    assert (enrolled.after["enrolled"], enrolled.after["pin"]) == ("web-7", fleet.pins[1])


def test_what_somebody_else_installed_is_enrolled_without_root(fleet: Fleet, real: ConnectorInstance) -> None:
    """By Ansible or cloud-init: one file that root runs there, twice if need be."""
    host, pin, out = fleet.hosts[1], Pin.read(fleet.pins[1]), StringIO()
    host.run("/bin/sh", "-c", f"rm -r {FOLDER} {RIGHT} {SSHD} {TRUST}")
    words = ["enrol", pin.host, "--installed", "--fingerprint", pin.fingerprint]
    with pytest.raises(CommandError, match="doesn't let us in"):
        call_command(*words)
    assert not Binding.objects.exists()

    call_command("enrol", "--script", stdout=out)
    assert SEED not in out.getvalue()
    said = [host.run("/usr/bin/python3", "-I", "-", stdin=out.getvalue().encode()) for _ in range(2)]
    call_command(*words, "--name", "web-8", stdout=StringIO())

    assert b'["wrote", "/usr/local/lib/actioncenter/helper"]' in said[0]
    assert said[1].split(b"\n") == [b'["enrolled", "actioncenter"]', b""]
    assert Binding.objects.get(device__name="web-8").remote == fleet.pins[1]
    with pytest.raises(CommandError, match="Say which host"):
        call_command("enrol")


def test_enrolled_anew_a_host_is_the_same_device_under_its_new_key_alone(
    real: ConnectorInstance, device: Device, fleet: Fleet
) -> None:
    new = Pin.read(fleet.pins[2])

    again = enrolment.register(real, new, "LAB-1", by=BY)

    assert again == device
    assert device.bindings.get().remote == str(new)
    key = device.identities.get(namespace=Namespace.HOST_KEY)
    assert key.value == f"{new.algorithm} {new.fingerprint}"


def test_the_first_real_connector_ends_full_for_who_never_chose_it(db: None) -> None:
    default = DeviceGroup.objects.get(is_default=True)
    assert (default.level, default.level_confirmed) == (AutomationLevel.FULL, False)
    chosen = factories.group("Kiosks", AutomationLevel.FULL)
    admin = factories.person("noa")

    lowered = enrolment.connector("Linux hosts", CONTROLLER, by=BY).enable(by=BY)

    default.refresh_from_db()
    chosen.refresh_from_db()
    assert lowered == [default.name]
    assert (default.level, default.level_confirmed) == (AutomationLevel.SEMI_ALL, False)
    assert chosen.level == AutomationLevel.FULL
    assert Event.objects.filter(kind=Kind.GROUP_LEVEL_LOWERED).exists()
    assert admin.notices.filter(kind="connector.first_real").exists()


def contained(device: Device) -> Action:
    draft = TargetDraft(
        kind=TargetKind.DEVICE, name=device.name, on_name=device.name, device_id=device.pk, facts={"os_family": "unknown"}
    )  # fmt: skip
    wish = Proposal(
        type=ActionType.CONTAIN_DEVICE, area=Area.DEVICE, source=Source.MANUAL_DEVICE, targets=[draft],
        decision=Decision.NOT_REQUIRED, comment="By hand",
    )  # fmt: skip
    action, _ = Action.objects.propose(wish, by=factories.person("mira").actor(proved_at=time.time()))
    return action


def test_peers_contain_a_device_that_nobody_manages(
    fleet: Fleet, real: ConnectorInstance, device: Device
) -> None:
    """Those that can, each for itself; who is away catches up, and undo reaches every one of them."""
    for place, pin in enumerate(fleet.pins[1:3], 2):
        enrolment.register(real, Pin.read(pin), f"lab-{place}", by=BY)
    housekeeping.read_capabilities(BY)
    drain(by=BY)
    stranger = Device.objects.create(name="printer", ip_addresses=list(PEER))
    hosts = fleet.hosts[:3]
    fleet.cut_off(hosts[2])

    action = contained(stranger)
    drain(by=BY)

    action.refresh_from_db()
    stranger.refresh_from_db()
    states = {each.on_name: each.state for each in action.targets.all()}
    assert states == {
        "lab-1": TargetState.SUCCEEDED,
        "lab-2": TargetState.SUCCEEDED,
        "lab-3": TargetState.IN_PROGRESS,
    }
    assert [reaches(fleet.lab.peer, host.address, 22) for host in hosts[:2]] == [False, False]

    fleet.let_in()
    action.attempts.update(next_poll_at=Now())
    action.targets.update(not_before=None)
    drain(by=BY)
    action.refresh_from_db()
    stranger.refresh_from_db()
    assert (action.execution, stranger.contained) == (Execution.SUCCEEDED, True)
    assert not any(reaches(fleet.lab.peer, host.address, 22) for host in hosts)

    undo = action.undo(by=factories.actor(factories.person("mira")), comment="known by now")
    drain(by=BY)
    undo.refresh_from_db()
    stranger.refresh_from_db()
    assert (undo.execution, stranger.contained) == (Execution.SUCCEEDED, False)
    assert all(reaches(fleet.lab.peer, host.address6, 22) for host in hosts)
