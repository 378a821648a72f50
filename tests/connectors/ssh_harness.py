"""Real hosts over a real sshd under the conformance suite."""

import os
import tarfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Artefact, Request, Target
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.places import JOURNAL, RESTRICTION, VAULT
from actioncenter.connectors.ssh.verbs import why_not
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Harness
from tests.connectors.ssh import systemd
from tests.connectors.ssh.fleet import PACED, SEED, Fleet
from tests.connectors.ssh.unzipping import unlocked
from tests.connectors.ssh.wires import until

BROUGHT = {ActionType.REQUEST_SAMPLE, ActionType.COLLECT_PACKAGE, ActionType.ANTIVIRUS_SCAN}
"""What changes no host: only its journal knows that it was done."""
ON_FILES = frozenset({TargetKind.FILE, TargetKind.TASK})


def _path(target: Target) -> str:
    return str(target.facts.get("path") or target.facts["name"])


class SshHarness(Harness):
    secret = SEED
    identity_code = "identity_changed"
    # sshd knows no "come again later": one that is busy drops the connection.
    has_patience = False
    searches = False

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.connector = fleet.connector()
        self.number = 0
        self._logged: dict[str, int] = {}
        self._is_new = True

    def opens(self, artefact: Artefact) -> bool:
        raw = b"".join(artefact.blocks())
        if artefact.password:
            return bool(unlocked(raw, artefact.password.encode())[1])
        with tarfile.open(fileobj=BytesIO(raw), mode="r:gz") as archive:
            return "manifest.json" in archive.getnames()

    def supports(self, request: Request) -> bool:
        return not why_not(request.type) and super().supports(request)

    def request(self, kind: ActionType, targets: int = 1) -> Request:
        numbers = range(self.number + 1, self.number + 1 + targets)
        self.number += targets
        self._answer_again()
        makers = {
            TargetKind.FILE: self._file,
            TargetKind.PROCESS: self._process,
            TargetKind.SERVICE: self._service,
            TargetKind.TASK: self._task,
        }
        make = makers.get(CATALOGUE[kind].kind, self._device)
        made = [make(kind, number) for number in numbers]
        raw = {"scan": "custom", "path": "/home/ana/Downloads"} if kind is ActionType.ANTIVIRUS_SCAN else {}
        return Request(str(uuid.uuid4()), kind, made, clean_parameters(kind, raw))

    def _device(self, kind: ActionType, number: int) -> Target:
        """Each host is as good as new once what isolated it before is gone."""
        place = number % len(self.fleet.hosts)
        host = self.fleet.hosts[place]
        if kind is ActionType.ISOLATE_DEVICE:
            self.fleet.release_by_hand(host)
        if kind is ActionType.RESTRICT_EXECUTION and self.fleet.closed(host):
            self.fleet.permit_by_hand(host)
        if kind is ActionType.OFFBOARD_DEVICE:
            self.fleet.enrol_again(host)
            # While it can still be asked.
            self.connector.capabilities(TargetKind.DEVICE, self.fleet.pins[place])
        facts: dict[str, Any] = {"name": host.name}
        if kind is ActionType.CONTAIN_DEVICE:
            # Each is one of the peers that carry it out, so the device itself is none of them.
            facts = {"name": "pc-7", "addresses": [f"10.77.9.{number}", f"fd77::9:{number:x}"]}
        return Target(f"t{number}", CATALOGUE[kind].kind, self.fleet.pins[place], facts)

    def _process(self, kind: ActionType, number: int) -> Target:
        path, host = f"/home/ana/Downloads/{number}/tool.bin", self.fleet.hosts[0]
        sha256 = self.fleet.program(host, path, f"tool {number}".encode())
        self.fleet.start(host, path, "1000")
        assert until(lambda: self.fleet.programs(host, sha256))
        (pid,) = self.fleet.programs(host, sha256)
        facts = {"pid": pid, "path": path, "sha256": sha256}
        return Target(f"t{number}", TargetKind.PROCESS, self.fleet.pins[0], facts)

    def _file(self, kind: ActionType, number: int) -> Target:
        path = f"/home/ana/Downloads/{number}/tool.bin"
        sha256 = self.fleet.put(self.fleet.hosts[0], path, f"tool {number}".encode() * 50, 0o755, 1001)
        return Target(f"t{number}", TargetKind.FILE, self.fleet.pins[0], {"path": path, "sha256": sha256})

    def _service(self, kind: ActionType, number: int) -> Target:
        host = self.fleet.hosts[0]
        # What an earlier test left goes, and what an earlier request of this one made stays.
        systemd.boot(self.fleet, host, clear=self._is_new)
        self._is_new = False
        unit = systemd.service(self.fleet, host, f"c{number}")
        return Target(f"t{number}", TargetKind.SERVICE, self.fleet.pins[0], {"name": unit})

    def _task(self, kind: ActionType, number: int) -> Target:
        path = f"/etc/cron.d/job{number}"
        self.fleet.put(self.fleet.hosts[0], path, f"0 * * * * root /tmp/job {number}\n".encode())
        return Target(f"t{number}", TargetKind.TASK, self.fleet.pins[0], {"name": path})

    def _each(self, request: Request) -> list[tuple[Target, LabHost]]:
        return [(target, self.fleet.host_of(target.remote)) for target in request.targets]

    def effects(self, request: Request) -> Mapping[str, int]:
        return Counter(key for host in self.fleet.hosts for key, _ in self.fleet.acted(host, request.id))

    def digest(self) -> str:
        return self.fleet.digest()

    def remember(self, request: Request) -> object:
        return [self._state(request.type, target, host) for target, host in self._each(request)]

    def _state(self, kind: ActionType, target: Target, host: LabHost) -> Any:
        if target.kind is TargetKind.PROCESS:
            return None
        if kind in BROUGHT:
            return kind
        if target.kind is TargetKind.SERVICE:
            return systemd.snapshot(self.fleet, host, str(target.facts["name"]))
        if target.kind in ON_FILES:
            return self.fleet.read(self._place(target, host))[1]
        return self.fleet.ruleset(host)

    def _place(self, target: Target, host: LabHost) -> Path:
        return self.fleet.file(host, _path(target))

    def put_back(self, request: Request, remembered: object) -> None:
        assert isinstance(remembered, list)
        for (target, host), state in zip(self._each(request), remembered, strict=True):
            if request.type in BROUGHT:
                self.fleet.file(host, f"{JOURNAL}/{request.id}.json").unlink()
            elif target.kind is TargetKind.PROCESS:
                self._run_again(target, host)
            elif target.kind is TargetKind.SERVICE:
                systemd.put_back(self.fleet, host, str(target.facts["name"]), state)
            elif request.type is ActionType.OFFBOARD_DEVICE:
                self.fleet.enrol_again(host)
            elif request.type is ActionType.RESTRICT_EXECUTION:
                self.fleet.permit_by_hand(host)
            elif request.type is ActionType.RELEASE_EXECUTION:
                self.fleet.forbid_by_hand(host)
            elif target.kind not in ON_FILES:
                self.fleet.nft(host, "-f", "-", stdin=f"flush ruleset\n{state}")
            elif state is None:
                self._place(target, host).unlink()
            else:
                self.fleet.put(host, _path(target), state, 0o755, 1001)

    def _run_again(self, target: Target, host: LabHost) -> None:
        """The same program under the same number, which the kernel gives next when it is told to."""
        number, path = int(target.facts["pid"]), str(target.facts["path"])
        script = 'echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid; exec setsid setpriv --reuid=1001 --regid=1001 --clear-groups "$2" 1000 >/dev/null 2>&1 </dev/null &'
        for _ in range(20):
            host.run("/bin/sh", "-c", script.replace("; exec", "; "), "sh", str(number), path)
            if until(lambda: number in self.fleet.programs(host, str(target.facts["sha256"])), 0.3):
                return
        raise AssertionError("its number went to somebody else each time")

    def occupy(self, request: Request) -> None:
        for target, host in self._each(request):
            if target.kind in ON_FILES:
                self.fleet.put(host, _path(target), b"something else")
            elif target.kind is TargetKind.SERVICE:
                systemd.occupy(self.fleet, host, str(target.facts["name"]))
            elif request.type is ActionType.OFFBOARD_DEVICE:
                self._fill_vault(host)
            else:
                self.fleet.nft(host, "insert", "rule", "inet", "actioncenter", "input", "accept")

    def _fill_vault(self, host: LabHost) -> None:
        self.fleet.put(host, f"{VAULT}/{'f' * 32}.json", b'{"path": "/tmp/tool", "released": ""}')

    def replace_thing(self, request: Request) -> None:
        self.occupy(request)

    def lose_answer(self, *, after_effect: bool) -> None:
        for host in self.fleet.hosts:
            place = self.fleet.file(host, "/run/lab/after" if after_effect else "/run/lab/before")
            place.mkdir()
            os.chown(place, 65534, 65534)

    def _answer_again(self) -> None:
        """An answer is lost once, wherever that was."""
        for host in self.fleet.hosts:
            for place in self.fleet.file(host, "/run/lab").iterdir():
                place.rmdir()

    def take_offline(self, request: Request) -> None:
        for _, host in self._each(request):
            self.fleet.cut_off(host)

    def fail_part(self, request: Request) -> set[str]:
        failing = [self._each(request)[place] for place in (1, 3)]
        for target, host in failing:
            if request.type is ActionType.ANTIVIRUS_SCAN:
                host.run("mv", "/usr/bin/clamscan", "/usr/bin/clamscan.away")
            elif target.kind in ON_FILES and CATALOGUE[request.type].is_inverse:
                self.fleet.put(host, _path(target), b"something else")
            elif target.kind is TargetKind.FILE:
                folder = self._place(target, host).parent
                folder.rename(f"{folder}.moved")
                folder.symlink_to(f"{folder.name}.moved")
                os.chown(folder, 1001, 1001, follow_symlinks=False)
            elif target.kind is TargetKind.TASK:
                self._place(target, host).unlink()
                self._place(target, host).symlink_to("/etc/passwd")
            elif target.kind is TargetKind.SERVICE:
                # Larger than anything that is kept, and no service any more.
                systemd.occupy(self.fleet, host, str(target.facts["name"]), "# more\n" * (1 << 18))
            elif request.type is ActionType.OFFBOARD_DEVICE:
                self._fill_vault(host)
            elif request.type in {ActionType.RESTRICT_EXECUTION, ActionType.RELEASE_EXECUTION}:
                # Nothing can be written down, so nothing is begun.
                self.fleet.file(host, RESTRICTION).unlink(missing_ok=True)
                self.fleet.file(host, RESTRICTION).mkdir(parents=True)
            else:
                host.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
        return {target.key for target, _ in failing}

    def slow_down(self, request: Request) -> None:
        """A few files in a folder are scanned, or packed, before anybody can ask how far that is."""
        for _, host in self._each(request):
            self.fleet.pace(host)
            if request.type is ActionType.COLLECT_PACKAGE:
                self.fleet.burden(host)

    def locked_out(self) -> SshHosts:
        return self.fleet.connector("0bad" * 16)

    def ask_for_patience(self, seconds: float) -> None:
        raise NotImplementedError

    def change_identity(self) -> None:
        for host in self.fleet.hosts:
            self.fleet.change_key(host)
            self._logged[host.name] = len(self.fleet.lab.log(host))

    def was_told_the_secret(self) -> bool:
        """What a host would be told is a certificate; the key that signs them never leaves."""
        new = [self.fleet.lab.log(host)[self._logged[host.name] :] for host in self.fleet.hosts]
        assert any("Connection from" in text for text in new)
        return any("certificate ID" in text for text in new)

    def advance(self, seconds: float) -> None:
        """Real hosts have their own time; a job there gets some of it."""
        for host in self.fleet.hosts:
            if self.fleet.file(host, PACED).exists():
                self.fleet.pace(host, 1)
        time.sleep(min(seconds, 0.2))

    def now(self) -> float:
        return time.time()
