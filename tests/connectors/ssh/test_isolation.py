"""An isolated host, seen from its peer, and every way in which it could have been isolated badly."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from actioncenter.connectors.base import Continue, Json, Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.lines import Lines
from actioncenter.connectors.ssh.target.places import ISOLATION
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


# Interfaces come and go


@contextlib.contextmanager
def extra(host: LabHost) -> Iterator[None]:
    """One more interface, which may be gone or have another name by the end."""
    link(host, "add extra0 type bridge")
    try:
        yield
    finally:
        for name in ("extra0", "other0"):
            with contextlib.suppress(subprocess.CalledProcessError):
                link(host, f"delete {name}")


def link(host: LabHost, words: str) -> None:
    subprocess.run(["ip", "-n", host.namespace, "link", *words.split()], check=True, capture_output=True)


def gone(fleet: Fleet, host: LabHost) -> None:
    link(host, "delete extra0")


def gone_with_its_chains(fleet: Fleet, host: LabHost) -> None:
    """As kernels before 6.16 take them along; `extra0` was the second one."""
    link(host, "delete extra0")
    for hook in ("in", "out"):
        if f"chain {hook}1" in fleet.ruleset(host):
            fleet.nft(host, "delete", "chain", "netdev", "actioncenter", f"{hook}1")


def renamed(fleet: Fleet, host: LabHost) -> None:
    link(host, "set extra0 name other0")


@pytest.mark.parametrize("change", [gone, gone_with_its_chains, renamed], ids=lambda change: change.__name__)
def test_it_is_released_whatever_became_of_its_interfaces(
    fleet: Fleet, host: LabHost, connector: SshHosts, change: Callable[[Fleet, LabHost], None]
) -> None:
    fleet.nft(host, "-f", "-", stdin=FOREIGN)
    before, wish = fleet.ruleset(host), isolation(fleet.pins[0])
    with extra(host):
        result = done(connector, wish)
        assert in_force(connector, wish)
        change(fleet, host)
        back = undo(wish, result)
        assert done(connector, back).outcome is Outcome.SUCCEEDED
        assert fleet.ruleset(host) == before
        assert in_force(connector, back)


def test_without_an_interface_that_is_gone_it_still_holds(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = isolation(fleet.pins[0])
    with extra(host):
        done(connector, wish)
        gone_with_its_chains(fleet, host)
        assert in_force(connector, wish)


def test_a_new_interface_is_seen_and_isolating_again_covers_it(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    first, again = isolation(fleet.pins[0]), isolation(fleet.pins[0])
    done(connector, first)
    with extra(host):
        assert not in_force(connector, first)
        seen = connector.verify(first).detail["t1"]
        assert (seen["isolation"], seen["uncovered"]) == ("partial", ["extra0"])
        assert done(connector, again).outcome is Outcome.SUCCEEDED
        assert in_force(connector, first)
        assert done(connector, isolation(fleet.pins[0])).outcome is Outcome.ALREADY


def test_a_strangers_rule_is_not_released_with_what_is_left(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = isolation(fleet.pins[0])
    with extra(host):
        result = done(connector, wish)
        gone_with_its_chains(fleet, host)
        fleet.nft(host, "insert", "rule", "netdev", "actioncenter", "in0", "accept")
        assert connector.verify(wish).detail["t1"]["isolation"] == "changed"
        assert done(connector, undo(wish, result)).error.startswith("conflict: ")


def test_what_somebody_left_of_ours_is_released(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = isolation(fleet.pins[0])
    result = done(connector, wish)
    fleet.nft(host, "delete", "table", "netdev", "actioncenter")
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert fleet.ruleset(host) == ""


def test_what_an_older_helper_isolated_is_released(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """It wrote down one hash of everything."""
    wish = isolation(fleet.pins[0])
    result = done(connector, wish)
    place = fleet.file(host, ISOLATION)
    known = json.loads(place.read_text(encoding="utf-8"))
    del known["parts"]
    place.write_text(json.dumps(known), encoding="utf-8")
    assert in_force(connector, wish)
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED


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
