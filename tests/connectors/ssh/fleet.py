"""Hands on the hosts of a lab that don't go through the connector."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from actioncenter.connectors.ssh import build, enrolling
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target import booting
from actioncenter.connectors.ssh.target.places import ACTED, HOME, ISOLATION, RESTRICTION, VAULT
from actioncenter.estate.lab import CONTROLLER, Lab, LabHost
from tests.connectors.ssh.wires import until

SEED = "5eed" * 16
USER = "actioncenter"
# Once told to, it loses the answer to what changes something, before or after it was carried out.
_SUDO = """#!/bin/sh
if [ -d /run/lab/before ] || [ -d /run/lab/after ]; then
    body=$(cat)
    case "$body" in *'"call": "apply"'*)
        if rmdir /run/lab/before 2>/dev/null; then kill -9 $PPID; exit 1; fi
        if rmdir /run/lab/after 2>/dev/null; then
            printf %s "$body" | /usr/bin/sudo.real "$@" >/dev/null; kill -9 $PPID; exit 1
        fi ;;
    esac
    printf %s "$body" | /usr/bin/sudo.real "$@"
    exit
fi
exec /usr/bin/sudo.real "$@"
"""
SCANNER = Path(__file__).with_name("scanner.py").read_bytes()
PACED = "/root/scanner-paced"
MARK = b"own-test-" + b"signature"
"""What the scanner of the lab finds."""
_PREPARE = """
set -eu
mkdir -m 777 /run/lab
mv /usr/bin/sudo /usr/bin/sudo.real
cat > /usr/bin/sudo
chmod 755 /usr/bin/sudo
cp -p /usr/bin/sudo /usr/local/lib/actioncenter/helper /etc/ssh/ssh_host_ed25519_key /root/
cp -p /etc/ssh/actioncenter_ca.pub /etc/ssh/sshd_config.d/50-actioncenter.conf /etc/sudoers.d/actioncenter /root/
"""
_KEY = "/etc/ssh/ssh_host_ed25519_key"
_SSHD = "/etc/ssh/sshd_config.d/50-actioncenter.conf"
_KEPT = (
    "/usr/bin/sudo",
    "/usr/local/lib/actioncenter/helper",
    _KEY,
    "/etc/ssh/actioncenter_ca.pub",
    _SSHD,
    "/etc/sudoers.d/actioncenter",
)
"""What tests put something else in the place of; how it was lies in /root."""
_NEW_KEY = """
set -e
rm /etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
"""
WRITABLE = ("/tmp", "/var/tmp", "/dev/shm", "/home")
_PERMIT = """
for place in /var/tmp /home; do while mountpoint -q $place; do umount -l $place; done; done
for place in /tmp /dev/shm; do mount -o remount,bind,exec $place; done
"""
_FORBID = """
for place in /var/tmp /home; do mount --bind $place $place; done
for place in /tmp /dev/shm /var/tmp /home; do mount -o remount,bind,noexec $place; done
"""
UNITS = "/etc/systemd/system"
CRON = ("/etc/cron.d", "/etc/cron.daily")
_EMPTIED = (
    HOME,
    "/run/actioncenter",
    "/home/ana/Downloads",
    "/run/lab",
    "/tmp",
    "/srv",
    "/var/spool/cron",
    *CRON,
)


@dataclass
class Fleet:
    lab: Lab
    pins: list[str]
    cut: set[str] = field(default_factory=set)

    @classmethod
    def enrolled(cls, lab: Lab) -> Self:
        authority = Authority(SEED)

        def enrol(host: LabHost) -> str:
            pin = enrolling.shown_key(host.address, 22, lab.management)
            enrolling.enrol(pin, enrolling.Way("root", str(lab.admin_key), lab.management), USER, authority)
            host.run("/bin/sh", "-c", _PREPARE, stdin=_SUDO.encode())
            host.run("/bin/sh", "-c", "cat > /usr/bin/clamscan; chmod 755 /usr/bin/clamscan", stdin=SCANNER)
            return str(pin)

        with ThreadPoolExecutor(len(lab.hosts)) as pool:
            return cls(lab, list(pool.map(enrol, lab.hosts)))

    @property
    def hosts(self) -> list[LabHost]:
        return self.lab.hosts

    def host_of(self, pin: str) -> LabHost:
        return self.hosts[self.pins.index(pin)]

    def connector(self, seed: str = SEED, **more: Any) -> SshHosts:
        settings = {
            "controllers": list(CONTROLLER),
            "namespace": self.lab.management,
            "canaries": self.pins[:1],
        }
        return build({**settings, **more}, {"authority": seed})

    def reset(self) -> None:
        self.let_in()
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(self._as_new, self.hosts))

    def _as_new(self, host: LabHost) -> None:
        """As it was when it was enrolled. Mostly from outside, because a process costs more than a file."""
        if (away := self.file(host, "/usr/sbin/nft.away")).exists():
            away.rename(self.file(host, "/usr/sbin/nft"))
        if (away := self.file(host, "/usr/bin/clamscan.away")).exists():
            away.rename(self.file(host, "/usr/bin/clamscan"))
        for knob in self.file(host, "/root").glob("scanner-*"):
            knob.unlink()
        self.nft(host, "flush", "ruleset")
        if self._running(host):
            host.run("pkill", "-KILL", "-u", "ana")
        if self.closed(host):
            self.permit_by_hand(host)
        self.enrol_again(host)
        for path in (booting.LINK, booting.UNIT):
            self.file(host, path).unlink(missing_ok=True)
        for folder in _EMPTIED:
            for entry in self.file(host, folder).glob("*"):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    def enrol_again(self, host: LabHost) -> None:
        """What was put there when it was enrolled is there again."""
        for path in _KEPT:
            kept, now = self.file(host, f"/root/{Path(path).name}"), self.file(host, path)
            if not now.exists() or kept.read_bytes() != now.read_bytes():
                now.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(kept, now)
                if path in {_KEY, _SSHD}:
                    self._reload(host)

    def _route(self, verb: str, address: str) -> None:
        command = ["ip", "-n", self.lab.management, "route", verb, "unreachable", f"{address}/32"]
        subprocess.run(command, check=True, capture_output=True)

    def cut_off(self, host: LabHost) -> None:
        """Nothing of ours gets there any more."""
        if host.address not in self.cut:
            self._route("add", host.address)
            self.cut.add(host.address)

    def let_in(self) -> None:
        for address in self.cut:
            self._route("del", address)
        self.cut.clear()

    def ruleset(self, host: LabHost) -> str:
        return self.nft(host, "list", "ruleset")

    def nft(self, host: LabHost, *arguments: str, stdin: str = "") -> str:
        command = ["ip", "netns", "exec", host.namespace, "nft", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout

    def file(self, host: LabHost, path: str) -> Path:
        return Path(f"{host.root}{path}")

    def put(self, host: LabHost, path: str, content: bytes, mode: int = 0o644, owner: int = 0) -> str:
        """A file as somebody there would have made it; returns its SHA-256."""
        place = self.file(host, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            # It would be followed on this machine: a masked unit leads to this very machine's /dev/null.
            place.unlink()
        place.write_bytes(content)
        os.chown(place, owner, owner)
        place.chmod(mode)
        return hashlib.sha256(content).hexdigest()

    @staticmethod
    def read(path: Path) -> tuple[str, bytes | None]:
        """Where a link leads, and else what a file holds; None where nothing is."""
        if path.is_symlink():
            return str(path.readlink()), None
        return "", path.read_bytes() if path.is_file() else None

    def acted(self, host: LabHost, request: str) -> list[tuple[str, str]]:
        """Key and deed of each real effect, by the host's own log."""
        path = self.file(host, ACTED)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [line.split("\t") for line in lines]
        return [(key, deed) for _, of, key, deed in rows if of == request and key]

    def state(
        self, host: LabHost, folders: Sequence[str] = ("/home/ana/Downloads", "/tmp", VAULT, *CRON, UNITS)
    ) -> Mapping[str, Any]:
        """Everything on it that a connector could change, its own notes of requests aside."""
        files = {}
        for folder in folders:
            for path in sorted(self.file(host, folder).rglob("*")):
                found = path.lstat()
                link, read = self.read(path)
                content = read or link.encode()
                traits = [found.st_uid, found.st_gid, found.st_mode, found.st_mtime_ns * path.is_file()]
                files[str(path)] = [hashlib.sha256(content).hexdigest(), *traits]
        isolation = self.file(host, ISOLATION)
        told = isolation.read_text(encoding="utf-8") if isolation.exists() else ""
        return {
            "files": files,
            "ruleset": self.ruleset(host),
            "isolation": told,
            "closed": self.closed(host),
            "processes": self._running(host),
        }

    def commands(self, host: LabHost, part: bytes) -> list[int]:
        """Processes there with this in their command line."""
        found = []
        for process in self.file(host, "/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if part in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return found

    def _running(self, host: LabHost) -> list[str]:
        """What Ana has running."""
        found = []
        for process in self.file(host, "/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if process.stat().st_uid == 1001 and (process / "cmdline").read_bytes():
                    found.append(process.name)
        return sorted(found)

    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.state(host) for host in self.hosts]).encode()).hexdigest()

    def closed(self, host: LabHost) -> list[str]:
        """Mounts from which nothing can be started, of those from which something could."""
        lines = Path(f"/proc/{host.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
        found = [line.split() for line in lines]
        return [words[4] for words in found if words[4] in WRITABLE and "noexec" in words[5].split(",")]

    def permit_by_hand(self, host: LabHost) -> None:
        host.run("/bin/sh", "-c", _PERMIT)
        place = self.file(host, RESTRICTION)
        place.rmdir() if place.is_dir() else place.unlink(missing_ok=True)

    def forbid_by_hand(self, host: LabHost) -> None:
        host.run("/bin/sh", "-c", _FORBID)

    def release_by_hand(self, host: LabHost) -> None:
        self.nft(host, "flush", "ruleset")
        self.file(host, ISOLATION).unlink(missing_ok=True)

    def answers_by(self, host: LabHost, script: str) -> None:
        """From now on this runs in the place of the helper, as the account: a host in somebody else's hands."""
        self.file(host, "/usr/bin/sudo").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")

    def pace(self, host: LabHost, files: int = 0) -> None:
        """The scanner there waits for leave from now on, and has it for so many more files."""
        with self.file(host, PACED).open("ab") as leave:
            leave.write(b"." * files)

    def burden(self, host: LabHost) -> None:
        """As much as a package hashes at most lies in a folder where people may write."""
        host.run("/bin/sh", "-c", "for each in 1 2 3 4 5 6 7 8; do truncate -s 64M /tmp/large.$each; done")

    def start(self, host: LabHost, *command: str) -> None:
        """Ana runs it, and it goes on in the background."""
        script = 'exec setsid setpriv --reuid=1001 --regid=1001 --clear-groups "$@" >/dev/null 2>&1 <&1 &'
        host.run("/bin/sh", "-c", script, "sh", *command)

    def program(self, host: LabHost, path: str, mark: bytes = b"one of a kind") -> str:
        """A real program that waits, unlike any other; returns its hash."""
        sleep = self.file(host, "/usr/bin/sleep").read_bytes()
        return self.put(host, path, sleep + mark, 0o755, 1001)

    def programs(self, host: LabHost, sha256: str) -> list[int]:
        """The processes that run a program of that content, by their numbers on the host."""
        found = []
        for process in self.file(host, "/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if hashlib.sha256((process / "exe").read_bytes()).hexdigest() == sha256:
                    found.append(int(process.name))
        return found

    def change_key(self, host: LabHost) -> None:
        host.run("/bin/sh", "-c", _NEW_KEY)
        self._reload(host)

    def _reload(self, host: LabHost) -> None:
        """Returns once the new listener is up: for a moment nobody answers."""
        before = self.lab.log(host).count("Server listening on")
        host.run("/bin/sh", "-c", 'kill -HUP "$(cat /run/sshd.pid)"')
        assert until(lambda: self.lab.log(host).count("Server listening on") == before + 2)
