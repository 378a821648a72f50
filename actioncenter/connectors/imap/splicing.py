"""Taking one attachment out of a message and leaving every other byte as it is. Pure.

Works by offsets in the text as the server gives it, because writing a parsed message anew changes it. Where a part
can't be taken out without harm (signed, encrypted, inside of another message, or the message itself), it says so.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, Final

MARK: Final = "Quarantined attachment"
DEPTH: Final = 20
"""Of parts within parts; deeper is taken for a fault."""
_SEALED: Final = frozenset({"multipart/signed", "multipart/encrypted"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which attachment is meant: by its hash, else by its name."""

    sha256: str = ""
    sha1: str = ""
    name: str = ""

    def meets(self, name: str, content: bytes) -> bool:
        if self.sha256:
            return hashlib.sha256(content).hexdigest() == self.sha256
        if self.sha1:
            return hashlib.sha1(content, usedforsecurity=False).hexdigest() == self.sha1
        return bool(self.name) and name == self.name


@dataclass(frozen=True, slots=True)
class Part:
    """Of a message, from the first byte of its head to the last before the boundary. `can_go`: without harm to the rest."""

    start: int
    end: int
    name: str
    content: bytes
    can_go: bool


def carried(raw: bytes, wish: Wish) -> list[Part]:
    """Every part of that message that is the attachment, also inside of messages that it forwards."""
    return [part for part in _leaves(raw, 0, len(raw), 0, whole=True) if wish.meets(part.name, part.content)]


def without(raw: bytes, parts: list[Part]) -> bytes | None:
    """The message with a note in the place of these parts; None where one of them can't go."""
    if not all(part.can_go for part in parts):
        return None
    for part in sorted(parts, key=lambda each: each.start, reverse=True):
        raw = raw[: part.start] + _note(part) + raw[part.end :]
    return raw


def _note(part: Part) -> bytes:
    digest = hashlib.sha256(part.content).hexdigest()
    name = _CONTROL.sub(" ", part.name)[:200] or "without a name"
    said = (
        "An attachment was taken out of this message and is kept in quarantine.\r\n\r\n"
        f"Name: {name}\r\nSHA-256: {digest}\r\n"
    )
    body = base64.encodebytes(said.encode("utf-8", "replace")).replace(b"\n", b"\r\n").rstrip()
    head = (
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Description: {MARK} {digest}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + body


def _leaves(
    raw: bytes, start: int, end: int, depth: int, *, whole: bool, can_go: bool = True
) -> Iterator[Part]:
    """`whole`: this is a message of its own and no part of one."""
    head_end = _head_end(raw, start, end)
    head = BytesHeaderParser().parsebytes(raw[start:head_end])
    kind = head.get_content_type()
    if depth > DEPTH:
        return
    if kind == "message/rfc822":
        yield from _leaves(raw, head_end, end, depth + 1, whole=True, can_go=False)
    elif head.get_content_maintype() == "multipart" and head.get_boundary():
        inside = can_go and kind not in _SEALED
        for first, last in _between(raw, head_end, end, str(head.get_boundary())):
            yield from _leaves(raw, first, last, depth + 1, whole=False, can_go=inside)
    else:
        yield Part(start, end, _name(head), _decoded(raw[start:end]), can_go and not whole)


def _head_end(raw: bytes, start: int, end: int) -> int:
    if raw[start : start + 2] == b"\r\n":
        return start + 2
    found = raw.find(b"\r\n\r\n", start, end)
    return found + 4 if found >= 0 else end


def _between(raw: bytes, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
    """From each boundary line to the line break before the next; the part that is never closed ends with the whole."""
    quoted = re.escape(boundary.encode("utf-8", "surrogateescape"))
    line = re.compile(rb"(?:\A|(?<=\r\n))--%s(--)?[ \t]*(?:\r\n|\Z)" % quoted)
    first = -1
    for found in line.finditer(raw[start:end]):
        if first >= 0:
            yield first, max(first, start + found.start() - 2)
        first = start + found.end()
        if found[1]:
            return
    if first >= 0:
        yield first, end


def _name(head: "Message[str, str]") -> str:
    try:
        return head.get_filename() or ""
    except (LookupError, ValueError):
        return ""


def _decoded(part: bytes) -> bytes:
    payload: Any = message_from_bytes(part).get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
