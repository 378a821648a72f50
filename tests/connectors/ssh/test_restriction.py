"""Nothing starts from where people may write, and what was changed for it is taken back, no more."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Outcome, Request
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target import inside, restriction
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.asking import done, in_force, request, undo
from tests.connectors.ssh.fleet import WRITABLE, Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts

PLACES = ("/tmp/tool", "/var/tmp/tool", "/dev/shm/tool-of-ana", "/home/ana/Downloads/tool")


def restricting(fleet: Fleet) -> Request:
    return request(ActionType.RESTRICT_EXECUTION, fleet.pins[0])


def mounts(host: LabHost) -> list[list[str]]:
    """Each one's place and flags."""
    lines = Path(f"/proc/{host.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
    return sorted(line.split()[3:6] for line in lines)


def runs(host: LabHost, *command: str) -> bool:
    """Whether Ana gets that started."""
    as_ana = ["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups", *command]
    try:
        host.run(*as_ana)
    except subprocess.CalledProcessError:
        return False
    return True


def tools(fleet: Fleet, host: LabHost) -> list[str]:
    true = fleet.file(host, "/usr/bin/true").read_bytes()
    for path in PLACES:
        host.run("/bin/sh", "-c", 'cat > "$1"; chmod 755 "$1"', "sh", path, stdin=true)
    return list(PLACES)


@pytest.fixture(autouse=True)
def cleaned(fleet: Fleet, host: LabHost) -> object:
    yield
    host.run("rm", "-f", *PLACES)


def nothing_starts(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    places, before, wish = tools(fleet, host), mounts(host), restricting(fleet)
    assert all(runs(host, path) for path in places)
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert result.outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert not any(runs(host, path) for path in places)
    assert not any(runs(host, "/lib64/ld-linux-x86-64.so.2", path) for path in places)
    back = undo(wish, result)
    assert done(connector, back).outcome is Outcome.SUCCEEDED

    assert in_force(connector, back)
    assert all(runs(host, path) for path in places)
    assert mounts(host) == before


def test_nothing_starts_from_where_people_write(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    nothing_starts(fleet, host, connector)


@pytest.mark.long
def test_the_checks_find_a_helper_that_forgets_folders(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    mistake = planted(fleet, host, "restriction.py", '"/dev/shm", "/home")', '"/dev/shm")')
    with mistake, pytest.raises(AssertionError):
        nothing_starts(fleet, host, connector)


@pytest.mark.long
def test_it_says_that_interpreters_go_on(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """What it says is true."""
    wish = restricting(fleet)
    host.run("/bin/sh", "-c", "echo 'exit 0' > /tmp/tool; chmod 755 /tmp/tool")
    (says,) = connector.preview(wish).changes
    assert "interpreters aren't stopped" in says
    done(connector, wish)
    assert runs(host, "/bin/sh", "/tmp/tool")


def test_who_stands_in_a_mount_already_starts_nothing_there(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    tools(fleet, host)
    script = "cd /tmp; until [ -e go ]; do sleep 0.05; done; ./tool && touch started; touch over"
    fleet.start(host, "/bin/sh", "-c", script)
    done(connector, restricting(fleet))
    host.run("touch", "/tmp/go")
    assert until(lambda: fleet.file(host, "/tmp/over").exists())
    assert not fleet.file(host, "/tmp/started").exists()


def waits_inside(fleet: Fleet, host: LabHost, script: str) -> int:
    """Ana's shell, in her home before it is covered, and about to start a program there."""
    tools(fleet, host)
    host.run("mkfifo", "-m", "666", "/tmp/go")
    fleet.start(host, "/bin/sh", "-c", f"{script}; read -r go < /tmp/go; {START}")
    assert until(lambda: in_downloads(fleet, host))
    (pid,) = in_downloads(fleet, host)
    return pid


def in_downloads(fleet: Fleet, host: LabHost) -> list[int]:
    """Processes that work there or hold it open."""
    return [
        pid
        for pid in fleet.commands(host, b"< /tmp/go")
        if "/home/ana/Downloads" in handles(fleet.file(host, f"/proc/{pid}"))
    ]


START = "/proc/self/cwd/tool; echo $? > /tmp/status; /proc/self/fd/7/tool; echo $? >> /tmp/status"


def handles(process: Path) -> list[str]:
    """Where they lead; a shell that starts opens and closes some meanwhile."""
    found = []
    for handle in [process / "cwd", *(process / "fd").iterdir()]:
        with contextlib.suppress(FileNotFoundError):
            found.append(str(handle.readlink()))
    return found


@pytest.mark.parametrize(
    ("script", "how", "past"),
    [("cd /home/ana/Downloads", "works in", "0\n127\n"),
     ("exec 7< /home/ana/Downloads", "holds open", "127\n0\n")],
)  # fmt: skip
def test_who_is_in_a_folder_already_is_named(
    fleet: Fleet, host: LabHost, connector: SshHosts, script: str, how: str, past: str
) -> None:
    """Nothing stops it, so whoever relies on it has to know."""
    pid = waits_inside(fleet, host, script)
    result = done(connector, restricting(fleet))
    assert result.outcome is Outcome.SUCCEEDED
    assert result.after["not_covered"] == 1
    assert result.after["inside"] == [{"pid": pid, "name": "sh", "how": how, "path": "/home/ana/Downloads"}]
    assert result.after["processes"] == f'{pid} "sh"'
    host.run("/bin/sh", "-c", "echo > /tmp/go")
    assert until(lambda: fleet.file(host, "/tmp/status").exists())
    assert until(lambda: fleet.file(host, "/tmp/status").read_text(encoding="utf-8") == past)


def test_whoever_came_later_is_not_named(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    first, again = restricting(fleet), restricting(fleet)
    assert done(connector, first).after["not_covered"] == 0
    fleet.start(host, "/bin/sh", "-c", "cd /home/ana/Downloads; exec sleep 4711")
    assert until(lambda: fleet.commands(host, b"sleep\x004711"))
    host.run("umount", "/var/tmp")
    result = done(connector, again)
    assert (result.outcome, result.after["not_covered"]) == (Outcome.SUCCEEDED, 0)


def test_many_are_counted_and_names_forge_nothing(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    host.run("mkdir", "-p", "/home/ana/Downloads")
    hostile = 'a", 1 "\u202e\n'
    script = 'import pathlib, time; pathlib.Path("/proc/self/comm").write_text(__import__("sys").argv[1]); time.sleep(4711)'
    for _ in range(inside.MOST_TOLD + 2):
        fleet.start(
            host, "/bin/sh", "-c", 'cd /home/ana/Downloads; exec python3 -c "$0" "$1"', script, hostile
        )
    assert until(lambda: named(fleet, host) == inside.MOST_TOLD + 2)
    after = done(connector, restricting(fleet)).after
    assert after["not_covered"] == inside.MOST_TOLD + 2
    assert len(after["inside"]) == inside.MOST_TOLD
    assert {each["name"] for each in after["inside"]} == {'a", 1 "\\u202e\\n'}
    assert len(after["processes"]) <= inside.LINE


def named(fleet: Fleet, host: LabHost) -> int:
    """How many have taken the name that they chose."""
    return sum(
        "1 " in (Path(f"{host.root}/proc/{pid}") / "comm").read_text(encoding="utf-8")
        for pid in fleet.commands(host, b"4711")
    )


@pytest.mark.long
def test_what_forbade_it_before_still_does(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    host.run("mount", "-o", "remount,bind,noexec", "/dev/shm")
    before, wish = mounts(host), restricting(fleet)
    result = done(connector, wish)
    assert "/dev/shm" not in result.before["places"]
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert mounts(host) == before


@pytest.mark.long
def test_a_mount_of_its_own_below_is_closed_and_stays(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    host.run("/bin/sh", "-c", "mkdir -p /home/disk; mount -t tmpfs -o mode=777 disk /home/disk")
    host.run("cp", "/usr/bin/true", "/home/disk/tool")
    try:
        before, wish = mounts(host), restricting(fleet)
        result = done(connector, wish)
        assert not runs(host, "/home/disk/tool")
        assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
        assert mounts(host) == before
        assert runs(host, "/home/disk/tool")
    finally:
        fleet.permit_by_hand(host)
        host.run("umount", "-l", "/home/disk")


def test_what_somebody_mounted_since_is_not_taken_along(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = restricting(fleet)
    result = done(connector, wish)
    host.run("/bin/sh", "-c", "mkdir -p /home/disk; mount -t tmpfs disk /home/disk; touch /home/disk/mine")
    try:
        assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
        assert fleet.file(host, "/home/disk/mine").exists()
        assert fleet.closed(host) == []
    finally:
        host.run("umount", "-l", "/home/disk")
        fleet.permit_by_hand(host)


@pytest.mark.parametrize("place", ["/tmp", "/home"])
@pytest.mark.sampled(1)
def test_one_that_was_opened_again_is_seen(
    fleet: Fleet, host: LabHost, connector: SshHosts, place: str
) -> None:
    wish = restricting(fleet)
    done(connector, wish)
    host.run("mount", "-o", "remount,bind,exec", place)
    assert not in_force(connector, wish)
    assert connector.verify(wish).detail["t1"]["open"] == [place]


@pytest.mark.long
def test_restricted_anew_by_another_it_is_not_released_by_the_first(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    first = restricting(fleet)
    before = done(connector, first)
    host.run("mount", "-o", "remount,bind,exec", "/tmp")
    second = restricting(fleet)
    result = done(connector, second)
    assert result.outcome is Outcome.SUCCEEDED
    assert done(connector, undo(first, before)).error.startswith("conflict: ")
    assert done(connector, undo(second, result)).outcome is Outcome.SUCCEEDED
    assert fleet.closed(host) == []


def test_all_places_are_there() -> None:
    assert set(restriction.PLACES) == set(WRITABLE)
