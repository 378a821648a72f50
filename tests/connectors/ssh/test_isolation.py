"""An isolated host, seen from its peer, and every way in which it could have been isolated badly."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from actioncenter.connectors.base import Continue, Json, Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.lines import Lines
from actioncenter.estate.lab import PEER, PREFIX, LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, in_force, isolation, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import connected, gets_out, listening, raw_frame_arrives, reaches, until

pytestmark = pytest.mark.hosts

FOREIGN = """
table inet mine {
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 23 drop
    }
}
"""


@pytest.mark.parametrize("family", [0, 1], ids=["v4", "v6"])
def test_an_isolated_host_talks_to_us_alone(
    fleet: Fleet, host: LabHost, connector: SshHosts, family: int
) -> None:
    address, wish = (host.address, host.address6)[family], isolation(fleet.pins[0])
    with listening(fleet.lab.peer, PEER[family]) as server:
        assert reaches(fleet.lab.peer, address, 22)
        assert gets_out(host.namespace, server)

        result = done(connector, wish)

        assert result.outcome is Outcome.SUCCEEDED
        assert not reaches(fleet.lab.peer, address, 22)
        assert not gets_out(host.namespace, server)
        assert in_force(connector, wish)

        assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
        assert reaches(fleet.lab.peer, address, 22)
        assert gets_out(host.namespace, server)


def test_what_was_connected_is_cut(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    with listening(fleet.lab.peer, PEER[0]) as server:
        near = connected(host.namespace, *server.getsockname())
        far, _ = server.accept()
        with near, far:
            far.settimeout(0.6)
            near.send(b"before")
            assert far.recv(10) == b"before"
            done(connector, isolation(fleet.pins[0]))
            with contextlib.suppress(OSError):
                near.send(b"after")
            with pytest.raises((TimeoutError, ConnectionError)):
                far.recv(10)
            assert str(server.getsockname()[1]) not in host.run("ss", "-Htn").decode()


def test_release_leaves_the_ruleset_as_it_was_to_the_byte(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    fleet.nft(host, "-f", "-", stdin=FOREIGN)
    before, wish = fleet.ruleset(host), isolation(fleet.pins[0])

    result = done(connector, wish)
    assert before in fleet.ruleset(host)
    assert fleet.ruleset(host) != before
    done(connector, undo(wish, result))

    assert fleet.ruleset(host) == before


def raw_packets_stay_in(fleet: Fleet, host: LabHost) -> None:
    assert raw_frame_arrives(host.namespace, fleet.lab.peer)
    done(fleet.connector(), isolation(fleet.pins[0]))
    assert not raw_frame_arrives(host.namespace, fleet.lab.peer)


def test_raw_packets_stay_in(fleet: Fleet, host: LabHost) -> None:
    raw_packets_stay_in(fleet, host)


@contextlib.contextmanager
def container(fleet: Fleet, host: LabHost) -> Iterator[str]:
    """A child of the host's interface in a namespace of its own, as containers have."""
    name = f"{PREFIX}-{fleet.lab.tag}-c"
    commands = [
        f"ip netns add {name}",
        f"ip -n {host.namespace} link add child0 link eth0 type macvlan mode bridge",
        f"ip -n {host.namespace} link set child0 netns {name}",
        f"ip -n {name} addr add 10.77.200.1/16 dev child0",
        f"ip -n {name} link set child0 up",
    ]
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_containers_on_its_interface_stay_in(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    with container(fleet, host) as inside, listening(fleet.lab.peer, PEER[0]) as server:
        assert gets_out(inside, server)
        done(connector, isolation(fleet.pins[0]))
        assert not gets_out(inside, server)


def test_selective_isolation_leaves_what_is_allowed(fleet: Fleet, host: LabHost) -> None:
    connector = fleet.connector(allowed=[PEER[0]])
    other = fleet.hosts[1]
    with listening(fleet.lab.peer, PEER[0]) as server:
        assert done(connector, isolation(fleet.pins[0], "selective")).outcome is Outcome.SUCCEEDED
        assert gets_out(host.namespace, server)
        assert not reaches(host.namespace, other.address, 22)
        assert not reaches(host.namespace, PEER[1], server.getsockname()[1])


def test_a_flush_by_another_tool_is_seen(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = isolation(fleet.pins[0])
    done(connector, wish)
    assert in_force(connector, wish)
    fleet.nft(host, "delete", "table", "netdev", "actioncenter")
    assert not in_force(connector, wish)
    fleet.nft(host, "flush", "ruleset")
    assert not in_force(connector, wish)


# It can't lock us out


def applied(fleet: Fleet, wish: Json) -> Json:
    """What the helper says to that call, and nothing after it."""
    connector = fleet.connector()
    with connector.lines(wish["id"]) as lines:
        assert not lines.open(fleet.pins[:1])
        (answer,) = lines.ask({fleet.pins[0]: wish}, 10).values()
    assert isinstance(answer, dict)
    return answer


def call(fleet: Fleet, name: str = "apply", **more: object) -> Json:
    wish = isolation(fleet.pins[0])
    item = {"key": "t1", "verb": "isolate", "facts": {}, "parameters": {"isolation": "full"}, "before": {}}
    return {**fleet.connector().body(name, wish.id, [item]), **more}


def test_the_helper_refuses_to_lock_its_caller_out(fleet: Fleet, host: LabHost) -> None:
    (result,) = applied(fleet, call(fleet, controllers=["192.0.2.7/32"]))["apply"]

    assert result["outcome"] == "failed"
    assert result["error"].startswith("lockout: ")
    assert fleet.ruleset(host) == ""


def unconfirmed_comes_back(fleet: Fleet, host: LabHost, patience: float = 15.0) -> None:
    wish = call(fleet, rollback_after=2)
    (result,) = applied(fleet, wish)["apply"]
    assert result["outcome"] == "succeeded"
    assert "actioncenter" in fleet.ruleset(host)
    assert not in_force(fleet.connector(), isolation(fleet.pins[0]))
    assert until(lambda: fleet.ruleset(host) == "", patience)
    assert applied(fleet, {**wish, "call": "confirm"})["confirm"] == {"confirmed": False}


def test_without_a_confirmation_it_takes_everything_back(fleet: Fleet, host: LabHost) -> None:
    unconfirmed_comes_back(fleet, host)


def helpers(host: LabHost) -> set[bytes]:
    """The numbers of the processes that are, or pretend to be, the helper."""
    lines = host.run("ps", "-e", "-o", "pid=,args=").splitlines()
    return {line.split()[0] for line in lines if b"actioncenter/helper" in line}


def test_confirmed_it_stays(fleet: Fleet, host: LabHost) -> None:
    # A host in somebody else's hands may still be busy with an earlier test.
    before, wish = helpers(host), call(fleet, rollback_after=2)
    applied(fleet, wish)
    assert applied(fleet, {**wish, "call": "confirm"})["confirm"] == {"confirmed": True}
    assert until(lambda: helpers(host) <= before)
    assert "actioncenter" in fleet.ruleset(host)
    assert applied(fleet, {**wish, "call": "confirm"})["confirm"] == {"confirmed": True}


class CutAfterApply(SshHosts):
    """Something on the way lets us through to isolate, and no more after that."""

    fleet: Fleet
    opened = 0

    def lines(self, request: str) -> Lines:
        self.opened += 1
        if self.opened == 2:
            self.fleet.cut_off(self.fleet.hosts[0])
        return super().lines(request)


def test_who_is_not_let_in_again_learns_that_it_was_taken_back(fleet: Fleet, host: LabHost) -> None:
    plain = fleet.connector(rollback_after=2)
    connector = CutAfterApply(plain.options, plain._authority)
    connector.fleet = fleet
    wish, notes = isolation(fleet.pins[0]), Notes()

    answer = connector.step(wish, None, notes)
    assert isinstance(answer, Continue)
    assert (answer.results, notes.results) == ([], {})
    assert answer.wait > 2

    assert until(lambda: fleet.ruleset(host) == "")
    fleet.let_in()
    result = done(connector, wish)
    assert result.outcome is Outcome.FAILED
    assert result.error.startswith("rolled_back: ")


# The checks above, against helpers with a mistake in them


def test_the_checks_find_a_helper_that_forgets_raw_packets(fleet: Fleet, host: LabHost) -> None:
    mistake = planted(fleet, host, "rules.py", '("netdev", netdev)', '("netdev", [])')
    with mistake, pytest.raises(AssertionError):
        raw_packets_stay_in(fleet, host)


def test_the_checks_find_a_helper_without_a_watcher(fleet: Fleet, host: LabHost) -> None:
    mistake = planted(fleet, host, "isolation.py", "    arm(call", "    _ = (call")
    with mistake, pytest.raises(AssertionError):
        unconfirmed_comes_back(fleet, host, patience=4.0)


def test_another_helper_alone_is_no_mistake(fleet: Fleet, host: LabHost) -> None:
    with planted(fleet, host, "rules.py", '"in{number}"', '"in{number}x"'):
        raw_packets_stay_in(fleet, host)
