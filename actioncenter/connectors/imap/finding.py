"""Which messages a cluster means: asked of the server folder by folder, made sure of here.

The server's own search is generous (parts of words, parts of headers), so its hits are candidates only.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any, Final

from actioncenter.connectors.base import Permanent, Transient
from actioncenter.connectors.imap.mailbox import Copy, Mailbox
from actioncenter.connectors.imap.session import Away, Door, NoMailbox
from actioncenter.connectors.imap.wire import Lost, Part, text

KNOWN: Final = (
    "message_id", "sender", "sender_domain", "recipient", "subject", "subject_part", "mailbox", "url", "attachment_name",
    "attachment_sha256", "body_sha256",
)  # fmt: skip
WINDOW: Final = ("since", "until")
HEADERS: Final = "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT)]"
_KEY: Final = "BODY[HEADER.FIELDS (FROM TO CC SUBJECT)]"
AT_ONCE: Final = 20
"""Messages whose content is held at the same time."""
_SPACE: Final = re.compile(r"\s+")
_CONTENT: Final = frozenset({"url", "attachment_name", "attachment_sha256", "body_sha256"})


@dataclass(frozen=True, slots=True)
class Found:
    mailbox: str
    copy: Copy
    sender: str
    subject: str


@dataclass
class Hits:
    """`gaps` says where it could not be looked; then the result is not complete."""

    found: list[Found] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Values of KNOWN, of which one each has to be met; `since` and `until` in seconds since the epoch."""

    values: Mapping[str, tuple[str, ...]]
    since: float = 0.0
    until: float = 0.0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Criteria":
        """Raises Permanent for a criterion that isn't known, and for none at all."""
        if odd := sorted({*given} - {*KNOWN, *WINDOW}):
            raise Permanent(
                "criteria", f"Mail can be searched by {', '.join((*KNOWN, *WINDOW))}, not by {odd[0]}."
            )
        values = {name: _texts(given[name]) for name in KNOWN if given.get(name)}
        if not values:
            raise Permanent("criteria", f"A search needs one of {', '.join(KNOWN)}.")
        return cls(values, *(_moment(given.get(name)) for name in WINDOW))

    def terms(self) -> list[Part]:
        """For SEARCH. A hash can't be asked for: then the window and the other criteria have to narrow it."""
        terms: list[Part] = []
        for name, key in (("message_id", "HEADER Message-ID"), ("sender", "FROM"), ("sender_domain", "FROM"),
                          ("subject", "SUBJECT"), ("subject_part", "SUBJECT"), ("url", "BODY")):  # fmt: skip
            values = self.values.get(name, ())
            terms += ["OR"] * (len(values) - 1)
            for value in values:
                terms += [key, text(f"@{value}" if name == "sender_domain" else value)]
        named = self.values.get("recipient", ())
        terms += ["OR"] * (len(named) - 1)
        for value in named:
            terms += ["OR TO", text(value), "CC", text(value)]
        if self.since:
            terms.append(f"SINCE {_day(self.since)}")
        if self.until:
            terms.append(f"BEFORE {_day(self.until + 86400)}")
        return self._charset([*terms, *([] if terms else ["ALL"])])

    def _charset(self, terms: list[Part]) -> list[Part]:
        return ["CHARSET UTF-8", *terms] if any(isinstance(term, bytes) for term in terms) else terms

    def meets_head(self, copy: Copy, sender: str, subject: str, recipients: frozenset[str]) -> bool:
        received = datetime.strptime(copy.date.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()
        if received < self.since or (self.until and received > self.until):
            return False
        domain = sender.rpartition("@")[2]
        said = {"message_id": copy.message_id, "sender": sender, "sender_domain": domain, "subject": subject}
        named = self.values.get("recipient")
        if named is not None and recipients.isdisjoint(map(_plain, named)):
            return False
        parts = self.values.get("subject_part")
        return (parts is None or any(_plain(part) in _plain(subject) for part in parts)) and all(
            _plain(said[name]) in map(_plain, values) for name, values in self.values.items() if name in said
        )

    def among(self, mailboxes: Sequence[str]) -> Sequence[str]:
        """Those of the mailboxes in which it may lie."""
        named = self.values.get("mailbox")
        wanted = {_plain(each) for each in named or ()}
        return [each for each in mailboxes if each in wanted] if named else mailboxes

    @property
    def needs_content(self) -> bool:
        return bool(_CONTENT & self.values.keys())

    def meets_content(self, raw: bytes) -> bool:
        message = message_from_bytes(raw)
        checks = {
            "url": _has_url,
            "attachment_name": _has_name,
            "attachment_sha256": _has_attachment,
            "body_sha256": _has_body,
        }
        return all(
            any(checks[name](message, value) for value in self.values[name])
            for name in _CONTENT & self.values.keys()
        )


def find(door: Door, criteria: Criteria, mailboxes: Sequence[str]) -> Hits:
    """Raises Transient and Permanent, which speak of the whole server."""
    hits = Hits()
    with ThreadPoolExecutor(door.settings.connections) as pool:
        for part in pool.map(lambda address: _in_one(door, criteria, address), criteria.among(mailboxes)):
            hits.found += part.found
            hits.gaps += part.gaps
    return hits


def _in_one(door: Door, criteria: Criteria, address: str) -> Hits:
    try:
        box = Mailbox(door.enter(address), door.settings)
    except (Away, NoMailbox) as error:
        return Hits(gaps=[f"{address}: {error}"])
    try:
        return Hits(list(_matching(box, address, criteria)))
    except Lost as error:
        raise Transient(f"The mail server can't be spoken to. {error}") from error
    finally:
        box.close()


def _matching(box: Mailbox, address: str, criteria: Criteria) -> Iterator[Found]:
    candidates: list[Found] = []
    for copy, items in box.described(box.matching(criteria.terms()), HEADERS):
        head = message_from_bytes(items[_KEY] or b"")
        sender, subject = _sender(head), _SPACE.sub(" ", decoded(head["Subject"])).strip()
        if criteria.meets_head(copy, sender, subject, _recipients(head)):
            candidates.append(Found(address, copy, sender, subject))
    if not criteria.needs_content:
        yield from candidates
        return
    for first in range(0, len(candidates), AT_ONCE):
        part = {found.copy.at: found for found in candidates[first : first + AT_ONCE]}
        hits = [(at[0], at[1], [at[2]]) for at in part]
        for copy, items in box.described(hits, "BODY.PEEK[]"):
            if criteria.meets_content(items["BODY[]"] or b""):
                yield part[copy.at]


def _sender(head: Message) -> str:
    found = getaddresses([decoded(head["From"])])
    return found[0][1].lower() if found else ""


def _recipients(head: Message) -> frozenset[str]:
    """Whom the letter names, in whichever mailbox it lies; blind copies name nobody."""
    lines = [decoded(line) for name in ("To", "Cc") for line in head.get_all(name, ())]
    return frozenset(_plain(address) for _, address in getaddresses(lines) if address)


def decoded(header: Any) -> str:
    """A header as people read it; one that is made up to be unreadable stays as it is."""
    raw = str(header or "")
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, ValueError, HeaderParseError):
        return raw


