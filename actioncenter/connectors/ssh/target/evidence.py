"""What goes into an investigation package, piece by piece, each bounded. Nothing that belongs to somebody else on
the host is followed, waited for or run."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import select
import stat
import subprocess
import time
from typing import Any, Dict, Iterator, List, Tuple

from actioncenter.connectors.ssh.target import paths, processes
from actioncenter.connectors.ssh.target.places import HOME, Json, Refusal

Part = Tuple[str, bytes]
COMMAND_SECONDS = 15
MOST_OUTPUT = 2 << 20
TAIL = 512 << 10
MOST_PROCESSES = 5000
MOST_OPEN = 200
MOST_HASHED = 5000
LARGEST_HASHED = 64 << 20
MOST_BYTES_HASHED = 512 << 20
WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - where others leave things is the point
COMMANDS: Dict[str, List[str]] = {
    "sockets.txt": ["ss", "-a", "-n", "-p", "-e"],
    "addresses.json": ["ip", "-j", "address"],
    "routes.json": ["ip", "-j", "route", "show", "table", "all"],
    "routes6.json": ["ip", "-j", "-6", "route", "show", "table", "all"],
    "neighbours.json": ["ip", "-j", "neighbour"],
    "ruleset.txt": ["nft", "list", "ruleset"],
    "who.txt": ["who", "-a"],
    "logins.txt": ["last", "-n", "500", "-F", "-w"],
    "failed_logins.txt": ["lastb", "-n", "500", "-F", "-w"],
    "packages.txt": ["dpkg-query", "-W"],
    "packages_rpm.txt": ["rpm", "-qa"],
    "units.txt": ["systemctl", "list-units", "--all", "--no-pager", "--plain"],
    "unit_files.txt": ["systemctl", "list-unit-files", "--no-pager"],
    "timers.txt": ["systemctl", "list-timers", "--all", "--no-pager"],
    "sysctl.txt": ["sysctl", "-a"],
    "journal.txt": ["journalctl", "-n", "5000", "--no-pager", "-o", "short-iso"],
}
SYSTEM = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/os-release", "/etc/crontab",
          "/etc/sudoers", "/etc/sudoers.d/*", "/etc/cron.d/*", "/etc/cron.*/*", "/var/spool/cron/*",
          "/var/spool/cron/crontabs/*", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*", "/etc/ld.so.preload",
          "/etc/systemd/system/*.service", "/etc/systemd/system/*.timer", "/etc/rc.local", "/etc/profile",
          "/etc/profile.d/*", "/proc/modules", "/proc/1/mountinfo", "/proc/version", "/proc/cmdline",
          "/proc/uptime")  # fmt: skip
OF_HOMES = (".bash_history", ".zsh_history", ".python_history", ".ssh/authorized_keys", ".ssh/known_hosts", ".bashrc",
            ".profile", ".bash_profile")  # fmt: skip
LOGS = ("auth.log", "secure", "syslog", "messages", "kern.log", "audit/audit.log", "cron", "daemon.log",
        "dpkg.log", "apt/history.log", "dnf.log", "yum.log")  # fmt: skip


def processes_now() -> Iterator[Part]:
    programs: Dict[Tuple[int, int], Any] = {}
    found = [_process(pid, programs) for pid in sorted(processes.pids())[:MOST_PROCESSES]]
    yield "processes.json", json.dumps([each for each in found if each], indent=1).encode()


def _process(pid: int, programs: Dict[Tuple[int, int], Any]) -> Json:
    home = f"/proc/{pid}"
    found: Json = {"pid": pid}
    with contextlib.suppress(OSError):
        found["parent"], found["since"] = processes.parent(pid), processes.started(pid)
        found["user"] = os.stat(home).st_uid
        for name in ("comm", "cmdline", "maps"):
            found[name] = _head(f"{home}/{name}").decode("utf-8", "backslashreplace").split("\0")
        for name in ("exe", "cwd", "root"):
            with contextlib.suppress(OSError):
                found[name] = os.readlink(f"{home}/{name}")
        found["maps"] = sorted(
            {line.partition("/")[2] for line in found["maps"][0].splitlines() if "/" in line}
        )
        found["open"] = [_linked(f"{home}/fd/{fd}") for fd in os.listdir(home + "/fd")[:MOST_OPEN]]
        about = os.stat(home + "/exe")
        same = (about.st_dev, about.st_ino)
        if same not in programs:
            programs[same] = processes.program(pid) if about.st_size <= LARGEST_HASHED else None
        found["program"] = programs[same]
    return found


def _linked(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(TAIL)


def commands() -> Iterator[Part]:
    """What the tools of the system say; none of them is found by anybody's PATH but root's own folders."""
    for name, command in COMMANDS.items():
        program = next((each for each in _places(command[0]) if os.access(each, os.X_OK)), None)
        if program is not None:
            yield name, _said([program, *command[1:]])


def _places(name: str) -> List[str]:
    return [f"{folder}/{name}" for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin")]


def _said(command: List[str]) -> bytes:
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        ) as process:  # fmt: skip
            try:
                return _bounded(process)
            finally:
                process.kill()
    except OSError as error:
        return f"could not be run: {error}".encode()


def _bounded(process: subprocess.Popen[bytes]) -> bytes:
    """In memory never more than is kept, and never waited for longer than it may take."""
    stdout: Any = process.stdout
    handle, end, out = stdout.fileno(), time.monotonic() + COMMAND_SECONDS, b""
    while len(out) < MOST_OUTPUT:
        ready, _, _ = select.select([handle], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return out + b"\n(it took too long)\n"
        block = os.read(handle, 1 << 16)
        if not block:
            return out
        out += block
    return out + b"\n(cut)\n"


def system_files() -> Iterator[Part]:
    for pattern in SYSTEM:
        for path in sorted(glob.glob(pattern))[:200]:
            yield from _tail(path)


def of_people() -> Iterator[Part]:
    """Histories and who may sign in; never a private key or a password."""
    for person in pwd.getpwall()[:1000]:
        if person.pw_dir.startswith("/"):
            for name in OF_HOMES:
                yield from _tail(f"{person.pw_dir}/{name}")


def logs() -> Iterator[Part]:
    for name in LOGS:
        yield from _tail(f"/var/log/{name}")


def _tail(path: str) -> Iterator[Part]:
    """The end of a file that lies there itself; a link that somebody else made, or what is no file, is left out."""
    with contextlib.suppress(OSError, Refusal):
        if path.startswith("/proc/"):
            yield path.lstrip("/"), _head(path)
            return
        with paths.folder_of(path) as (folder, name):
            handle = paths.open_file(folder, name)
        try:
            size = os.fstat(handle).st_size
            os.lseek(handle, max(0, size - TAIL), os.SEEK_SET)
            content = b""
            while len(content) < TAIL and (block := os.read(handle, TAIL - len(content))):
                content += block
        finally:
            os.close(handle)
        yield path.lstrip("/"), content


def writable() -> Iterator[Part]:
    """Names, traits and hashes of what lies where everybody may write, and in homes."""
    homes = sorted({each.pw_dir for each in pwd.getpwall() if each.pw_dir.startswith("/home/")})
    found: List[Json] = []
    budget = MOST_BYTES_HASHED
    for top in (*WRITABLE, *homes):
        for each in files_below(top):
            if len(found) == MOST_HASHED:
                break
            found.append(_about(each, LARGEST_HASHED if budget > 0 else 0))
            budget -= found[-1].get("size", 0)
    yield "files.json", json.dumps(found, indent=1).encode()


def files_below(top: str) -> Iterator[str]:
    """Regular files on the same file system, no link followed, nothing of our own."""
    try:
        device = os.lstat(top).st_dev
    except OSError:
        return
    todo = [top]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_symlink() or entry.path == HOME:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_dev == device:
                        todo.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path


def _about(path: str, largest: int) -> Json:
    found: Json = {"path": path}
    with contextlib.suppress(OSError, Refusal):
        about = os.lstat(path)
        found |= {"size": about.st_size, "user": about.st_uid, "mode": stat.filemode(about.st_mode)}
        found |= {"modified": int(about.st_mtime), "links": about.st_nlink}
        if about.st_size <= largest:
            with paths.folder_of(path) as (folder, name):
                handle = paths.open_file(folder, name)
            try:
                found |= processes.hashes(handle)
            finally:
                os.close(handle)
    return found
