"""A service of a real systemd is stopped so that nothing starts it, and comes back exactly as it was."""

import os
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Outcome, Request, Support
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh import systemd
from tests.connectors.ssh.asking import done, in_force, request, undo
from tests.connectors.ssh.fleet import UNITS, Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.systemd import systemctl
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts


@pytest.fixture
def host(fleet: Fleet) -> LabHost:
    systemd.boot(fleet, fleet.hosts[0])
    return fleet.hosts[0]


def stopping(fleet: Fleet, name: str, **facts: object) -> Request:
    return request(ActionType.STOP_SERVICE, fleet.pins[0], {"name": name, **facts})


def files(fleet: Fleet, host: LabHost) -> dict[str, object]:
    """Everything under its names: what it says or where it leads, who owns it, and since when."""
    found: dict[str, object] = {}
    for path in sorted(fleet.file(host, UNITS).rglob("*lab-*")):
        told = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_text(encoding="utf-8")
        since = 0 if path.is_symlink() else told.st_mtime_ns
        found[str(path)] = (content, told.st_uid, told.st_mode, since)
    return found


def test_it_stops_and_nothing_starts_it(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    unit = systemd.service(fleet, host, "evil")
    before = files(fleet, host)
    assert len(before) == 3
    wish = stopping(fleet, "lab-evil", path="/usr/bin/sleep")
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert (result.outcome, result.after["active"]) == (Outcome.SUCCEEDED, "inactive")
    assert in_force(connector, wish)
    for name in (unit, "lab-also-evil.service"):
        host.run("/bin/sh", "-c", f"! systemctl start {name}")
    assert not systemd.active(host, unit)

    back = undo(wish, result)
    assert done(connector, back).outcome is Outcome.SUCCEEDED

    assert in_force(connector, back)
    assert files(fleet, host) == before
    assert systemd.active(host, "lab-also-evil.service")


@pytest.mark.long
def test_by_another_of_its_names_it_is_the_same_service(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    unit = systemd.service(fleet, host, "evil")
    assert done(connector, stopping(fleet, "lab-also-evil.service")).outcome is Outcome.SUCCEEDED
    assert not systemd.active(host, unit)


def it_ends_although_it_will_not(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    unit = systemd.service(
        fleet, host, "deaf", '/bin/sh -c "trap : TERM; while :; do sleep 1000 & wait; done"'
    )
    assert done(connector, stopping(fleet, "lab-deaf")).outcome is Outcome.SUCCEEDED
    assert not systemd.active(host, unit)


@pytest.mark.long
def test_one_that_will_not_end_is_ended(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    it_ends_although_it_will_not(fleet, host, connector)


@pytest.mark.long
def test_the_checks_find_a_helper_that_only_asks(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    mistake = planted(fleet, host, "services.py", '"kill", "--signal=KILL"', '"show"')
    with mistake, pytest.raises(AssertionError):
        it_ends_although_it_will_not(fleet, host, connector)


@pytest.mark.long
def test_one_that_did_not_run_does_not_run_after_undo(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    unit = systemd.service(fleet, host, "idle")
    systemctl(host, "stop", unit)
    systemctl(host, "disable", unit)
    before, wish = files(fleet, host), stopping(fleet, "lab-idle")
    assert len(before) == 1

    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED

    assert files(fleet, host) == before
    assert not systemd.active(host, unit)


def test_whoever_enabled_it_since_is_not_overruled(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    unit = systemd.service(fleet, host, "evil")
    wish = stopping(fleet, unit)
    result = done(connector, wish)
    systemd.occupy(fleet, host, unit)
    before = files(fleet, host)

    assert done(connector, undo(wish, result)).error.startswith("conflict: ")
    assert files(fleet, host) == before


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"name": "ssh.service"}, "protected"),
        ({"name": "systemd-journald"}, "protected"),
        ({"name": "--all"}, "name"),
        ({"name": "../evil"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "lab-evil", "path": "/usr/bin/innocent"}, "another_program"),
    ],
)
@pytest.mark.sampled(1)
def test_refusals_name_their_reason(
    fleet: Fleet, host: LabHost, connector: SshHosts, facts: dict[str, object], code: str
) -> None:
    systemd.service(fleet, host, "evil")
    systemd.put_unit(fleet, host, "ssh.service", "[Service]\nExecStart=/bin/true\n")
    before = files(fleet, host)
    try:
        result = done(connector, request(ActionType.STOP_SERVICE, fleet.pins[0], facts))
    finally:
        Path(fleet.file(host, f"{UNITS}/ssh.service")).unlink()
    assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, code)
    assert files(fleet, host) == before


def test_what_is_not_there_is_gone(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    wish = stopping(fleet, "lab-nothing")
    assert done(connector, wish).outcome is Outcome.GONE
    assert in_force(connector, wish)


def test_a_host_without_systemd_says_so(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    found = [
        connector.capabilities(TargetKind.DEVICE, pin)[ActionType.STOP_SERVICE] for pin in fleet.pins[:2]
    ]
    assert [each.support for each in found] == [Support.SUPPORTED, Support.UNSUPPORTED]
    assert found[1].reason == "This host isn't run by systemd."
    wish = request(ActionType.STOP_SERVICE, fleet.pins[1], {"name": "cron"})
    assert done(connector, wish).error.startswith("no_systemd: ")


# Scheduled tasks


def removing(fleet: Fleet, **facts: object) -> Request:
    return request(ActionType.REMOVE_TASK, fleet.pins[0], facts)


def test_a_timer_goes_and_comes_back(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    unit = systemd.timer(fleet, host, "beacon")
    before, wish = files(fleet, host), removing(fleet, name=unit)

    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert not systemd.active(host, unit)
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED

    assert files(fleet, host) == before
    assert until(lambda: systemd.active(host, unit))


TABLE = b"# m h dom mon dow command\nMAILTO=ana\n*/5 * * * * /tmp/beacon --quiet\n0 3 * * * /usr/bin/backup\n#*/5 * * * * /tmp/beacon --quiet\n"
LEFT = TABLE.replace(b"*/5 * * * * /tmp/beacon --quiet\n0", b"0")


def one_entry_goes(fleet: Fleet, host: LabHost, connector: SshHosts, path: str) -> None:
    fleet.put(host, path, TABLE, 0o600, 1001)
    place = fleet.file(host, path)
    os.utime(place, ns=(1_500_000_000_000_000_000, 1_500_000_000_000_000_000))
    before = place.stat()
    wish = removing(fleet, name="beacon", path=path, command_line="/tmp/beacon --quiet")
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert result.outcome is Outcome.SUCCEEDED
    assert place.read_bytes() == LEFT
    # Else cron would go on with what it read before.
    assert place.stat().st_mtime_ns != before.st_mtime_ns
    assert (place.stat().st_uid, place.stat().st_mode) == (before.st_uid, before.st_mode)
    assert in_force(connector, wish)

    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert place.read_bytes() == TABLE
    assert place.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("path", ["/var/spool/cron/crontabs/ana", "/var/spool/cron/ana", "/etc/cron.d/evil"])
@pytest.mark.sampled(1)
def test_one_entry_of_a_table_goes_and_comes_back(
    fleet: Fleet, host: LabHost, connector: SshHosts, path: str
) -> None:
    one_entry_goes(fleet, host, connector, path)


@pytest.mark.long
def test_the_checks_find_a_helper_that_keeps_the_old_time(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    mistake = planted(fleet, host, "kept.py", '{**traits, "atime": None, "mtime": None, ', "{**traits, ")
    with mistake, pytest.raises(AssertionError):
        one_entry_goes(fleet, host, connector, "/etc/cron.d/evil")


@pytest.mark.long
def test_a_file_of_its_own_goes_whole(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    path = "/etc/cron.daily/evil"
    fleet.put(host, path, b"#!/bin/sh\n/tmp/beacon\n", 0o755)
    wish = removing(fleet, name=path)
    result = done(connector, wish)
    assert not fleet.file(host, path).exists()
    assert in_force(connector, wish)
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert fleet.file(host, path).read_bytes() == b"#!/bin/sh\n/tmp/beacon\n"
    assert fleet.file(host, path).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"name": "/etc/passwd"}, "path"),
        ({"name": "/etc/cron.d/../passwd"}, "path"),
        ({"name": "/etc/cron.d/.."}, "path"),
        ({"name": "beacon"}, "path"),
        ({"name": "/var/spool/cron/crontabs/ana"}, "no_command"),
        ({"name": "/etc/crontab"}, "no_command"),
        ({"name": "/etc/cron.d/link"}, "symlink"),
        ({"name": "a b.timer"}, "name"),
    ],
)
@pytest.mark.sampled(1)
def test_tasks_that_are_none(
    fleet: Fleet, host: LabHost, connector: SshHosts, facts: dict[str, object], code: str
) -> None:
    link = fleet.file(host, "/etc/cron.d/link")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("/etc/passwd")
    try:
        assert done(connector, removing(fleet, **facts)).error.startswith(f"{code}: ")
    finally:
        link.unlink()


def test_a_table_that_somebody_edited_since_is_left(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    path = "/etc/cron.d/evil"
    fleet.put(host, path, TABLE)
    wish = removing(fleet, name=path, command_line="/usr/bin/backup")
    result = done(connector, wish)
    fleet.put(host, path, b"mine")
    assert done(connector, undo(wish, result)).error.startswith("conflict: ")
    assert fleet.file(host, path).read_bytes() == b"mine"
