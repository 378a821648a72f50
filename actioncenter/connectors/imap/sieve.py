"""Sieve scripts (RFC 5228) as far as mail leaves by them: who is forwarded to, and the same script without that.

Reads what redirects (RFC 5228 §4.2, :copy by RFC 3894), notifies by mail (RFC 5435) and includes (RFC 6609). Pure.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final
from urllib.parse import parse_qsl, unquote

_TOKEN: Final = re.compile(
    rb"(?P<nothing>\s+|\#[^\n]*|/\*.*?\*/)"
    rb"|(?P<text>text:[ \t]*(?:\#[^\n]*)?\r?\n(?:[^\n]*\n)*?\.(?:\r?\n|\Z))"
    rb'|(?P<string>"(?:[^"\\]|\\.)*")'
    rb"|(?P<word>:?[A-Za-z_]\w*)"
    rb"|(?P<number>\d+[KMG]?)"
    rb"|(?P<mark>[\[\](){},;])",
    re.DOTALL | re.IGNORECASE,
)
_STUFFED: Final = re.compile(rb"(?m)^\.(?=\.)")
_UNSEEN: Final = frozenset({"pipe", "filter", "execute"})
"""Hand a message to a program of the server's."""


class Unreadable(Exception):
    """It isn't Sieve."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    start: int
    end: int
    raw: bytes

    @property
    def value(self) -> str:
        """Of a string, without its quotes and escapes."""
        if self.kind == "string":
            plain = re.sub(rb"\\(.)", rb"\1", self.raw[1:-1], flags=re.DOTALL)
        else:
            body = self.raw.partition(b"\n")[2].rpartition(b".")[0]
            plain = _STUFFED.sub(b"", body).rstrip(b"\r\n")
        return plain.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is lower case. Its span ends with the semicolon, or before the block that it opens."""

    name: str
    start: int
    end: int
    arguments: Sequence[Token]

    @property
    def strings(self) -> list[Token]:
        return [token for token in self.arguments if token.kind in {"string", "text"}]

    def has(self, tag: str) -> bool:
        return any(token.kind == "word" and token.raw.lower() == tag.encode() for token in self.arguments)


@dataclass(frozen=True, slots=True)
class Forward:
    """`to` as it is written; variables in it are known only when mail comes."""

    command: Command
    to: str

    def leaves(self, domains: Collection[str]) -> bool:
        address = parseaddr(self.to)[1] or self.to
        return "${" in self.to or address.rpartition("@")[2].lower().rstrip(".>") not in domains


@dataclass(frozen=True, slots=True)
class Script:
    """`includes` are the owner's other scripts by name; `unseen` is what can't be followed from here."""

    content: bytes
    forwards: Sequence[Forward]
    includes: Sequence[Token]
    unseen: Sequence[str]

    def without(self, domains: Collection[str], renamed: Mapping[str, str]) -> bytes:
        """The same, but nothing leaves by it, and it includes other scripts instead. What stays is kept to the byte."""
        changes = {
            (each.command.start, each.command.end): _instead(each.command)
            for each in self.forwards
            if each.leaves(domains)
        }
        for name in self.includes:
            if name.value in renamed:
                changes[name.start, name.end] = b'"%s"' % renamed[name.value].encode()
        made = self.content
        for (start, end), instead in sorted(changes.items(), reverse=True):
            made = made[:start] + instead + made[end:]
        return made


def read(content: bytes) -> Script:
    """Raises Unreadable."""
    forwards: list[Forward] = []
    includes: list[Token] = []
    unseen: list[str] = []
    for command in _commands(content):
        if command.name in {"redirect", "notify"}:
            forwards += [Forward(command, to) for to in _addresses(command)]
        elif command.name == "include" and not command.has(":global"):
            includes += command.strings[-1:]
        elif command.name == "include" or command.name in _UNSEEN:
            unseen.append(command.name)
    return Script(content, forwards, includes, unseen)


def _instead(command: Command) -> bytes:
    """A redirect alone takes the place of keeping the message, so it is kept; a copy or a notice just isn't sent."""
    return b"keep;" if command.name == "redirect" and not command.has(":copy") else b""


def _addresses(command: Command) -> list[str]:
    strings = [token.value for token in command.strings]
    if command.name == "redirect":
        return strings[-1:]
    found = []
    for string in strings:
        if string.lower().startswith("mailto:"):
            path, _, query = string[7:].partition("?")
            more = [value for name, value in parse_qsl(query) if name.lower() in {"to", "cc", "bcc"}]
            found += [each.strip() for each in ",".join([unquote(path), *more]).split(",") if each.strip()]
        elif command.has(":method") and "@" in string:
            found.append(string)  # as the draft had it that servers went by before RFC 5435
    if strings and strings[-1].startswith("${"):
        found.append(strings[-1])
    return found


def _commands(content: bytes) -> Iterator[Command]:
    """Every command, also inside of blocks. Tests are arguments of the command that they belong to."""
    words: list[Token] = []
    for token in _tokens(content):
        if token.raw == b"}" and not words:
            continue
        if token.raw in {b";", b"{"}:
            if words and words[0].kind == "word":
                end = token.end if token.raw == b";" else token.start
                yield Command(words[0].raw.decode().lower(), words[0].start, end, words[1:])
            words = []
        else:
            words.append(token)
    if words:
        raise Unreadable("It ends in the middle of a command.")


def _tokens(content: bytes) -> Iterator[Token]:
    at = 0
    while at < len(content):
        found = _TOKEN.match(content, at)
        if found is None:
            raise Unreadable(f"It can't be understood from byte {at} on.")
        at = found.end()
        if found.lastgroup and found.lastgroup != "nothing":
            yield Token(found.lastgroup, *found.span(), found[0])
