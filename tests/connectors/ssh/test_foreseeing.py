"""What a preview says would stop: connections and programs of that moment, and never our own connection."""

import contextlib
from typing import Any

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Plan
from actioncenter.connectors.ssh import stopping
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import PEER, LabHost
from tests.connectors.ssh.asking import isolation, request
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.wires import connected, listening

pytestmark = pytest.mark.hosts


def said(plan: Plan, part: str) -> str:
    return next((text for text in plan.changes if part in text), "")


def test_isolating_ends_what_is_connected_and_hides_what_listens(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    quiet = connector.preview(isolation(fleet.pins[0]))
    assert said(quiet, "no connection is open now")
    assert quiet.affected == []
    with contextlib.ExitStack() as held:
        for address in (host.address, host.address6):
            server = held.enter_context(listening(host.namespace, address))
            port = server.getsockname()[1]
            held.enter_context(connected(fleet.lab.peer, address, port))
            near, _ = server.accept()
            held.enter_context(near)
        busy = connector.preview(isolation(fleet.pins[0]))
    assert f"2 connections of now would end, with {PEER[0]}, {PEER[1]}" in said(busy, "would end")
    assert str(port) in said(busy, "what listens there on port")
    assert " 22" not in said(busy, "what listens there")
    assert [dict(each) for each in busy.affected] == [{"kind": "connection", "count": 2}]
    assert busy.digest == quiet.digest, "an approval isn't bound to what changes by the second"


def test_selective_isolation_spares_what_is_allowed(fleet: Fleet, host: LabHost) -> None:
    connector = fleet.connector(allowed=[PEER[0]])
    with listening(host.namespace, host.address) as server:
        port = server.getsockname()[1]
        with connected(fleet.lab.peer, host.address, port), server.accept()[0]:
            assert said(connector.preview(isolation(fleet.pins[0], "selective")), "no connection is open")
            assert said(connector.preview(isolation(fleet.pins[0])), "1 connection of now")


def test_containing_counts_what_a_peer_has_with_it(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = request(ActionType.CONTAIN_DEVICE, fleet.pins[0], {"name": "pc-7", "addresses": [PEER[0]]})
    with listening(host.namespace, host.address) as server:
        port = server.getsockname()[1]
        with connected(fleet.lab.peer, host.address, port), server.accept()[0]:
            assert said(connector.preview(wish), f"1 connection of now would end, with {PEER[0]}")
    other = request(ActionType.CONTAIN_DEVICE, fleet.pins[0], {"name": "pc-8", "addresses": ["10.77.9.9"]})
    assert said(connector.preview(other), "no connection is open now")


def test_restricting_names_what_runs_from_there(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = request(ActionType.RESTRICT_EXECUTION, fleet.pins[0])
    assert not said(connector.preview(wish), "could not be started again")
    path = "/home/ana/Downloads/tool"
    fleet.program(host, path, b"tool")
    fleet.start(host, path, "1000")
    assert path in said(connector.preview(wish), "1 program of now could not be started again")


@pytest.mark.parametrize(
    "told",
    [None, [], 7, {"connections": -1, "with": "x"}, {"connections": True}, {"listens": [None, {}]},
     {"programs": 10**9, "from": [["x"]]}],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(told: Any) -> None:
    stops = stopping.read(told)
    assert (list(stops.sentences("pc")), stops.affected()) == ([], [])


def test_many_and_long_ones_are_cut() -> None:
    (text,) = stopping.read({"programs": 900, "from": ["x" * 5000] * 900}).sentences("pc")
    assert len(text) < 2500