def said_in(part: Message) -> str:
    """The text of a part. Whatever it claims to be written in, it is never refused."""
    raw = payload(part)
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def payload(part: Message) -> bytes:
    raw = part.get_payload(decode=True)
    return raw if isinstance(raw, bytes) else b""


def _has_url(message: Message, url: str) -> bool:
    return any(url in said_in(part) for part in message.walk() if part.get_content_maintype() == "text")


def _has_attachment(message: Message, sha256: str) -> bool:
    leaves = (part for part in message.walk() if not part.is_multipart())
    return any(hashlib.sha256(payload(part)).hexdigest() == sha256.lower() for part in leaves)


def _has_name(message: Message, name: str) -> bool:
    return any(_plain(decoded(part.get_filename())) == _plain(name) for part in message.walk())


def _has_body(message: Message, sha256: str) -> bool:
    return body_sha256(message) == sha256.lower()


def body_sha256(message: Message) -> str:
    """Of the text as people read it: lines and spaces differ from copy to copy, headers always do."""
    texts = [part for part in message.walk() if part.get_content_type() in {"text/plain", "text/html"}]
    bodies = [part for part in texts if part.get_content_disposition() != "attachment"]
    said = _SPACE.sub(" ", said_in(bodies[0])).strip() if bodies else ""
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in (value if isinstance(value, list | tuple) else [value]))


def _plain(value: str) -> str:
    return _SPACE.sub(" ", value).strip().casefold()


def _moment(value: Any) -> float:
    """Seconds since the epoch, given so or in ISO 8601. Raises Permanent."""
    if not value:
        return 0.0
    try:
        return (
            float(value) if isinstance(value, int | float) else datetime.fromisoformat(str(value)).timestamp()
        )
    except ValueError:
        raise Permanent("criteria", "A moment is given in seconds or as ISO 8601.") from None


def _day(moment: float) -> str:
    """SEARCH knows days only, by the server's zone; so one more at each end."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d-%b-%Y")
