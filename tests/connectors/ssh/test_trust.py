"""Who may do what: certificates, the one command, the one right, the pinned key, the helper's own hash."""

import asyncio
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import asyncssh
import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Permanent, Support, Unsupported
from actioncenter.connectors.ssh import authority, enrolling, network, packing
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.estate.lab import CONTROLLER, PEER, LabHost
from tests.connectors.ssh.asking import done, isolation, quarantine
from tests.connectors.ssh.fleet import SEED, USER, Fleet

pytestmark = pytest.mark.hosts


def sign_in(
    fleet: Fleet, user: str = USER, sources: Sequence[str] = CONTROLLER, seed: str = SEED, command: str = "id"
) -> str:
    """With a certificate of ours; what came back. Raises asyncssh.PermissionDenied."""
    credentials = Authority(seed).sign("a test", USER, sources)

    async def run() -> str:
        pin = Pin.read(fleet.pins[0])
        async with asyncssh.connect(
            pin.host, username=user, client_keys=[credentials], known_hosts=None, config=None, agent_path=None
        ) as connection:
            done = await connection.run(command, input='{"id": "x"}')
            return str(done.stdout)

    def inside() -> str:
        network.enter(fleet.lab.management)
        return asyncio.run(run())

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


@pytest.mark.parametrize("command", ["id", "/bin/sh -i", "cat /etc/shadow", ""])
def test_whatever_is_asked_for_the_helper_answers(fleet: Fleet, command: str) -> None:
    assert sign_in(fleet, command=command).startswith('{"error": {"code": "request"')


def test_an_authority_of_somebody_else_signs_nobody_in(fleet: Fleet) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        sign_in(fleet, seed="0bad" * 16)


@pytest.mark.parametrize("user", ["root", "ana"])
def test_a_certificate_is_for_one_account(fleet: Fleet, user: str) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        sign_in(fleet, user=user)


def test_a_certificate_is_for_one_place(fleet: Fleet) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        sign_in(fleet, sources=[PEER[0]])


def test_a_certificate_is_for_five_minutes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "MINUTES", -1)
    monkeypatch.setattr(authority, "SKEW", 600)
    with pytest.raises(asyncssh.PermissionDenied):
        sign_in(fleet)


def test_the_account_may_run_one_program_without_arguments(host: LabHost) -> None:
    def may(*command: str) -> bool:
        try:
            host.run(
                "setpriv",
                "--reuid",
                USER,
                "--regid",
                USER,
                "--clear-groups",
                "/usr/bin/sudo.real",
                "-n",
                *command,
            )
        except subprocess.CalledProcessError:
            return False
        return True

    assert may(packing.INSTALLED)
    assert not may("id")
    assert not may(packing.INSTALLED, "--help")
    assert not may("/usr/bin/python3", packing.INSTALLED)


def test_the_hosts_log_names_the_action(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = isolation(fleet.pins[0])
    done(connector, wish)
    assert f"ID {wish.id} " in fleet.lab.log(host)


def test_another_key_is_another_host(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    fleet.change_key(host)
    before = len(fleet.lab.log(host))
    with pytest.raises(Permanent) as caught:
        done(connector, isolation(fleet.pins[0]))
    assert caught.value.code == "identity_changed"
    assert "certificate ID" not in fleet.lab.log(host)[before:]


def test_a_helper_that_was_changed_does_nothing(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    path = fleet.file(host, packing.INSTALLED)
    path.write_bytes(path.read_bytes() + b"\n")
    sha256 = fleet.put(host, "/tmp/tool", b"a tool")
    result = done(connector, quarantine(fleet.pins[0], "/tmp/tool", sha256))
    assert result.error.startswith("refused: It refused (helper)")
    assert fleet.file(host, "/tmp/tool").exists()


def test_enrolling_again_changes_nothing(fleet: Fleet, host: LabHost) -> None:
    way = enrolling.Way("root", str(fleet.lab.admin_key), fleet.lab.management)
    pin = enrolling.shown_key(host.address, 22, fleet.lab.management)
    assert str(pin) == fleet.pins[0]
    assert enrolling.enrol(pin, way, USER, Authority(SEED)) == [("enrolled", USER)]


def test_enrolling_tells_nothing_to_another_host(fleet: Fleet) -> None:
    way = enrolling.Way("root", str(fleet.lab.admin_key), fleet.lab.management)
    other = Pin.read(fleet.pins[1])
    pin = Pin(Pin.read(fleet.pins[0]).host, 22, other.algorithm, other.fingerprint)
    with pytest.raises(Permanent, match="another host key"):
        enrolling.enrol(pin, way, USER, Authority(SEED))


@pytest.mark.parametrize(
    "remote",
    [
        "", "10.0.0.1", "10.0.0.1@22 ssh-ed25519 SHA256:short", f"-oProxyCommand=x@22 ssh-ed25519 SHA256:{'a' * 43}",
        f"10.0.0.1@0 ssh-ed25519 SHA256:{'a' * 43}", f"10.0.0.1@22 none SHA256:{'a' * 43}",
        f"a b@22 ssh-ed25519 SHA256:{'a' * 43}", f"x;id@22 ssh-ed25519 SHA256:{'a' * 43}",
    ],
)  # fmt: skip
def test_a_reference_that_no_enrolment_wrote_is_declined(connector: SshHosts, remote: str) -> None:
    with pytest.raises(Unsupported):
        connector.preview(isolation(remote))
    found = connector.capabilities(TargetKind.DEVICE, remote)
    assert found[ActionType.ISOLATE_DEVICE].support is Support.UNSUPPORTED


def test_what_a_host_lacks_it_says(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    host.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
    found = connector.capabilities(TargetKind.DEVICE, fleet.pins[0])
    assert found[ActionType.ISOLATE_DEVICE].reason == "nftables isn't installed."
    assert found[ActionType.QUARANTINE_FILE].support is Support.SUPPORTED
    assert done(connector, isolation(fleet.pins[0])).error.startswith("no_nft: ")
