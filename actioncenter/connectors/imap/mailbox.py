"""One mailbox, opened: its folders, the copies of messages in them, and moving or expunging those."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actioncenter.connectors.base import Json
from actioncenter.connectors.imap.names import uid_set, uids_of, wired
from actioncenter.connectors.imap.schema import Settings
from actioncenter.connectors.imap.session import Session, validity
from actioncenter.connectors.imap.wire import Lost, Part, Reply, text

AHEAD: Final = 16
"""Folders that are asked about before the first answer is read."""
TERMS: Final = 100
"""Messages looked for by one SEARCH."""
INBOX: Final = "INBOX"
USUAL: Final = "UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_MESSAGE_ID: Final = re.compile(rb"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Copy:
    """A message where it lies. `id` is what stays the same wherever it is moved."""

    folder: str
    uidvalidity: int
    uid: int
    id: str
    message_id: str
    flags: tuple[str, ...]
    date: str
    size: int

    @property
    def at(self) -> tuple[str, int, int]:
        return self.folder, self.uidvalidity, self.uid

    def place(self) -> Json:
        return {
            "folder": self.folder,
            "uidvalidity": self.uidvalidity,
            "uid": self.uid,
            "id": self.id,
            "flags": list(self.flags),
            "date": self.date,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message looked for: by what stays the same, else by its Message-ID."""

    id: str = ""
    message_id: str = ""

    @property
    def is_named(self) -> bool:
        """Messages without a Message-ID must never be taken for one another."""
        return bool(self.id or self.message_id)

    def meets(self, copy: Copy) -> bool:
        return copy.id == self.id if self.id else copy.message_id == self.message_id


@dataclass
class Moved:
    """What came of moving: for each copy where it is now, why it isn't, or nothing where it has to be looked for."""

    to: dict[tuple[str, int, int], tuple[int, int]] = field(default_factory=dict)
    refused: dict[tuple[str, int, int], str] = field(default_factory=dict)


