"""Hosts in somebody else's hands: whatever they answer, we neither believe, nor wait for ever, nor drown."""

import resource
import time
from dataclasses import replace

import pytest

from actioncenter.connectors import base
from actioncenter.connectors.base import OWN_FAULTS, Continue, Done, Outcome, Request, Transient, Unknown
from actioncenter.connectors.ssh import answers, lines
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, isolation, quarantine
from tests.connectors.ssh.fleet import Fleet

pytestmark = pytest.mark.hosts

SECONDS = 1.0
ANSWERS = {
    "endless": "exec cat /dev/zero",
    "silent": "exec sleep 1000",
    "slow": 'while :; do printf x; sleep 0.2; done',
    "nothing": "exit 0",
    "no JSON": "echo hello",
    "a list": "echo '[]'",
    "deep": "/usr/bin/python3 -c \"print('[' * 900000)\"",
    "a huge number": "/usr/bin/python3 -c \"print('9' * 900000)\"",
    "another request": 'cat >/dev/null; echo \'{"id": "x", "nonce": "y", "helper": "z", "apply": []}\'',
}  # fmt: skip
# As the right helper would, but for what is set at the end.
LIAR = """exec /usr/bin/python3 -c '
import json, sys
call = json.load(sys.stdin)
base = {"id": call["id"], "nonce": call["nonce"], "helper": call["helper"]}
print(json.dumps({**base, "observe": [], call["call"]: %s}))
'"""


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_answer_is_no_answer(
    fleet: Fleet, host: LabHost, connector: SshHosts, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr("actioncenter.connectors.ssh.connector.QUICK", SECONDS)
    fleet.answers_by(host, answer)
    wish, notes = replace(isolation(fleet.pins[0]), max_seconds=SECONDS), Notes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(Unknown):
        connector.step(wish, None, notes)
    with pytest.raises(Transient) as caught:
        connector.preview(wish)

    assert caught.value.offline, "one bad host must not open the circuit of all"
    assert (notes.intents, notes.results) == (["t1"], {})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


LIES = {
    "of other targets": '[{"key": "t9", "outcome": "succeeded", "before": {}, "after": {}}]',
    "of no outcome": '[{"key": "t1", "outcome": "splendid", "before": {}, "after": {}}]',
    "of no kind": '[{"key": "t1", "outcome": "succeeded", "before": [], "after": 7}]',
    "too large": '[{"key": "t1", "outcome": "succeeded", "before": {"x": "x" * 40000}, "after": {}}]',
    "not a list": '{"t1": "succeeded"}',
    "a number as key": '[{"key": 1, "outcome": "succeeded", "before": {}, "after": {}}, 5, None]',
    "a list as key": '[{"key": [], "outcome": "succeeded", "before": {}, "after": {}}]',
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_what_makes_no_sense_leaves_it_unknown(
    fleet: Fleet, host: LabHost, connector: SshHosts, lie: str
) -> None:
    fleet.answers_by(host, LIAR % lie)
    notes = Notes()
    with pytest.raises(Unknown):
        connector.step(quarantine(fleet.pins[0], "/tmp/x", "e" * 64), None, notes)
    assert notes.results == {}


def test_a_host_chooses_no_code_of_ours(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """`credentials` would speak for the whole connector, and shut it for every other host."""
    for code in (*OWN_FAULTS, "identity_changed", "plan_changed"):
        fleet.answers_by(
            host, (LIAR % "[]").replace('"observe": []', f'"error": {{"code": "{code}", "text": "no"}}')
        )
        result = done(connector, quarantine(fleet.pins[0], "/tmp/x", "e" * 64))
        assert result.outcome is Outcome.FAILED
        assert result.error.startswith("refused: ")


def test_its_text_is_cut(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    said = '[{"key": "t1", "outcome": "failed", "before": {}, "after": {}, "error": "a" * 30000}]'
    fleet.answers_by(host, LIAR % said)
    assert len(done(connector, quarantine(fleet.pins[0], "/tmp/x", "e" * 64)).error) == answers.MOST_TEXT


def test_one_bad_host_keeps_nobody_else(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    fleet.answers_by(host, ANSWERS["silent"])
    wish = replace(isolation(fleet.pins[0]), max_seconds=SECONDS)
    more = replace(wish.targets[0], key="t2", remote=fleet.pins[1])
    wish, notes = replace(wish, targets=[*wish.targets, more]), Notes()
    with pytest.raises(Unknown):
        connector.step(wish, None, notes)
    assert {key: result.outcome for key, result in notes.results.items()} == {"t2": Outcome.SUCCEEDED}


def test_a_dead_address_is_a_host_that_is_away(fleet: Fleet, connector: SshHosts) -> None:
    """Where nobody answers at all, in bounded time."""
    pin = f"10.77.250.250{fleet.pins[0][fleet.pins[0].index('@') :]}"
    begun = time.monotonic()
    with pytest.raises(base.Transient) as caught:
        connector.preview(isolation(pin))
    assert caught.value.offline
    assert time.monotonic() - begun < lines.CONNECT_SECONDS + lines.LOGIN_SECONDS + 5


def on_two(fleet: Fleet) -> Request:
    wish = isolation(fleet.pins[0])
    return replace(wish, targets=[*wish.targets, replace(wish.targets[0], key="t2", remote=fleet.pins[1])])


def test_who_is_away_comes_later_and_keeps_nobody_waiting(fleet: Fleet, connector: SshHosts) -> None:
    fleet.cut_off(fleet.hosts[0])
    wish, notes = on_two(fleet), Notes()

    answer = connector.step(wish, None, notes)

    assert isinstance(answer, Continue)
    assert [(result.key, result.outcome) for result in answer.results] == [("t2", Outcome.SUCCEEDED)]
    assert notes.intents == ["t2"]
    assert answer.cursor == {"done": ["t2"], "away": [fleet.pins[0]]}
    with pytest.raises(Transient):
        connector.step(wish, answer.cursor, notes)
    fleet.let_in()
    rest = connector.step(wish, answer.cursor, notes)
    assert isinstance(rest, Done)
    assert [(result.key, result.outcome) for result in rest.results] == [("t1", Outcome.SUCCEEDED)]


def test_a_host_with_another_key_fails_alone(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    fleet.change_key(host)
    answer = connector.step(on_two(fleet), None, Notes())
    assert [result.outcome for result in answer.results] == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert answer.results[0].error.startswith("identity_changed: ")
