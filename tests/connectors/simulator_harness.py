"""The simulator under the conformance suite."""

import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Delivery, Request, Target
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour
from actioncenter.connectors.simulator.running import Options
from actioncenter.connectors.simulator.table import case_of, owner_of
from investigations.enums import OsFamily
from tests.connectors.harness import Harness

K = TargetKind


def facts(kind: TargetKind, number: int) -> dict[str, Any]:
    path = rf"C:\Users\ana\tool{number}.exe"
    sha256 = f"{number:064x}"
    known: dict[TargetKind, dict[str, Any]] = {
        K.DEVICE: {"name": f"pc-{number}", "os_family": int(OsFamily.WINDOWS)},
        K.FILE: {"path": path, "sha256": sha256, "sha1": f"{number:040x}", "size": 1024},
        K.PROCESS: {"pid": number, "name": "tool.exe", "path": path, "sha256": sha256},
        K.SERVICE: {"name": f"svc{number}", "image_path": path},
        K.DRIVER: {"name": f"drv{number}", "image_path": path},
        K.TASK: {"name": rf"\Task {number}", "command": path},
        K.REGISTRY: {"hive": "HKLM", "key": rf"Software\Run{number}", "value_name": "tool", "value": path},
        K.URL: {"url": f"https://evil.example/{number}"},
        K.SENDER: {"sender": f"mallory{number}@evil.example"},
        K.CLUSTER: message(number),
        K.ATTACHMENT: {**message(number), "attachment_name": "bill.zip", "attachment_sha256": sha256},
        K.MAILBOX: {
            "address": "out@evil.example",
            "delegate": "eve@corp.example",
        },
        K.INVESTIGATION: {},
    }
    return known[kind]


def message(number: int) -> dict[str, Any]:
    return {
        "message_id": f"<{number}@evil.example>",
        "mailbox": f"user{number}@corp.example",
        "sender": "mallory@evil.example",
        "subject": "Your bill",
    }


def description(numbers: range, folder: str = "Inbox") -> dict[str, Any]:
    """The things that `facts` speak of, as the estate knows them."""

    def every(kind: TargetKind) -> list[dict[str, Any]]:
        return [facts(kind, number) for number in numbers]

    def device(remote: str) -> dict[str, Any]:
        return {
            "remote": remote,
            "files": every(K.FILE),
            "processes": every(K.PROCESS),
            "services": [{"name": each["name"], "path": each["image_path"]} for each in every(K.SERVICE)],
            "drivers": [{"name": each["name"], "path": each["image_path"]} for each in every(K.DRIVER)],
            "tasks": [{"name": each["name"], "definition": {"at": "daily"}} for each in every(K.TASK)],
            "registry": [
                {"hive": each["hive"], "key": each["key"], "values": {"tool": each["value"], "other": "x"}}
                for each in every(K.REGISTRY)
            ],
        }

    def mailbox(number: int) -> dict[str, Any]:
        attachment = {"name": "bill.zip", "sha256": f"{number:064x}", "size": 10}
        return {
            "address": f"user{number}@corp.example",
            "forwarding": [
                {"to": "out@evil.example", "external": True},
                {"to": "a@corp.example", "external": False},
            ],
            "delegates": ["eve@corp.example", "bob@corp.example"],
            "messages": [{**message(number), "folder": folder, "attachments": [attachment]}],
        }

    return {
        "devices": [device(f"pc-{number}") for number in (0, *numbers)],
        "mailboxes": [mailbox(number) for number in numbers],
    }


OCCUPIED: Mapping[TargetKind, dict[str, Any]] = {
    K.DEVICE: {"isolation": "selective"},
    K.FILE: {"status": "present", "sha256": "e" * 64, "sha1": "e" * 40, "vault": None},
    K.SERVICE: {"status": "running", "start": "manual"},
    K.DRIVER: {"loaded": True, "start": "manual"},
    K.TASK: {"definition": {"command": "another"}},
    K.REGISTRY: {"values": {"tool": "another"}},
    K.URL: {"blocked": True, "days": 99},
    K.SENDER: {"blocked": True, "days": 99},
    K.CLUSTER: {"folder": "Projects"},
    K.MAILBOX: {"forwarding": [{"to": "new@evil.example", "external": True}]},
}