@dataclass
class Mailbox:
    session: Session
    settings: Settings
    _listed: dict[str, frozenset[str]] | None = None
    _delimiter: str = "/"

    def close(self) -> None:
        self.session.close()

    # Folders

    def folders(self) -> Mapping[str, frozenset[str]]:
        """Every folder that holds mail, with its attributes; the hidden ones aside."""
        if self._listed is None:
            listed: dict[str, frozenset[str]] = {}
            for line in self.session.wire.ask('LIST "" "*"', *self._special()).data:
                if line and line[0] == "LIST":
                    self._note(line, listed)
            self._listed = listed
        return self._listed

    def forget_folders(self) -> None:
        """Their owner may have made, renamed or deleted some."""
        self._listed = None

    def _special(self) -> Sequence[Part]:
        return ["RETURN (SPECIAL-USE)"] if "LIST-EXTENDED" in self.session.offered else []

    def _note(self, line: list[Any], listed: dict[str, frozenset[str]]) -> None:
        attributes, delimiter, name = (
            frozenset(str(each).lower() for each in line[1]),
            line[2],
            _name(line[3]),
        )
        self._delimiter = _name(delimiter) if delimiter else self._delimiter
        expunged = wired(self.settings.expunged)
        if attributes & {"\\noselect", "\\nonexistent"} or (expunged and name.startswith(expunged)):
            return
        listed[INBOX if name.upper() == INBOX else name] = attributes

    def hidden(self) -> list[str]:
        """Folders in which the server keeps what was expunged."""
        if not self.settings.expunged:
            return []
        reply = self.session.wire.ask('LIST ""', text(f"{wired(self.settings.expunged)}*"))
        return [_name(line[3]) for line in reply.data if line and line[0] == "LIST"]

    def named(self, name: str) -> str:
        """A folder of the settings as this server writes it."""
        self.folders()
        return wired(name.replace("/", self._delimiter))

    def ours(self) -> set[str]:
        """Folders out of their owners' reach."""
        return {self.named(self.settings.quarantine), self.named(self.settings.recoverable)}

    def special(self, attribute: str, usual: str) -> str:
        """The folder that the server marks for this use, else one of the usual name."""
        marked = (name for name, attributes in self.folders().items() if attribute in attributes)
        return next(marked, usual)

    def create(self, folder: str) -> bool:
        reply = self.session.wire.ask("CREATE", text(folder))
        self._listed = None
        return reply.ok or reply.code == "ALREADYEXISTS"

    # Looking

    def locate(self, wanted: Sequence[Wanted], folders: Iterable[str] | None = None) -> list[Copy]:
        """Every copy of these messages, wherever it is by now. Raises Lost.

        All folders are asked at once; only those with a hit are then read.
        """
        searched = list(self.folders() if folders is None else folders)
        found: list[Copy] = []
        for first in range(0, len(wanted), TERMS):
            part = wanted[first : first + TERMS]
            hits = list(self._search(searched, _terms(self.session.identity, part)))
            found += [copy for copy, _ in self.described(hits) if any(each.meets(copy) for each in part)]
        return list(dict.fromkeys(found))

    def _search(self, folders: Sequence[str], terms: Sequence[Part]) -> Iterator[tuple[str, int, list[int]]]:
        if not terms:
            return
        wire = self.session.wire
        for first in range(0, len(folders), AHEAD):
            part = folders[first : first + AHEAD]
            sent = [
                (folder, wire.send("EXAMINE", text(folder)), wire.send("UID SEARCH", *terms))
                for folder in part
            ]
            for folder, opened, searched in sent:
                uidvalidity, reply = validity(wire.answer(opened)), wire.answer(searched)
                if uidvalidity and (uids := _found(reply)):
                    yield folder, uidvalidity, uids

    def matching(self, terms: Sequence[Part]) -> list[tuple[str, int, list[int]]]:
        """Folder, UIDVALIDITY and UIDs of what meets the terms of a SEARCH; the quarantine and its like aside."""
        ours = self.ours()
        return list(self._search([name for name in self.folders() if name not in ours], terms))

    def described(
        self, hits: Sequence[tuple[str, int, list[int]]], items: str = ""
    ) -> Iterator[tuple[Copy, Mapping[str, Any]]]:
        """Each message with whatever else was asked of it; a folder that was made anew meanwhile is passed over."""
        wire, identity = self.session.wire, self.session.identity
        wanted = " ".join(filter(None, (USUAL, identity, items)))
        for first in range(0, len(hits), AHEAD):
            sent = [
                (
                    hit,
                    wire.send("EXAMINE", text(hit[0])),
                    wire.send("UID FETCH", uid_set(hit[2]), f"({wanted})"),
                )
                for hit in hits[first : first + AHEAD]
            ]
            for (folder, uidvalidity, _), opened, asked in sent:
                now, reply = validity(wire.answer(opened)), wire.answer(asked)
                for line in reply.data if now == uidvalidity else []:
                    if len(line) == 3 and line[1] == "FETCH":
                        found = _items(line[2])
                        yield _copy(folder, uidvalidity, found, identity), found

    # Touching

    def move(self, copies: Sequence[Copy], to: str) -> Moved:
        """Those of one folder, at once. What the server doesn't name as moved isn't taken for moved. Raises Lost."""
        moved = Moved()
        first = copies[0]
        if self.session.select(first.folder, writing=True) != first.uidvalidity:
            return moved
        uids = {copy.uid: copy for copy in copies}
        reply = self._move(list(uids), to)
        if not reply.ok and reply.code == "TRYCREATE" and self.create(to):
            self.session.wire.ask("SUBSCRIBE", text(to))
            reply = self._move(list(uids), to)
        for note in (reply, *reply.notes):
            if note.code == "COPYUID":
                uidvalidity, old, new = note.said.split()
                for source, target in zip(uids_of(old), uids_of(new), strict=True):
                    moved.to[uids[source].at] = (int(uidvalidity), target)
        # That a message vanished meanwhile is no reason to give up on the others.
        if not reply.ok and reply.code != "EXPUNGEISSUED":
            moved.refused |= {copy.at: _why(reply) for copy in copies if copy.at not in moved.to}
        return moved

    def _move(self, uids: list[int], to: str) -> Reply:
        return self.session.wire.ask("UID MOVE", uid_set(uids), text(to))

    def expunge(self, copies: Sequence[Copy]) -> str:
        """Those of one folder and no other, whatever else its owner marked; returns why not. Raises Lost."""
        first, wire = copies[0], self.session.wire
        if self.session.select(first.folder, writing=True) != first.uidvalidity:
            return "folder_changed: the folder was made anew meanwhile"
        uids = uid_set([copy.uid for copy in copies])
        for reply in (
            wire.ask("UID STORE", uids, r"+FLAGS.SILENT (\Deleted)"),
            wire.ask("UID EXPUNGE", uids),
        ):
            if not reply.ok:
                return _why(reply)
        return ""

    def erase(self, copies: Sequence[Copy]) -> str:
        """As `expunge`; what the server keeps of them among what it hides goes too."""
        same = [Wanted(copy.id, copy.message_id) for copy in copies]
        kept = self.locate(same, self.hidden())
        error = self.expunge(copies)
        for added in by_folder(copy for copy in self.locate(same, self.hidden()) if copy not in kept):
            error = error or self.expunge(added)
        return error

    def append(self, folder: str, flags: Iterable[str], date: str, content: bytes) -> tuple[int, int, str]:
        """Its UIDVALIDITY and UID, and why not where it isn't taken. Raises Lost."""
        reply = self.session.wire.ask("APPEND", text(folder), f"({' '.join(flags)})", f'"{date}"', content)
        uidvalidity, uid = map(int, reply.said.split()) if reply.code == "APPENDUID" else (0, 0)
        return uidvalidity, uid, "" if reply.ok else _why(reply)

    def mark(self, folder: str, at: tuple[int, int], flags: Iterable[str]) -> str:
        """Give the message of that UIDVALIDITY and UID these flags and no others; returns why not. Raises Lost."""
        if self.session.select(folder, writing=True) != at[0]:
            return "folder_changed: the folder was made anew meanwhile"
        reply = self.session.wire.ask("UID STORE", str(at[1]), f"FLAGS.SILENT ({' '.join(flags)})")
        return "" if reply.ok else _why(reply)


