"""What the owner of a mailbox sees with a mail program of his own: the judge of what was carried out and undone."""

import imaplib
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from actioncenter.estate.mail.dovecot import Dovecot

Seen = tuple[str, ...]
_FETCHED = re.compile(
    rb'X-GUID (\S+) FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)" RFC822\.SIZE (\d+)'
)  # fmt: skip


def seen_by_owners(server: Dovecot, addresses: Iterable[str]) -> "Counter[Seen]":
    """Every message as mailbox, folder, GUID, flags and keywords, date, size; with how often it is there."""
    return Counter(seen for address in addresses for seen in _mailbox(server, address))


def _mailbox(server: Dovecot, address: str) -> Iterator[Seen]:
    with imaplib.IMAP4("127.0.0.1", server.port) as box:
        box.login(address, server.password)
        for line in box.list()[1]:
            if rb"\Noselect" in line:  # type: ignore[operator]
                continue
            name = bytes(line).rpartition(b' "/" ')[2].decode()  # type: ignore[arg-type]
            _, (count,) = box.select(name, readonly=True)
            if count != b"0":
                lines = box.fetch("1:*", "(X-GUID FLAGS INTERNALDATE RFC822.SIZE)")[1]
                yield from (_seen(address, name, bytes(each)) for each in lines)  # type: ignore[arg-type]


def _seen(address: str, folder: str, line: bytes) -> Seen:
    found = _FETCHED.search(line)
    if found is None:
        raise ValueError(f"{line!r} is no answer to what was asked")
    guid, flags, date, size = (part.decode() for part in found.groups())
    kept = " ".join(sorted(flag for flag in flags.split() if flag != r"\Recent"))
    return address, folder, guid, kept, date, size
