"""sshd is killed, or freezes, at each step of a call: nothing is done twice, and nobody is waited for for ever."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Outcome, Request, Transient, Unknown
from actioncenter.connectors.ssh import lines
from actioncenter.connectors.ssh.acting import ROLLED_BACK
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, in_force, isolation, quarantine, request
from tests.connectors.ssh.fleet import USER, Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import reaches, until

pytestmark = pytest.mark.hosts

SECONDS = 1.0
PATH = "/home/ana/Downloads/tool"
SIGNALS = ("STOP", "KILL")


@pytest.fixture(autouse=True)
def impatient(fleet: Fleet, host: LabHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CONNECT_SECONDS", "LOGIN_SECONDS"):
        monkeypatch.setattr(lines, name, SECONDS)
    monkeypatch.setattr("actioncenter.connectors.ssh.connector.QUICK", SECONDS)
    yield
    host.run("/bin/sh", "-c", "pkill -CONT sshd; true")


def isolating(fleet: Fleet, host: LabHost) -> Request:
    return isolation(fleet.pins[0])


def quarantining(fleet: Fleet, host: LabHost) -> Request:
    return quarantine(fleet.pins[0], PATH, fleet.put(host, PATH, b"a tool", 0o755, 1001))


def restricting(fleet: Fleet, host: LabHost) -> Request:
    return request(ActionType.RESTRICT_EXECUTION, fleet.pins[0])


class Halting(Notes):
    """A journal at whose word, right before the request is sent, the host's end of the connection halts."""

    def __init__(self, halt: Callable[[], object]) -> None:
        super().__init__()
        self._halt = halt

    def intent(self, keys: Sequence[str]) -> None:
        super().intent(keys)
        self._halt()


def halted(host: LabHost, how: str) -> Callable[[], object]:
    """Every session of ours there, not the listener."""
    return lambda: host.run("pkill", f"-{how}", "-f", f"^sshd: {USER}")


def went_on(fleet: Fleet, host: LabHost, connector: SshHosts, wish: Request) -> None:
    """Asked again, the same request comes to its one end."""
    host.run("/bin/sh", "-c", "pkill -CONT sshd; true")
    patient = replace(wish, max_seconds=30.0)
    assert done(connector, patient).outcome is Outcome.SUCCEEDED
    assert in_force(connector, patient)
    assert len(fleet.acted(host, wish.id)) == 1


CASES = list(itertools.product((isolating, quarantining, restricting), SIGNALS))
IDS = [f"{make.__name__}-{how.lower()}" for make, how in CASES]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("make", "how"), CASES, ids=IDS)
def test_before_it_is_asked(
    fleet: Fleet, host: LabHost, make: Callable[[Fleet, LabHost], Request], how: str
) -> None:
    wish, connector = replace(make(fleet, host), max_seconds=SECONDS), fleet.connector()
    notes = Halting(halted(host, how))
    with pytest.raises(Unknown):
        connector.step(wish, None, notes)
    assert (notes.intents, notes.results) == (["t1"], {})
    went_on(fleet, host, connector, wish)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("make", "how"), CASES, ids=IDS)
def test_after_it_was_done(
    fleet: Fleet, host: LabHost, make: Callable[[Fleet, LabHost], Request], how: str
) -> None:
    """What was done there is in the host's journal, and nobody is told."""
    wish, connector = replace(make(fleet, host), max_seconds=SECONDS), fleet.connector(rollback_after=30)
    line = "    sys.stdout.write(json.dumps(answer))"
    # Once.
    halt = f"os.path.exists('/run/lab/halted') or os.mkdir('/run/lab/halted') or os.system('pkill -{how} -f ^sshd:.{USER}')"
    with planted(fleet, host, "main.py", line, f"    'apply' in answer and ({halt})\n{line}"):
        with pytest.raises(Unknown):
            connector.step(wish, None, notes := Notes())
        assert notes.results == {}
        assert until(lambda: len(fleet.acted(host, wish.id)) == 1)
        went_on(fleet, host, connector, wish)


@pytest.mark.parametrize("make", [isolating, quarantining, restricting])
def test_before_anybody_answers(
    fleet: Fleet, host: LabHost, make: Callable[[Fleet, LabHost], Request]
) -> None:
    """A listener that froze takes connections and says nothing: a host that is away, and nothing was sent."""
    wish, connector, notes = make(fleet, host), fleet.connector(), Notes()
    host.run("/bin/sh", "-c", 'kill -STOP "$(cat /run/sshd.pid)"')
    begun = time.monotonic()
    with pytest.raises(Transient) as caught:
        connector.step(wish, None, notes)
    assert caught.value.offline
    assert time.monotonic() - begun < 2 * SECONDS + 5
    assert notes.intents == []
    went_on(fleet, host, connector, wish)


class FreezesAfter(SshHosts):
    """Isolated, and then nobody there answers a new connection."""

    host: LabHost
    froze = False

    def body(self, call: str, request: str, items: Sequence[dict[str, object]] = ()) -> dict[str, object]:
        if call == "confirm" and not self.froze:
            self.froze = True
            self.host.run("pkill", "-STOP", "-f", f"^sshd: {USER}")
        return super().body(call, request, items)


def test_before_it_is_confirmed(fleet: Fleet, host: LabHost) -> None:
    """It takes itself back, which is found out later and said."""
    made = fleet.connector(rollback_after=2)
    connector = FreezesAfter(made.options, made._authority)
    connector.host = host
    wish = replace(isolation(fleet.pins[0]), max_seconds=SECONDS)
    answer = connector.step(wish, None, Notes())
    assert answer.results == []
    assert until(lambda: fleet.ruleset(host) == "")
    host.run("/bin/sh", "-c", "pkill -CONT sshd; true")
    result = done(connector, replace(wish, max_seconds=30.0))
    assert (result.outcome, result.error) == (Outcome.FAILED, ROLLED_BACK)
    assert reaches(fleet.lab.peer, host.address, 22)
