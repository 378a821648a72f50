"""The IMAP connector under the conformance suite: a real Dovecot behind a line that can be cut."""

import hashlib
import itertools
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Request, Target
from actioncenter.connectors.imap.connector import Imap
from actioncenter.connectors.imap.schema import Settings
from actioncenter.estate.mail import campaign
from actioncenter.estate.mail.dovecot import BOT, EXPUNGED, Dovecot, give
from tests.connectors.harness import Harness
from tests.connectors.imap_proxy import Proxy
from tests.connectors.sieve_proxy import SieveProxy

T = ActionType
FOLDER_OF = {
    T.QUARANTINE_EMAIL: ".Quarantine",
    T.SOFT_DELETE_EMAIL: ".Recoverable",
    T.MOVE_TO_JUNK: ".Junk",
    T.MOVE_TO_DELETED: ".Trash",
    T.MOVE_TO_INBOX: "",
}
"""Where each verb moves to, as the maildir calls it."""
SCRIPTED = frozenset({T.TURN_OFF_FORWARDING, T.RESTORE_FORWARDING})
AWAY = "thief@elsewhere.example"
FORWARDING = f"""\
require ["fileinto", "copy"];
# Everything of the bank goes to my own address too.
if header :contains "subject" "invoice" {{
    redirect :copy "{AWAY}";
    fileinto "Archive";
}}
""".replace("\n", "\r\n").encode()
TOOL = hashlib.sha256(campaign.TOOL).hexdigest()
MESSAGES = frozenset({TargetKind.CLUSTER, TargetKind.MESSAGE})
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Held:
    """A message in its file. `folder` is the maildir's."""

    home: Path
    folder: str
    path: Path

    @property
    def base(self) -> str:
        return self.path.name.partition(":")[0]


def messages(home: Path) -> list[Held]:
    """Every message of a mailbox as it lies on the disk, hidden copies included."""
    found = [
        Held(home, "" if path.parts[-3] == "Maildir" else path.parts[-3], path)
        for part in ("cur", "new")
        for path in (*home.glob(f"*/{part}/*"), *home.glob(f"*/.*/{part}/*"))
    ]
    return sorted(found, key=lambda held: held.path)


def arrived(home: Path, folder: str) -> int:
    """How many messages a folder ever took in: each gets the next number."""
    try:
        head, *rows = (home / "Maildir" / folder / "dovecot-uidlist").read_text().splitlines()
    except FileNotFoundError:
        return 0
    following = next(int(word[1:]) for word in head.split() if word[0] == "N")
    # Rows are appended; the head is brought up to date from time to time only.
    return max([following - 1, *(int(row.split()[0]) for row in rows)])


