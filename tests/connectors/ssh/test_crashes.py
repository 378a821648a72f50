"""The helper dies at any place, and the same request again brings it to the one end."""

from collections.abc import Callable

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Outcome, Request, Unknown
from actioncenter.estate.lab import PEER, LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh import systemd
from tests.connectors.ssh.asking import done, in_force, isolation, quarantine, request, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted

pytestmark = pytest.mark.hosts

PATH = "/home/ana/Downloads/tool"
# Once, and by a signal that nothing can catch.
_OS = "__import__('os')"
DIES = (
    f"({_OS}.path.exists('/run/lab/died') or ({_OS}.mkdir('/run/lab/died'), {_OS}.kill({_OS}.getpid(), 9)))"
)


def isolating(fleet: Fleet, host: LabHost) -> Request:
    return isolation(fleet.pins[0])


def quarantining(fleet: Fleet, host: LabHost) -> Request:
    return quarantine(fleet.pins[0], PATH, fleet.put(host, PATH, b"a tool", 0o755, 1001))


def releasing(fleet: Fleet, host: LabHost) -> Request:
    wish = quarantining(fleet, host)
    return undo(wish, done(fleet.connector(), wish))


def restricting(fleet: Fleet, host: LabHost) -> Request:
    return request(ActionType.RESTRICT_EXECUTION, fleet.pins[0])


def allowing(fleet: Fleet, host: LabHost) -> Request:
    wish = restricting(fleet, host)
    return undo(wish, done(fleet.connector(), wish))


def containing(fleet: Fleet, host: LabHost) -> Request:
    return request(ActionType.CONTAIN_DEVICE, fleet.pins[0], {"addresses": list(PEER)})


def stopping(fleet: Fleet, host: LabHost) -> Request:
    systemd.boot(fleet, host)
    return request(ActionType.STOP_SERVICE, fleet.pins[0], {"name": systemd.service(fleet, host, "evil")})


def starting(fleet: Fleet, host: LabHost) -> Request:
    wish = stopping(fleet, host)
    return undo(wish, done(fleet.connector(), wish))


def removing(fleet: Fleet, host: LabHost) -> Request:
    fleet.put(host, "/etc/cron.d/evil", b"* * * * * root /tmp/evil\n")
    return request(ActionType.REMOVE_TASK, fleet.pins[0], {"name": "/etc/cron.d/evil"})


PLACES: list[tuple[Callable[[Fleet, LabHost], Request], str, str]] = [
    (isolating, "isolation.py", "    arm(call"),
    (isolating, "isolation.py", "    rules.load(ruleset)\n    known"),
    (isolating, "isolation.py", '    known = {**known, **standing'),
    (isolating, "isolation.py", "    _cut([*trusted]"),
    (quarantining, "quarantine.py", '    entry = {**traits, "path"'),
    (quarantining, "quarantine.py", "    if not entry"),
    (quarantining, "quarantine.py", "        vault.record(name, {**entry, \"moved\""),
    (quarantining, "quarantine.py", "    stopped = processes.kill_all({"),
    (quarantining, "quarantine.py", "        if not _finish_off(folder, draft, entry)"),
    (releasing, "quarantine.py", "                _put_back(folder, last"),
    (releasing, "quarantine.py", "        os.link(draft, last"),
    (releasing, "quarantine.py", "            _settle(folder, last"),
    (releasing, "quarantine.py", '    vault.record(name, {**entry, "released"'),
    (releasing, "quarantine.py", "    vault.drop_content(name)\n    return"),
    (restricting, "restriction.py", "    for each in known[\"places\"]:\n        _close(each)"),
    (restricting, "restriction.py", "        each.setdefault(\"number_of_cover\""),
    (restricting, "restriction.py", "    write(RESTRICTION, known)\n    if not"),
    (restricting, "restriction.py", "        journal.acted("),
    (allowing, "restriction.py", "        _open(each)"),
    (allowing, "restriction.py", "    forget(RESTRICTION)\n    journal.acted"),
    (containing, "containment.py", "    _load(held)"),
    (containing, "containment.py", "    if not held["),
    (containing, "containment.py", "        journal.acted("),
    (stopping, "services.py", "    kept.carry_out(known[\"changes\"])"),
    (stopping, "services.py", "    after = _stopped("),
    (stopping, "services.py", "    kept.done(item"),
    (stopping, "kept.py", "    os.rename(draft, path)"),
    (starting, "services.py", "    kept.carry_out(known[\"changes\"], back"),
    (starting, "services.py", "    kept.undone(name"),
    (removing, "tasks.py", "    kept.carry_out(known[\"changes\"])"),
    (removing, "tasks.py", "    kept.done(item"),
]  # fmt: skip


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("make", "module", "line"), PLACES, ids=range(len(PLACES)))
def test_it_dies_before_this_line(
    fleet: Fleet, make: Callable[[Fleet, LabHost], Request], module: str, line: str
) -> None:
    host, connector = fleet.hosts[0], fleet.connector()
    wish, notes = make(fleet, host), Notes()
    indent = line[: len(line) - len(line.lstrip())]
    with planted(fleet, host, module, line, f"{indent}{DIES}\n{line}"):
        with pytest.raises(Unknown):
            connector.step(wish, None, notes)
        assert notes.results == {}

        result = done(connector, wish)

        assert result.outcome is Outcome.SUCCEEDED
        assert in_force(connector, wish)
        assert len(fleet.acted(host, wish.id)) <= 1
        assert done(connector, wish) == result
        left = [path.name for path in fleet.file(host, PATH).parent.glob(".*")]
        assert left == []
