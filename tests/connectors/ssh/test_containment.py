"""A device that nobody manages is refused by those that somebody does, on every address it has."""

import uuid
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Continue, Outcome, Request, Target
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import CONTROLLER, PEER, LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, in_force, request, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import gets_out, listening, reaches

pytestmark = pytest.mark.hosts

TABLE = ("inet", "actioncenter_contained")


def containing(fleet: Fleet, *addresses: str, place: int = 0) -> Request:
    facts = {"name": "the peer", "addresses": list(addresses or PEER)}
    return request(ActionType.CONTAIN_DEVICE, fleet.pins[place], facts)


def it_is_refused(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    before, wish = fleet.ruleset(host), containing(fleet)
    addresses = (host.address, host.address6)
    assert all(reaches(fleet.lab.peer, each, 22) for each in addresses)

    result = done(connector, wish)

    assert result.outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert not any(reaches(fleet.lab.peer, each, 22) for each in addresses)
    for address in PEER:
        with listening(fleet.lab.peer, address) as server:
            assert not gets_out(host.namespace, server)
    assert reaches(fleet.hosts[1].namespace, host.address, 22)
    back = undo(wish, result)
    assert done(connector, back).outcome is Outcome.SUCCEEDED

    assert in_force(connector, back)
    assert all(reaches(fleet.lab.peer, each, 22) for each in addresses)
    assert fleet.ruleset(host) == before


def test_it_is_refused_on_every_address_and_nobody_else_is(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    it_is_refused(fleet, host, connector)


@pytest.mark.long
def test_the_checks_find_a_helper_that_forgets_ipv6(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    mistake = planted(fleet, host, "containment.py", "@addresses6 drop", "@addresses6 accept")
    with mistake, pytest.raises(AssertionError):
        it_is_refused(fleet, host, connector)


def test_what_another_action_contains_stays(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    first, second = containing(fleet), containing(fleet, PEER[0], "10.77.9.9")
    results = [done(connector, each) for each in (first, second)]
    assert [each.outcome for each in results] == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]

    done(connector, undo(first, results[0]))

    assert in_force(connector, second)
    assert not reaches(fleet.lab.peer, host.address, 22)
    assert reaches(fleet.lab.peer, host.address6, 22)
    done(connector, undo(second, results[1]))
    assert fleet.ruleset(host) == ""


@pytest.mark.parametrize("how", [("flush", "table"), ("delete", "table"), ("flush", "chain")])
@pytest.mark.sampled(1)
def test_a_flush_by_another_tool_is_seen(
    fleet: Fleet, host: LabHost, connector: SshHosts, how: tuple[str, str]
) -> None:
    wish = containing(fleet)
    done(connector, wish)
    assert in_force(connector, wish)
    fleet.nft(host, *how, *TABLE, *(["forward"] if how[1] == "chain" else []))
    assert not in_force(connector, wish)


@pytest.mark.parametrize(
    ("addresses", "code"),
    [
        ([CONTROLLER[0]], "lockout"),
        ([f"::ffff:{CONTROLLER[0]}"], "lockout"),
        (["10.77.0.0/16"], "address"),
        (["; flush ruleset"], "address"),
        (["127.0.0.1"], "address"),
        (["ff02::1"], "address"),
        (["0.0.0.0"], "address"),
        ([], "address"),
        (["10.77.1.2"], "own"),
        (["fd77::1:1"], "own"),
        ([f"10.1.1.{each}" for each in range(65)], "address"),
    ],
    ids=[
        "ours",
        "ours in disguise",
        "network",
        "rule",
        "loopback",
        "multicast",
        "any",
        "none",
        "own v4",
        "own v6",
        "many",
    ],
)
@pytest.mark.sampled(2)
def test_refusals_name_their_reason(
    fleet: Fleet, host: LabHost, connector: SshHosts, addresses: list[str], code: str
) -> None:
    wish = request(ActionType.CONTAIN_DEVICE, fleet.pins[0], {"addresses": addresses})
    assert done(connector, wish).error.startswith(f"{code}: ")
    assert fleet.ruleset(host) == ""


def test_peers_have_a_result_each_and_who_was_away_catches_up(fleet: Fleet, connector: SshHosts) -> None:
    targets = [
        Target(f"p{place}", TargetKind.DEVICE, pin, {"addresses": list(PEER)})
        for place, pin in enumerate(fleet.pins[:3])
    ]
    wish = Request(str(uuid.uuid4()), ActionType.CONTAIN_DEVICE, targets)
    fleet.cut_off(fleet.hosts[1])

    answer = connector.step(wish, None, Notes())

    assert isinstance(answer, Continue)
    assert {each.key: each.outcome for each in answer.results} == dict.fromkeys(
        ["p0", "p2"], Outcome.SUCCEEDED
    )
    assert (answer.done, answer.total) == (2, 3)
    assert connector.verify(wish).in_force == {"p0": True, "p1": None, "p2": True}
    fleet.let_in()
    rest = connector.step(replace(wish, targets=targets[1:2]), answer.cursor, Notes())
    assert [each.outcome for each in rest.results] == [Outcome.SUCCEEDED]
    assert all(connector.verify(wish).in_force.values())


@pytest.mark.long
def test_isolated_and_containing_it_can_be_released_from_each(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = containing(fleet)
    result = done(connector, wish)
    isolation = request(ActionType.ISOLATE_DEVICE, fleet.pins[0], isolation="full")
    isolated = done(connector, isolation)
    assert isolated.outcome is Outcome.SUCCEEDED
    assert done(connector, undo(isolation, isolated)).outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