REPLACED: Mapping[TargetKind, dict[str, Any]] = {
    K.DEVICE: {"name": "dc-01"},
    K.FILE: {"sha256": "e" * 64, "sha1": "e" * 40},
    K.CLUSTER: {"message_id": "<another@halden.example>", "subject": "Minutes of the board"},
}
"""What makes it another thing, by kind."""


class SimulatorHarness(Harness):
    """`seeded`: whether the estate knows the targets, or hears of them first from the request."""

    secret = "correct-horse-battery"

    def __init__(
        self,
        folder: Path,
        *,
        seeded: bool = True,
        delivery: Delivery = Delivery.KEYED,
        make: type[Simulator] = Simulator,
    ) -> None:
        self.estate = Estate(folder / "estate.sqlite3")
        self.options = Options(delivery, chunk=2, pace=8.0)
        self.time = 1_700_000_000.0
        self.make = make
        self.number = 0
        self.signings = 0
        self.seeded = seeded
        self.connector = self._build(self.secret)
        self.estate.require_token(self.secret)
        # The last connection to close writes the whole log back; one that stays open spares that.
        self._anchor = sqlite3.connect(self.estate.path)
        self._anchor.execute("SELECT 1 FROM meta").fetchone()

    def close(self) -> None:
        self._anchor.close()

    def _build(self, token: str) -> Simulator:
        return self.make(self.estate, self.options, token, lambda: self.time)

    def request(self, kind: ActionType, targets: int = 1) -> Request:
        numbers = range(self.number + 1, self.number + 1 + targets)
        self.number += targets
        if self.seeded:
            self.estate.seed(description(numbers, "Junk" if kind is ActionType.MOVE_TO_INBOX else "Inbox"))
        made = [self._target(kind, number) for number in numbers]
        return Request(str(uuid.uuid4()), kind, made, clean_parameters(kind, {}))

    def _target(self, kind: ActionType, number: int) -> Target:
        what = CATALOGUE[kind].kind
        shown = K.MESSAGE if what is K.CLUSTER else what
        on_mail = what in {K.CLUSTER, K.ATTACHMENT, K.MAILBOX}
        tenant = what in {K.URL, K.SENDER}
        device = f"pc-{number}" if what is K.DEVICE else "pc-0"
        remote = f"user{number}@corp.example" if on_mail else "tenant" if tenant else device
        return Target(f"t{number}", shown, remote, facts(what, number))

    def effects(self, request: Request) -> Mapping[str, int]:
        return {key: count for (_, key), count in self.estate.effects(request.id).items()}

    def digest(self) -> str:
        return self.estate.digest()

    def remember(self, request: Request) -> object:
        with self.estate.reading() as scene:
            return scene.sql.execute("SELECT kind, owner, name, state FROM things").fetchall()

    def put_back(self, request: Request, remembered: object) -> None:
        with self.estate.writing() as scene:
            scene.sql.execute("DELETE FROM things")
            scene.sql.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", cast(list[Any], remembered))

    def occupy(self, request: Request) -> None:
        kind = CATALOGUE[request.type].kind
        for target in request.targets:
            with self.estate.reading() as scene:
                ref = case_of(scene, request, target, self.time).ref
            self.estate.change(ref.kind, ref.name, ref.owner, **OCCUPIED[kind])

    def replace_thing(self, request: Request) -> None:
        kind = CATALOGUE[request.type].kind
        for target in request.targets:
            with self.estate.writing() as scene:
                case = case_of(scene, request, target, self.time)
                scene.put(case.ref, {**case.state, **REPLACED[kind]})

    def lose_answer(self, *, after_effect: bool) -> None:
        name = Behaviour.TIMEOUT_AFTER_EFFECT if after_effect else Behaviour.TIMEOUT_BEFORE_EFFECT
        self.estate.behave(name, times=1)

    def take_offline(self, request: Request) -> None:
        for target in request.targets:
            self.estate.behave(Behaviour.OFFLINE, owner=owner_of(request, target))

    def fail_part(self, request: Request) -> set[str]:
        self.estate.behave(Behaviour.PARTIAL, 0.4)
        return {request.targets[index].key for index in (2, 4)}

    def locked_out(self) -> Simulator:
        return self._build(self.secret + "-but-wrong")

    def ask_for_patience(self, seconds: float) -> None:
        self.estate.behave(Behaviour.THROTTLE, seconds or False)

    def change_identity(self) -> None:
        self.estate.behave(Behaviour.IMPOSTOR)
        self.signings = self.connector.signings

    def was_told_the_secret(self) -> bool:
        return self.connector.signings > self.signings

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time
