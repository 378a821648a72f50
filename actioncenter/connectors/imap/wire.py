"""IMAP on a socket: commands written ahead of their answers, answers taken apart. Nothing of mail is known here."""

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actioncenter.connectors.imap.names import quoted

LITERAL: Final = re.compile(rb"\{(\d+)\}\r\n\Z")
STATUS: Final = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: \[([^\]]*)\])? ?(.*)", re.DOTALL)
LONGEST: Final = 100_000_000
"""Bytes of one answer; more is taken for a fault."""

Part = str | bytes
"""Of a command: text as it stands, or bytes that go as a literal."""


class Lost(Exception):
    """The line broke, stayed silent, or speaks no IMAP: what was sent may or may not have been done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` is the word in brackets, `said` the rest of the brackets, `data` what came untagged before."""

    status: str
    code: str
    said: str
    text: str
    data: Sequence[Any] = ()
    notes: Sequence["Reply"] = ()

    @property
    def ok(self) -> bool:
        return self.status == "OK"


@dataclass
class Wire:
    """One connection. Commands may be sent before earlier ones are answered; answers come in order."""

    sock: socket.socket
    can_write_ahead: bool = False
    """LITERAL+: literals need no leave."""
    _number: int = 0
    _file: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._file = self.sock.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def greeting(self) -> Reply:
        return _status(self._line()[0].removeprefix(b"* "))

    def send(self, *parts: Part) -> bytes:
        """Returns the tag to ask the answer for."""
        self._number += 1
        tag = b"a%d" % self._number
        pending = bytearray(tag)
        for part in parts:
            pending += b" "
            if isinstance(part, str):
                pending += part.encode("utf-8", "surrogateescape")
            elif self.can_write_ahead:
                pending += b"{%d+}\r\n%s" % (len(part), part)
            else:
                pending += b"{%d}\r\n" % len(part)
                self._write(bytes(pending))
                self._await_leave()
                pending = bytearray(part)
        self._write(bytes(pending) + b"\r\n")
        return tag

    def ask(self, *parts: Part) -> Reply:
        return self.answer(self.send(*parts))

    def answer(self, tag: bytes) -> Reply:
        """The answer to that command, which must be the oldest one not answered yet. Raises Lost."""
        data: list[Any] = []
        notes: list[Reply] = []
        while True:
            parts = self._line()
            head, _, rest = parts[0].partition(b" ")
            if head == tag:
                said = _status(rest)
                return Reply(said.status, said.code, said.said, said.text, data, notes)
            if head != b"*":
                raise Lost("The server answered something else than it was asked.")
            if STATUS.match(rest):
                notes.append(_status(rest))
                if notes[-1].status == "BYE":
                    raise Lost(f"The server hung up: {notes[-1].text}")
            else:
                data.append(list(tokens([rest, *parts[1:]])))

    def _await_leave(self) -> None:
        line = self._line()[0]
        if not line.startswith(b"+"):
            raise Lost("The server refused to take a text.")

    def _write(self, content: bytes) -> None:
        try:
            self.sock.sendall(content)
        except (OSError, ssl.SSLError) as error:
            raise Lost("The line broke.") from error

    def _line(self) -> list[bytes]:
        return whole_line(self._file)


def whole_line(file: Any) -> list[bytes]:
    """One answer, text and literals in turn. Raises Lost."""
    parts: list[bytes] = []
    try:
        while True:
            line = file.readline(LONGEST)
            if not line.endswith(b"\r\n"):
                raise Lost("The line broke.")
            found = LITERAL.search(line)
            if found is None:
                parts.append(line[:-2])
                return parts
            size = int(found[1])
            parts.append(line[: found.start()])
            if size > LONGEST:
                raise Lost("The server sent too much.")
            parts.append(file.read(size))
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Lost("No answer came.") from error


def text(value: str) -> Part:
    """A string of a command, quoted where it can be."""
    written = quoted(value)
    return value.encode("utf-8", "surrogateescape") if written is None else written.decode("ascii")


def _status(line: bytes) -> Reply:
    found = STATUS.match(line)
    if found is None:
        raise Lost("The server speaks no IMAP.")
    status, code, rest = (part.decode("utf-8", "replace") if part else "" for part in found.groups())
    word, _, said = code.partition(" ")
    return Reply(status, word.upper(), said, rest)


_TOKEN: Final = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"\[]*(?:\[[^\]]*\][^\s()]*)?))')
_ESCAPED: Final = re.compile(rb"\\(.)")


def tokens(parts: Sequence[bytes]) -> Iterator[Any]:
    """Atoms as str, strings as bytes, lists as lists; text and literals alternate in `parts`."""
    stack: list[list[Any]] = [[]]
    for place, part in enumerate(parts):
        if place % 2:
            stack[-1].append(part)
            continue
        at = 0
        while at < len(part):
            found = _TOKEN.match(part, at)
            if found is None or found.end() == at:
                raise Lost("The server's answer can't be read.")
            at = found.end()
            _take(found, stack)
    yield from stack[0]


def _take(found: re.Match[bytes], stack: list[list[Any]]) -> None:
    opened, closed, string, atom = found.groups()
    if opened:
        stack.append([])
    elif closed:
        if len(stack) == 1:
            raise Lost("The server's answer can't be read.")
        inner = stack.pop()
        stack[-1].append(inner)
    elif string is not None:
        stack[-1].append(_ESCAPED.sub(rb"\1", string))
    elif atom:
        stack[-1].append(None if atom.upper() == b"NIL" else atom.decode("utf-8", "replace"))
