"""A host is let go for good: nothing of ours gets in any more, and it was proved by trying."""

from collections.abc import Callable

import asyncssh
import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Done, Outcome, Permanent, Request, Unknown
from actioncenter.connectors.ssh import installer
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.lines import Lines
from actioncenter.connectors.ssh.target import offboarding
from actioncenter.connectors.ssh.target.places import ACTED
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, in_force, isolation, quarantine, request, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.test_trust import sign_in

pytestmark = pytest.mark.hosts

OURS = (installer.HELPER, installer.TRUST, installer.SSHD, installer.RIGHT)


def offboarding_of(fleet: Fleet) -> Request:
    return request(ActionType.OFFBOARD_DEVICE, fleet.pins[0])


def test_both_sides_know_the_same_places() -> None:
    assert (offboarding.RIGHT, offboarding.SSHD, offboarding.TRUST) == (
        installer.RIGHT,
        installer.SSHD,
        installer.TRUST,
    )
    assert offboarding.FOLDER == installer.FOLDER


def nobody_gets_in(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = offboarding_of(fleet)
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert result.outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    with pytest.raises(asyncssh.PermissionDenied):
        sign_in(fleet)
    assert not any(fleet.file(host, path).exists() for path in OURS)
    assert "offboarded" in fleet.file(host, ACTED).read_text(encoding="utf-8"), "what was done stays there"
    with pytest.raises(Permanent) as caught:
        done(connector, isolation(fleet.pins[0]))
    assert caught.value.code == "not_let_in"


def test_nobody_of_ours_gets_in_any_more(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    nobody_gets_in(fleet, host, connector)


@pytest.mark.long
def test_a_host_that_only_says_so_is_not_believed(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """Also what shows that the check above can fail."""
    wrong = '    return {"outcome": "succeeded", "after": {}}\n    for path in (RIGHT, SSHD):'
    with planted(fleet, host, "offboarding.py", "    for path in (RIGHT, SSHD):", wrong):
        wish = offboarding_of(fleet)
        result = done(connector, wish)
        assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, "still_let_in")
        assert not in_force(connector, wish)


def isolated(fleet: Fleet, connector: SshHosts) -> Request:
    return isolation(fleet.pins[0])


def full_vault(fleet: Fleet, connector: SshHosts) -> Request:
    path = "/home/ana/Downloads/tool"
    return quarantine(fleet.pins[0], path, fleet.put(fleet.hosts[0], path, b"a tool"))


def restricted(fleet: Fleet, connector: SshHosts) -> Request:
    return request(ActionType.RESTRICT_EXECUTION, fleet.pins[0])


def containing(fleet: Fleet, connector: SshHosts) -> Request:
    return request(ActionType.CONTAIN_DEVICE, fleet.pins[0], {"addresses": ["10.77.9.9"]})


def without_a_task(fleet: Fleet, connector: SshHosts) -> Request:
    fleet.put(fleet.hosts[0], "/etc/cron.d/evil", b"* * * * * root /tmp/x\n")
    return request(ActionType.REMOVE_TASK, fleet.pins[0], {"name": "/etc/cron.d/evil"})


@pytest.mark.parametrize(
    ("make", "word"),
    [(isolated, "isolation"), (full_vault, "1 in quarantine"), (restricted, "restricted code execution"),
     (containing, "containment of other devices"), (without_a_task, "1 services, tasks or modules")],
)  # fmt: skip
@pytest.mark.sampled(1)
def test_not_while_something_of_ours_is_in_force(
    fleet: Fleet, host: LabHost, connector: SshHosts, make: Callable[[Fleet, SshHosts], Request], word: str
) -> None:
    first = make(fleet, connector)
    before = done(connector, first)
    wish = offboarding_of(fleet)
    assert any(word in text for text in connector.preview(wish).warnings)

    assert done(connector, wish).error == f"in_force: First has to be undone: {word}"

    assert not in_force(connector, wish)
    assert all(fleet.file(host, path).exists() for path in OURS)
    assert done(connector, undo(first, before)).outcome is Outcome.SUCCEEDED
    assert done(connector, offboarding_of(fleet)).outcome is Outcome.SUCCEEDED


def test_with_the_wrong_key_no_host_counts_as_offboarded(fleet: Fleet, host: LabHost) -> None:
    """That we aren't let in may have other reasons, so it is no success of somebody who never was."""
    with pytest.raises(Permanent) as caught:
        fleet.connector("0bad" * 16).step(offboarding_of(fleet), None, Notes())
    assert caught.value.code == "not_let_in"
    assert all(fleet.file(host, path).exists() for path in OURS)


class Forgetful(SshHosts):
    """The host is gone from the network right after it said good-bye."""

    fleet: Fleet
    opened = 0

    def lines(self, request: str) -> Lines:
        self.opened += 1
        if self.opened == 2:
            self.fleet.cut_off(self.fleet.hosts[0])
        return super().lines(request)


def test_unproved_it_is_unknown_until_it_was_looked_at(fleet: Fleet, host: LabHost) -> None:
    plain = fleet.connector()
    connector = Forgetful(plain.options, plain._authority)
    connector.fleet = fleet
    wish, notes = offboarding_of(fleet), Notes()
    with pytest.raises(Unknown):
        connector.step(wish, None, notes)
    assert notes.results == {}
    fleet.let_in()

    found = connector.lookup(wish)

    assert isinstance(found, Done)
    assert [each.outcome for each in found.results] == [Outcome.SUCCEEDED]
