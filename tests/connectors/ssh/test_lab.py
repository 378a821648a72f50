"""Real hosts come and go without a trace, whatever happens to who started them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actioncenter.connectors.ssh import network
from actioncenter.estate import lab
from actioncenter.estate.lab import Lab
from actioncenter.estate.services import ServiceFailed, ServiceMissing
from tests.architecture.tree import ROOT
from tests.connectors.ssh.fleet import Fleet

STARTS_ONE = """
import sys, time
from actioncenter.estate import lab
with lab.owned("k", 1) as up:
    print(up.tag, up.hosts[0].pid, flush=True)
    time.sleep(600)
"""


def names(tag: str) -> list[str]:
    return [path.name for path in network.NAMESPACES.glob(f"{lab.PREFIX}-{tag}-*")]


@pytest.mark.hosts
def test_nothing_outlives_a_killed_process(hosts_service: Lab) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        tag, pid = starter.stdout.readline().split()
        assert len(names(tag)) == 3
        starter.send_signal(signal.SIGKILL)
    lab.sweep()

    assert names(tag) == []
    assert not Path(f"/proc/{pid}/ns/net").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text()
    assert not (lab.STATE / tag).exists()
    assert hosts_service.names(), "only what is dead was removed"


@pytest.mark.hosts
def test_this_machine_neither_sees_nor_reaches_them(fleet: Fleet) -> None:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "bridge0" not in links
    assert "port1" not in links
    # Something else may answer under that address out there, but not the host.
    with contextlib.suppress(OSError), socket.create_connection((fleet.hosts[0].address, 22), 1) as line:
        assert not line.recv(4).startswith(b"SSH-")


@pytest.mark.hosts
def test_a_second_one_of_a_name_is_refused_and_the_first_goes_on(hosts_service: Lab) -> None:
    with pytest.raises(ServiceFailed, match="up already"):
        Lab(hosts_service.tag).up(1)
    assert hosts_service.hosts[0].run("hostname") == b"lab-1\n"


@pytest.mark.hosts
def test_down_twice_is_down(hosts_service: Lab) -> None:
    nothing = Lab("nothing")
    nothing.down()
    nothing.down()
    assert nothing.read() == []


def test_what_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ServiceMissing) as caught:
        Lab("none").up(1)
    assert caught.value.package == "iproute2 nftables openssh-server sudo util-linux"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ServiceMissing, match="Root"):
        Lab("none").up(1)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("required", "status", "expected"),
    [
        ("0", 0, "Skipped 1 test. To run all: apt install iproute2 nftables sudo util-linux"),
        ("1", 1, "skipped, although every service is required: What test hosts are made of"),
    ],
)
@pytest.mark.hosts
def test_a_machine_without_the_programs(required: str, status: int, expected: str, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path), "ACTIONCENTER_REQUIRE_SERVICES": required}
    command = [sys.executable, "-m", "pytest", "-k", "five_minutes", "tests/connectors/ssh/test_trust.py"]

    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode == status
    assert expected in result.stdout
