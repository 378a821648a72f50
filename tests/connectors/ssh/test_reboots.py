"""An isolation outlives a reboot where systemd brings it back; where nothing does, that is said before and seen after.

A host of the lab can't really be rebooted. What a reboot leaves is what is on its disk: the rules are gone, the
machine has another boot id, and its systemd runs the unit it finds.
"""

import json

import pytest

from actioncenter.connectors.base import Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.booting import LINK, NAME, UNIT
from actioncenter.connectors.ssh.target.places import ISOLATION
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh import systemd
from tests.connectors.ssh.asking import done, in_force, isolation, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.test_isolation import applied, call
from tests.connectors.ssh.wires import reaches, until

pytestmark = pytest.mark.hosts


@pytest.fixture
def host(fleet: Fleet) -> LabHost:
    systemd.boot(fleet, fleet.hosts[0])
    return fleet.hosts[0]


def reboot(fleet: Fleet, host: LabHost) -> None:
    fleet.nft(host, "flush", "ruleset")
    place = fleet.file(host, ISOLATION)
    if place.exists():
        told = json.loads(place.read_text(encoding="utf-8"))
        place.write_text(json.dumps({**told, "boot": "the one before"}), encoding="utf-8")
    systemd.systemctl(host, "daemon-reload")
    if fleet.file(host, LINK).is_symlink():
        systemd.systemctl(host, "start", NAME)


def it_comes_back(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = isolation(fleet.pins[0])
    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED

    reboot(fleet, host)

    assert in_force(connector, wish)
    assert not reaches(fleet.lab.peer, host.address, 22)
    assert not reaches(fleet.lab.peer, host.address6, 22)
    assert len(fleet.acted(host, wish.id)) == 1
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert fleet.ruleset(host) == ""
    assert not fleet.file(host, UNIT).exists()
    reboot(fleet, host)
    assert fleet.ruleset(host) == ""


def test_it_comes_back_before_there_is_a_network(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    it_comes_back(fleet, host, connector)


@pytest.mark.long
def test_the_checks_find_a_helper_without_a_unit(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    mistake = planted(fleet, host, "isolation.py", "    booting.keep()\n", "")
    with mistake, pytest.raises(AssertionError):
        it_comes_back(fleet, host, connector)


@pytest.mark.long
def test_systemd_finds_nothing_wrong_with_the_unit(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    done(connector, isolation(fleet.pins[0]))
    systemd.systemctl(host, "daemon-reload")
    shown = systemd.systemctl(host, "show", "-p", "LoadState,Before,WantedBy", NAME)
    assert "LoadState=loaded" in shown
    assert "network-pre.target" in shown
    assert "WantedBy=sysinit.target" in shown
    systemd.systemctl(host, "start", NAME)
    assert len(fleet.ruleset(host).split("table ")) == 3, "started again without a reboot it changes nothing"


def test_what_nobody_confirmed_does_not_come_back(fleet: Fleet, host: LabHost) -> None:
    wish = call(fleet, rollback_after=2)
    applied(fleet, wish)
    assert not fleet.file(host, UNIT).exists()
    assert until(lambda: fleet.ruleset(host) == "")


@pytest.mark.long
def test_selective_comes_back_selective(fleet: Fleet, host: LabHost) -> None:
    connector = fleet.connector(allowed=[fleet.hosts[1].address])
    wish = isolation(fleet.pins[0], "selective")
    done(connector, wish)
    reboot(fleet, host)
    assert in_force(connector, wish)
    assert reaches(fleet.hosts[1].namespace, host.address, 22)
    assert not reaches(fleet.lab.peer, host.address, 22)


def test_without_systemd_it_says_so_before_and_shows_it_after(fleet: Fleet, connector: SshHosts) -> None:
    other, wish = fleet.hosts[1], isolation(fleet.pins[1])
    assert any("a reboot would end the isolation" in text for text in connector.preview(wish).warnings)
    assert done(connector, wish).outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert not fleet.file(other, UNIT).exists()
    fleet.nft(other, "flush", "ruleset")
    assert not in_force(connector, wish)