def by_folder(copies: Iterable[Copy]) -> Iterator[list[Copy]]:
    groups: dict[tuple[str, int], list[Copy]] = {}
    for copy in copies:
        groups.setdefault((copy.folder, copy.uidvalidity), []).append(copy)
    yield from groups.values()


def _why(reply: Reply) -> str:
    return f"{(reply.code or reply.status).lower()}: {reply.text[:200]}"


def _terms(identity: str, wanted: Sequence[Wanted]) -> list[Part]:
    single: list[list[Part]] = []
    for each in wanted:
        if identity and each.id:
            single.append([identity, text(each.id)])
        elif each.message_id:
            single.append(["HEADER Message-ID", text(each.message_id)])
    return [
        part
        for place, terms in enumerate(single)
        for part in (["OR"] if place < len(single) - 1 else []) + terms
    ]


def _found(reply: Reply) -> list[int]:
    for line in reply.data:
        if line and line[0] == "SEARCH":
            return [int(uid) for uid in line[1:]]
    return []


def _items(flat: list[Any]) -> dict[str, Any]:
    return {str(name).upper(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _name(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _copy(folder: str, uidvalidity: int, items: Mapping[str, Any], identity: str) -> Copy:
    header = items.get("BODY[HEADER.FIELDS (MESSAGE-ID)]") or b""
    found = _MESSAGE_ID.search(header)
    message_id = found[0].decode("utf-8", "replace") if found else ""
    date, size = _name(items["INTERNALDATE"]), int(items["RFC822.SIZE"])
    flags = tuple(sorted(str(flag) for flag in items["FLAGS"] if str(flag).lower() != "\\recent"))
    # Where the server has no name for it that lasts, these three together are the next best.
    known = items.get(identity) if identity else None
    known = known[0] if isinstance(known, list) else known
    stable = _name(known) if known else hashlib.sha256(f"{message_id} {date} {size}".encode()).hexdigest()
    return Copy(folder, uidvalidity, int(items["UID"]), stable, message_id, flags, date, size)


__all__ = ["AHEAD", "INBOX", "Copy", "Lost", "Mailbox", "Moved", "Wanted", "by_folder"]
