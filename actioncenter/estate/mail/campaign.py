"""Mail to find: ordinary letters and, among them, one campaign over several folders and flags.

Written as files into the maildirs, because handing thousands of messages over one by one would take minutes.
"""

import base64
import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Final

from actioncenter.estate.mail.dovecot import Dovecot, give

DOMAIN: Final = "halden.example"
SENDER: Final = "billing@pay-halden.example"
SUBJECT: Final = "Overdue: your invoice needs attention"
URL: Final = "https://pay-halden.example/invoice/confirm"
TOOL: Final = b"MZ" + bytes(range(256)) * 120
"""What the campaign carries; about 30 KB that start like a program and do nothing."""
FOLDERS: Final = ("", ".Archive", ".Junk", ".Projects.Alpha")
FLAGS: Final = ("", "S", "RS", "FS", "Sa", "a")
"""Of maildir file names: seen, replied, flagged; `a` is the first keyword."""
_BOUNDARY: Final = "=estate="
FORWARDING: Final = 25
"""One mailbox of so many forwards to the outside."""
_RULE: Final = """\
require ["copy", "fileinto"];
if header :contains "subject" "invoice" {
    redirect :copy "ledger@pay-halden.example";
}
if header :contains "subject" "minutes" { fileinto "Archive"; }
"""
KEYWORDS: Final = "0 $Followup\n"
START: Final = int(datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Letter:
    """`name` is the file's and so the message's GUID; `received` in seconds since the epoch."""

    name: str
    folder: str
    flags: str
    received: int
    content: bytes


def addresses(number: int, domain: str = DOMAIN) -> list[str]:
    return [f"person{each:03}@{domain}" for each in range(1, number + 1)]


def load(server: Dovecot, boxes: Sequence[str], *, ordinary: int, campaign: int, seed: int = 7) -> int:
    """Fill the mailboxes with so many letters each; returns how many there are in all."""
    chance, number = random.Random(seed), 0  # noqa: S311 - a seed gives the same mail again
    server.add_users(boxes)
    for address in boxes:
        letters = [*_ordinary(address, ordinary, chance), *_campaign(address, campaign, chance)]
        deliver(server, address, letters)
        number += len(letters)
    for address in boxes[::FORWARDING]:
        forward(server, address)
    return number


def forward(server: Dovecot, address: str) -> None:
    """A rule that somebody else wrote: letters about invoices also go to an address outside."""
    home = server.home(address)
    (home / "sieve").mkdir(parents=True, exist_ok=True)
    (home / "sieve" / "rules.sieve").write_text(_RULE)
    (home / ".dovecot.sieve").symlink_to("sieve/rules.sieve")
    give(home)


def deliver(server: Dovecot, address: str, letters: Sequence[Letter]) -> None:
    """Lay them into the maildir as a delivery agent would have done long ago."""
    home = server.home(address)
    for folder in {letter.folder for letter in letters}:
        make(home / "Maildir" / folder)
    for letter in letters:
        path = home / "Maildir" / letter.folder / "cur" / f"{letter.name}:2,{letter.flags}"
        path.write_bytes(letter.content)
        os.utime(path, (letter.received, letter.received))
    give(home)


def make(maildir: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    (maildir / "dovecot-keywords").write_text(KEYWORDS)
    if maildir.name.startswith("."):
        (maildir / "maildirfolder").touch()


def letter(
    address: str, message_id: str, *, sender: str = SENDER, subject: str = SUBJECT, text: str = URL,
    attachment: bytes = b"", folder: str = "", flags: str = "S", received: int = START,
) -> Letter:  # fmt: skip
    date = format_datetime(datetime.fromtimestamp(received, UTC))
    head = f"From: {sender}\nTo: {address}\nSubject: {subject}\nMessage-ID: {message_id}\nDate: {date}\nMIME-Version: 1.0\n"
    content = f"Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    if attachment:
        content = f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n{_part(content)}{_attached(attachment)}--{_BOUNDARY}--\n'
    unique = hashlib.sha256(f"{address} {message_id} {folder} {flags}".encode()).hexdigest()[:24]
    return Letter(f"{received}.{unique}.estate", folder, flags, received, (head + content).encode())


def _part(content: str) -> str:
    return f"--{_BOUNDARY}\n{content}"


@cache
def _attached(content: bytes) -> str:
    kind = 'application/octet-stream\nContent-Disposition: attachment; filename="invoice.exe"'
    encoded = base64.encodebytes(content).decode()
    return _part(f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{encoded}")


def nth_id(number: int) -> str:
    """Of the campaign; the same in every mailbox."""
    return f"<{number}.invoice@pay-halden.example>"


def _campaign(address: str, number: int, chance: random.Random) -> Iterator[Letter]:
    """Every recipient gets the same messages, each a copy of his own; a quarter carry the tool."""
    for each in range(number):
        yield letter(
            address, nth_id(each), attachment=TOOL if each % 4 == 0 else b"",
            text=f"Please confirm at once: {URL}?n={each}", folder=chance.choice(FOLDERS), flags=chance.choice(FLAGS),
            received=START + 60 * each,
        )  # fmt: skip


def _ordinary(address: str, number: int, chance: random.Random) -> Iterator[Letter]:
    for each in range(number):
        yield letter(
            address, f"<{each}.{address}>", sender=f"colleague{each % 9}@{DOMAIN}", subject=f"Minutes, part {each}",
            text="As agreed. " * chance.randrange(1, 60), folder=chance.choice(FOLDERS), flags=chance.choice(FLAGS),
            received=START - 3600 * each,
        )  # fmt: skip
