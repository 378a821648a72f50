"""What this server was told of a request: a record before each touch, one with the answers after it.

The records are small messages in a folder of our own mailbox. So whoever comes with the same id, after a crash of
whichever side, learns what was begun and where every message lay before, and nothing is done twice.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actioncenter.connectors.base import Json, Outcome, Result
from actioncenter.connectors.imap.names import uid_set
from actioncenter.connectors.imap.session import Session
from actioncenter.connectors.imap.wire import Lost, Reply, text

FOLDER: Final = "Ledger"
INTENT, ANSWER, CANCEL = "intent", "answer", "cancel"


@dataclass
class Records:
    """By target key. `next` is the number that the next record gets at least."""

    intents: dict[str, Json] = field(default_factory=dict)
    answers: dict[str, Result] = field(default_factory=dict)
    cancelled: bool = False
    known: bool = False
    next: int = 1

    @property
    def doubtful(self) -> dict[str, Json]:
        """Begun, and it isn't known how it ended."""
        return {key: intent for key, intent in self.intents.items() if key not in self.answers}


class Ledger:
    """Of one request. `session` is signed in as ourselves."""

    def __init__(self, session: Session, request_id: str, *, now: float, keep_days: int) -> None:
        self.session = session
        self.request_id = request_id
        self.now = datetime.fromtimestamp(now, UTC)
        self.keep = timedelta(days=keep_days)

    def read(self, since: int = 1) -> Records:
        """The records from that number on. Raises Lost."""
        reply = self.session.wire.ask("EXAMINE", text(FOLDER))
        records = Records(next=max(since, _next(reply)))
        if not reply.ok:
            return records
        criteria = f"UID {since}:* HEADER Subject", text(self.request_id)
        found = self.session.wire.ask("UID SEARCH", *criteria)
        # A range that ends in * always holds the last message, whatever it begins with.
        uids = [uid for uid in map(int, found.data[0][1:] if found.data else []) if uid >= since]
        for uid in uids:
            self._take(uid, records)
        return records

    def _take(self, uid: int, records: Records) -> None:
        """One at a time, so that the memory it takes is that of one chunk."""
        reply = self.session.wire.ask(
            "UID FETCH", str(uid), "(BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
        )
        items: list[Any] = next((line[2] for line in reply.data if line[1:2] == ["FETCH"]), [])
        if not items:
            return
        parts = dict(zip(items[::2], items[1::2], strict=True))
        subject = parts["BODY[HEADER.FIELDS (SUBJECT)]"].decode().split()
        records.known = True
        if subject[-1] == CANCEL:
            records.cancelled = True
        for line in (parts["BODY[TEXT]"] or b"").decode().splitlines():
            told = json.loads(line)
            if subject[-1] == INTENT:
                records.intents[told["key"]] = told
            elif subject[-1] == ANSWER:
                records.answers[told["key"]] = Result(**{**told, "outcome": Outcome(told["outcome"])})

    def intend(self, intents: Mapping[str, Json]) -> None:
        self._append(INTENT, ({**intent, "key": key} for key, intent in intents.items()))

    def answer(self, results: Sequence[Result]) -> None:
        if results:
            self._append(ANSWER, map(asdict, results))

    def cancel(self) -> None:
        self._append(CANCEL, [])

    def _append(self, what: str, lines: Iterable[Json]) -> None:
        """Raises Lost, also where the server won't keep it: then nothing may be touched."""
        head = f"Subject: {self.request_id} {what}\r\nDate: {self.now:%a, %d %b %Y %H:%M:%S} +0000\r\n\r\n"
        record = head + "".join(f"{json.dumps(line)}\r\n" for line in lines)
        wire = self.session.wire
        date = f'"{self.now:%d-%b-%Y %H:%M:%S} +0000"'
        command = ("APPEND", text(FOLDER), r"(\Seen)", date, record.encode())
        reply = wire.ask(*command)
        if reply.code == "TRYCREATE":
            wire.ask("CREATE", text(FOLDER))
            reply = wire.ask(*command)
        if not reply.ok:
            raise Lost(f"The server keeps no record: {reply.text[:200]}")

    def tidy(self) -> None:
        """Drop records that nobody will ask for any more."""
        wire = self.session.wire
        if not wire.ask("SELECT", text(FOLDER)).ok:
            return
        found = wire.ask("UID SEARCH BEFORE", f"{self.now - self.keep:%d-%b-%Y}")
        if uids := [int(uid) for uid in (found.data[0][1:] if found.data else [])]:
            wire.ask("UID STORE", uid_set(uids), r"+FLAGS.SILENT (\Deleted)")
            wire.ask("UID EXPUNGE", uid_set(uids))


def _next(reply: Reply) -> int:
    return next((int(note.said) for note in reply.notes if note.code == "UIDNEXT"), 1)
