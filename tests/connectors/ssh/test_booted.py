"""A host that begins anew: a real systemd, as first process and with a boot id of its own, finds what was left on its disk."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actioncenter.connectors.base import Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target import booting
from actioncenter.estate.lab import LabHost
from tests.conftest import skip_for
from tests.connectors.ssh import systemd
from tests.connectors.ssh.asking import done, in_force, isolation, undo
from tests.connectors.ssh.fleet import UNITS, Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import reaches, until

pytestmark = pytest.mark.hosts

SCRIPT = Path(__file__).with_name("booting.sh")
DISK = ("etc/systemd/system", "var/lib/actioncenter", "usr/local/lib/actioncenter")
TARGET = """[Unit]
Requires=sysinit.target
Wants=lab-network.service
After=sysinit.target lab-network.service
"""
# As what configures the network is ordered: it tells what the firewall held when it could first have begun.
NETWORK = """[Unit]
DefaultDependencies=no
Wants=network-pre.target
After=network-pre.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'nft list ruleset > /run/told/draft; cat /proc/sys/kernel/random/boot_id > /run/told/boot'
ExecStart=/bin/mv /run/told/draft /run/told/rules
"""


@pytest.fixture
def host(request: pytest.FixtureRequest, fleet: Fleet) -> LabHost:
    if shutil.which("systemd-nspawn") is None:
        skip_for(
            request, "systemd-container", "systemd-nspawn is not installed (apt install systemd-container)"
        )
    systemd.boot(fleet, fleet.hosts[0])
    for name, text in (("lab-boot.target", TARGET), ("lab-network.service", NETWORK)):
        systemd.put_unit(fleet, fleet.hosts[0], name, text)
    return fleet.hosts[0]


@contextlib.contextmanager
def booted(fleet: Fleet, host: LabHost, folder: Path) -> Iterator[str]:
    """The rules that were in force before there was a network. A reboot takes all rules away, and nothing from the disk."""
    fleet.nft(host, "flush", "ruleset")
    disk, told = folder / "disk.tar", folder / "told"
    for each in (folder / "boot", told):
        each.mkdir(parents=True)
    there = [name for name in DISK if fleet.file(host, f"/{name}").exists()]
    disk.write_bytes(host.run("tar", "-c", "-C", "/", *there))
    words = [str(folder / "boot"), str(disk), f"/run/netns/{host.namespace}", str(told)]
    alone = ["unshare", "--mount", "--propagation", "private", "/bin/sh", str(SCRIPT)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*alone, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            up = until(lambda: (told / "rules").exists() or process.poll() is not None, 60)
            assert up, (folder / "log").read_text(errors="replace")
            ours = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
            assert (told / "boot").read_text(encoding="ascii") != ours
            yield (told / "rules").read_text(encoding="utf-8")
        finally:
            # Twice is at once, with all that runs there.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.terminate()
            process.wait()


def isolated_again(fleet: Fleet, host: LabHost, connector: SshHosts, folder: Path) -> None:
    wish = isolation(fleet.pins[0])
    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    with booted(fleet, host, folder / "isolated") as rules:
        assert "table inet actioncenter" in rules
        assert "table netdev actioncenter" in rules
        assert "policy drop" in rules
        assert not reaches(fleet.lab.peer, host.address, 22)
        assert not reaches(fleet.lab.peer, host.address6, 22)
        assert in_force(connector, wish)
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    with booted(fleet, host, folder / "released") as rules:
        assert rules == ""
        assert reaches(fleet.lab.peer, host.address, 22)


def test_an_isolated_host_is_isolated_before_it_has_a_network(
    fleet: Fleet, host: LabHost, connector: SshHosts, tmp_path: Path
) -> None:
    isolated_again(fleet, host, connector, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Before=network-pre.target\n", "After=lab-network.service\n"),
        ("sysinit.target.wants", "nobody.wants"),
    ],
    ids=["too late", "never"],
)
def test_the_checks_find_a_unit_that_comes_too_late(
    fleet: Fleet, host: LabHost, connector: SshHosts, tmp_path: Path, right: str, wrong: str
) -> None:
    with planted(fleet, host, "booting.py", right, wrong), pytest.raises(AssertionError):
        isolated_again(fleet, host, connector, tmp_path)


def test_a_unit_is_left_on_the_disk_only_while_it_is_isolated(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = isolation(fleet.pins[0])
    result = done(connector, wish)
    assert fleet.file(host, f"{UNITS}/{booting.NAME}").exists()
    done(connector, undo(wish, result))
    assert not fleet.file(host, f"{UNITS}/{booting.NAME}").exists()