class ImapHarness(Harness):
    """Every target has a mailbox of its own, with one message."""

    def __init__(
        self, server: Dovecot, proxy: Proxy, sieve: SieveProxy, folder: Path, make: type[Imap] = Imap
    ) -> None:
        self.server = server
        self.proxy = proxy
        self.sieve = sieve
        proxy.reset()
        sieve.reset()
        self.secret = server.secret
        self.time = 1_700_000_000.0
        self.make = make
        self.folder = folder
        self.boxes: list[str] = []
        self.attached: list[str] = []
        """The last mailbox with an attachment."""
        self.came: dict[tuple[str, str], int] = {}
        """Of a mailbox and folder: what had arrived there before a request was made."""
        self.connector = self._build(server.secret)

    def _build(self, password: str) -> Imap:
        addresses = self.folder / "addresses"
        addresses.write_text("\n".join(self.boxes))
        settings = Settings.read(
            {"host": "127.0.0.1", "port": self.proxy.port, "fingerprint": self.proxy.fingerprint, "user": BOT,
             "sieve_port": self.sieve.port, "domains": [campaign.DOMAIN], "directory": addresses.name, "directories": str(self.folder), "expunged": f"{EXPUNGED}/", "chunk": 2}
        )  # fmt: skip
        return self.make(settings, password, lambda: self.time)

    def box(self, folder: str = "", flags: str = "Sa", attachment: bytes = b"") -> str:
        """A new mailbox with one message."""
        address = f"box{next(_numbers)}@halden.example"
        self.server.add_users([address])
        letter = campaign.letter(address, f"<1.{address}>", folder=folder, flags=flags, attachment=attachment)
        campaign.deliver(self.server, address, [letter])
        self.boxes.append(address)
        self.came[address, folder] = 1
        return address

    def home(self, target: Target) -> Path:
        return self.server.home(target.remote)

    def request(self, kind: ActionType, targets: int = 1) -> Request:
        what = CATALOGUE[kind].kind
        folder = ".Junk" if kind is T.MOVE_TO_INBOX else ""
        made = [self._target(what, folder, number) for number in range(targets)]
        for target in made if kind in SCRIPTED else ():
            self.script(target.remote, "mine", FORWARDING, active=True)
        return Request(str(uuid.uuid4()), kind, made, clean_parameters(kind, {}))

    def _target(self, what: TargetKind, folder: str, number: int) -> Target:
        if what is TargetKind.MAILBOX:
            address = self.box(folder)
            return Target(f"t{number}", what, address, {"address": address})
        if what is TargetKind.ATTACHMENT:
            address = self.box(folder, attachment=campaign.TOOL)
            self.attached = [address]
            facts = {"message_id": f"<1.{address}>", "mailbox": address, "sha256": TOOL}
            return Target(f"t{number}", what, address, facts)
        if what not in MESSAGES:
            return Target(f"t{number}", what, "anything", {"name": "anything"})
        address = self.box(folder)
        facts = {"message_id": f"<1.{address}>", "mailbox": address}
        return Target(f"t{number}", TargetKind.MESSAGE, address, facts)

    def script(self, address: str, name: str, content: bytes, *, active: bool = False) -> None:
        """As its owner would have laid it down with a program of his own."""
        home = self.server.home(address)
        (home / "sieve").mkdir(exist_ok=True)
        (home / "sieve" / f"{name}.sieve").write_bytes(content)
        if active:
            (home / ".dovecot.sieve").unlink(missing_ok=True)
            (home / ".dovecot.sieve").symlink_to(f"sieve/{name}.sieve")
        give(home)

    def scripts(self, address: str) -> tuple[str, dict[str, bytes]]:
        """The name of the active one, and all of them, as they lie on the disk."""
        home = self.server.home(address)
        link = home / ".dovecot.sieve"
        active = link.readlink().stem if link.is_symlink() else ""
        return active, {path.stem: path.read_bytes() for path in sorted(home.glob("sieve/*.sieve"))}

    def effects(self, request: Request) -> Mapping[str, int]:
        counted = {target.key: self._effect(request.type, target) for target in request.targets}
        return {key: count for key, count in counted.items() if count}

    def _effect(self, kind: ActionType, target: Target) -> int:
        if kind in SCRIPTED:
            # The undo of a test comes after its action, which made another script the active one too.
            return self.sieve.activated[target.remote] - (kind is T.RESTORE_FORWARDING)
        if kind is T.HARD_DELETE_EMAIL:
            return int(not messages(self.home(target)))
        if kind is T.QUARANTINE_ATTACHMENT:
            return arrived(self.home(target), ".Quarantine")
        home = next(folder for address, folder in self.came if address == target.remote)
        folder = FOLDER_OF.get(kind, home)
        # The copy without the part came there before the original came back.
        laid = kind is T.RELEASE_ATTACHMENT
        return arrived(self.home(target), folder) - self.came.get((target.remote, folder), 0) - laid

    def digest(self) -> str:
        found = [
            (address, held.folder, held.base, held.path.name.partition(":")[2])
            for address in self.boxes
            for held in messages(self.server.home(address))
        ]
        return repr((sorted(found), [self.scripts(address) for address in self.boxes]))

    def remember(self, request: Request) -> object:
        if request.type in SCRIPTED:
            return [self.scripts(target.remote) for target in request.targets]
        return [
            (held.path, held.path.read_bytes())
            for target in request.targets
            for held in messages(self.home(target))
        ]

    def put_back(self, request: Request, remembered: object) -> None:
        if request.type in SCRIPTED:
            known = cast(list[tuple[str, dict[str, bytes]]], remembered)
            for target, (active, contents) in zip(request.targets, known, strict=True):
                for name, content in contents.items():
                    self.script(target.remote, name, content, active=name == active)
            return
        for target in request.targets:
            for held in messages(self.home(target)):
                held.path.unlink()
        for path, content in cast(list[tuple[Path, bytes]], remembered):
            path.write_bytes(content)
            os.utime(path, (campaign.START, campaign.START))
            give(path)

    def occupy(self, request: Request) -> None:
        """Its reader moves it to another folder, or writes a script of his own."""
        for target in request.targets:
            if request.type in SCRIPTED:
                self.script(target.remote, "new", b"keep;\r\n", active=True)
            for held in messages(self.home(target)):
                self._lay(target, held.path.name, held.path.read_bytes(), ".Projects")
                held.path.unlink()

    def replace_thing(self, request: Request) -> None:
        """Another message under the same Message-ID."""
        for target in request.targets:
            for held in messages(self.home(target)):
                held.path.unlink()
                content = (
                    f"Message-ID: {target.facts['message_id']}\nSubject: Minutes of the board\n\n".encode()
                )
                self._lay(target, f"another.{held.path.name}", content, held.folder)

    def _lay(self, target: Target, name: str, content: bytes, folder: str) -> None:
        home = self.home(target)
        campaign.make(home / "Maildir" / folder)
        path = home / "Maildir" / folder / "cur" / name
        path.write_bytes(content)
        os.utime(path, (campaign.START, campaign.START))
        give(home)

    def lose_answer(self, *, after_effect: bool) -> None:
        # An attachment that was taken out is put back in two: the original returns, the copy without it goes.
        taken_out = any(arrived(self.server.home(each), ".Quarantine") for each in self.attached)
        self.proxy.lose(after_effect=after_effect, in_two=taken_out)
        self.sieve.lost = after_effect

    def take_offline(self, request: Request) -> None:
        self.proxy.away |= {target.remote for target in request.targets}

    def fail_part(self, request: Request) -> set[str]:
        """Two of the mailboxes may not be opened."""
        failing = [request.targets[index] for index in (2, 4)]
        self.proxy.closed |= {target.remote for target in failing}
        return {target.key for target in failing}

    def locked_out(self) -> Imap:
        return self._build(self.secret + "-but-wrong")

    def ask_for_patience(self, seconds: float) -> None:
        self.proxy.patience = seconds

    def change_identity(self) -> None:
        self.proxy.impostor = True

    def was_told_the_secret(self) -> bool:
        return self.proxy.told

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time
