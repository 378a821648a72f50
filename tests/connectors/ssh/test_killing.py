"""The judged process ends, and no other that has its number."""

from datetime import UTC, datetime, timedelta

import pytest

from actioncenter.connectors.base import Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.asking import done, in_force, killing
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts

PATH = "/home/ana/Downloads/tool"


@pytest.fixture
def running(fleet: Fleet, host: LabHost) -> tuple[int, str]:
    """Number and hash of something that waits."""
    sha256 = fleet.program(host, PATH)
    fleet.start(host, PATH, "1000")
    assert until(lambda: len(fleet.programs(host, sha256)) == 1)
    return fleet.programs(host, sha256)[0], sha256


def test_it_ends_by_its_hash_or_by_when_it_began(
    fleet: Fleet, host: LabHost, connector: SshHosts, running: tuple[int, str]
) -> None:
    pid, sha256 = running
    began = datetime.now(UTC).isoformat()
    for facts in (
        {"sha256": "e" * 64},
        {"created": "2026-01-01T00:00:00Z"},
        {"sha256": sha256, "created": "2001-01-01"},
    ):
        assert done(connector, killing(fleet.pins[0], pid=pid, **facts)).outcome is Outcome.GONE
    assert fleet.programs(host, sha256) == [pid]

    wish = killing(fleet.pins[0], pid=pid, created=began)
    assert not in_force(connector, wish)
    assert done(connector, wish).outcome is Outcome.SUCCEEDED

    assert fleet.programs(host, sha256) == []
    assert in_force(connector, wish)


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"pid": 7}, "no_identity"), ({"sha256": "e" * 64}, "no_pid"), ({"pid": "7", "sha256": "e" * 64}, "no_pid"),
     ({"pid": -1, "sha256": "e" * 64}, "no_pid")],
)  # fmt: skip
def test_a_number_alone_names_nothing(
    fleet: Fleet, connector: SshHosts, facts: dict[str, object], code: str
) -> None:
    assert done(connector, killing(fleet.pins[0], **facts)).error.startswith(f"{code}: ")


def test_a_time_that_is_none_kills_nothing(
    fleet: Fleet, host: LabHost, connector: SshHosts, running: tuple[int, str]
) -> None:
    assert done(connector, killing(fleet.pins[0], pid=running[0], created="soon")).error.startswith("time: ")
    late = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert done(connector, killing(fleet.pins[0], pid=running[0], created=late)).outcome is Outcome.GONE
    assert fleet.programs(host, running[1]) == [running[0]]


def test_the_hosts_own_sshd_stays(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    daemon = int(fleet.file(host, "/run/sshd.pid").read_text(encoding="ascii"))
    sha256 = fleet.put(host, "/tmp/sshd", fleet.file(host, "/usr/sbin/sshd").read_bytes())
    assert done(connector, killing(fleet.pins[0], pid=daemon, sha256=sha256)).error.startswith("protected: ")
