"""One spelling for each URL, and what a blocked one is looked up by: the rules of Safe Browsing. Pure.

Published as "URLs and Hashing"; its examples are tests. Where browsers read more into an address than
those rules (a backslash is a slash, full-width letters are letters), it is read as browsers do: otherwise
a link would lead elsewhere than where we looked.
"""

import hashlib
import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

from actioncenter.feeds.enums import EntryKind

LONGEST: Final = 8192
MOST_SUFFIXES: Final = 4
"""Hosts above the one itself that are looked up."""
MOST_FOLDERS: Final = 4
"""Folders that are looked up, the root among them."""
SCHEMES: Final = frozenset({b"http", b"https"})
_SCHEME: Final = re.compile(rb"([a-z][a-z0-9+.-]*):(//)?", re.IGNORECASE)
_PORT: Final = re.compile(rb"\d+(?=[/?\\]|$)")
_NUMBER: Final = re.compile(rb"(0x[0-9a-f]*|\d+)", re.IGNORECASE)
LONGEST_HOST: Final = 200
"""In a zone: the wildcard before it and the zone's own name behind it have to fit into 253 characters."""
_NAME: Final = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?=.{1,63}$)[a-z0-9-]*[a-z][a-z0-9-]*")
_DEVIATING: Final = frozenset("ßς\u200c\u200d")
"""Letters that browsers keep and the older rules of Python's codec replace, which would name another host."""
_KEPT: Final = bytes(set(range(33, 127)) - set(b"#%"))


class NotAnAddress(ValueError):
    """No web address; the text says why."""


@dataclass(frozen=True)
class Address:
    """`host` and `path` are canonical; `query` is None where there is no question mark."""

    scheme: str
    host: str
    path: str
    query: str | None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}{self._asked}"

    @property
    def _asked(self) -> str:
        return "" if self.query is None else f"?{self.query}"

    @property
    def expression(self) -> str:
        """What is blocked when this address is: without scheme, and without a query that is empty."""
        return f"{self.host}{self.path}{self._asked if self.query else ''}"

    @cached_property
    def is_ip(self) -> bool:
        try:
            ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return False
        return True

    @property
    def kind(self) -> EntryKind:
        """What a block of this address covers. What lies too deep to be looked up covers itself alone."""
        folders = self.path.count("/")
        if self.query or not self.path.endswith("/") or folders > MOST_FOLDERS:
            return EntryKind.URL
        if folders > 1:
            return EntryKind.PREFIX
        if self.is_ip:
            return EntryKind.ADDRESS
        deep = self.host.count(".") > MOST_SUFFIXES or len(self.host) > LONGEST_HOST
        return EntryKind.HOST if _NAME.fullmatch(self.host) and not deep else EntryKind.PREFIX

    def expressions(self) -> list[str]:
        """At most 30, of which one is on the list if this address is blocked."""
        paths = self._paths()
        return [f"{host}{path}" for host in self._hosts() for path in paths]

    def _hosts(self) -> list[str]:
        if self.is_ip:
            return [self.host]
        labels = self.host.split(".")[-MOST_SUFFIXES - 1 :]
        above = [".".join(labels[at:]) for at in range(len(labels) - 1)]
        return list(dict.fromkeys([self.host, *above]))[: MOST_SUFFIXES + 1]

    def _paths(self) -> list[str]:
        whole = [f"{self.path}{self._asked}"] if self.query else []
        folders = self.path.split("/")[1:-1][: MOST_FOLDERS - 1]
        above = ["/" + "".join(f"{name}/" for name in folders[:at]) for at in range(len(folders) + 1)]
        return list(dict.fromkeys([*whole, self.path, *above]))


def digest(expression: str) -> str:
    return hashlib.sha256(expression.encode()).hexdigest()


def read(text: str | bytes) -> Address:
    """The address in one spelling. Raises NotAnAddress."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(raw) > LONGEST:
        raise NotAnAddress(f"A URL has at most {LONGEST:,} characters.")
    scheme, rest = _scheme(raw.strip(b" \t\r\n").translate(None, b"\t\r\n"))
    rest = rest.partition(b"#")[0]
    before, mark, query = rest.partition(b"?")
    authority, slash, path = before.replace(b"\\", b"/").partition(b"/")
    host = _host(authority)
    if not host:
        raise NotAnAddress("It names no host.")
    asked = _escaped(_unescaped(query)) if mark else None
    return Address(scheme, host, _path(_unescaped(slash + path)), asked)


def _scheme(raw: bytes) -> tuple[str, bytes]:
    """The scheme, `http` where there is none, and what follows it."""
    found = _SCHEME.match(raw)
    if found is None or (not found[2] and _PORT.match(raw, found.end())):
        return "http", raw.lstrip(b"/\\")
    if found[1].lower() not in SCHEMES:
        raise NotAnAddress("Only http and https are web addresses.")
    return found[1].decode().lower(), raw[found.end(1) + 1 :].lstrip(b"/\\")


def _host(authority: bytes) -> str:
    name = _unescaped(authority.rpartition(b"@")[2])
    if name.startswith(b"["):
        return _ipv6(name.partition(b"]")[0][1:])
    name = re.sub(rb":\d*$", b"", name)
    name = re.sub(rb"\.+", b".", _as_ascii(name)).strip(b".").lower()
    number = _ipv4(name)
    return number or _escaped(name)


def _ipv6(text: bytes) -> str:
    try:
        return f"[{ipaddress.IPv6Address(text.decode('ascii', 'replace'))}]"
    except ValueError:
        raise NotAnAddress("Its host is no IP address.") from None


def _as_ascii(name: bytes) -> bytes:
    """Other alphabets as DNS has them. What is no text stays as it is."""
    if name.isascii():
        return name
    try:
        text = re.sub("[\u3002\uff0e\uff61]", ".", name.decode())
        labels = [_label(each) for each in text.split(".") if each]
    except UnicodeError:
        return name
    return b".".join(labels)


def _label(text: str) -> bytes:
    if _DEVIATING.isdisjoint(text):
        return text.encode("idna")
    plain = unicodedata.normalize("NFC", text.lower())
    return b"xn--" + plain.encode("punycode")


def _ipv4(name: bytes) -> str:
    """Of one to four numbers, decimal, octal or hexadecimal, the last of which fills the rest; else empty."""
    parts = name.split(b".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return ""
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return ""
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        return ""
    value = last + sum(number << (24 - 8 * at) for at, number in enumerate(first))
    return str(ipaddress.IPv4Address(value))


def _number(part: bytes) -> int:
    if part[:2].lower() == b"0x":
        return int(part[2:] or b"0", 16)
    return int(part, 8) if part.startswith(b"0") else int(part)


def _path(path: bytes) -> str:
    kept: list[bytes] = []
    names = re.sub(rb"/+", b"/", path).split(b"/")[1:]
    for name in names:
        if name == b"..":
            kept[-1:] = []
        elif name != b".":
            kept.append(name)
    if names and names[-1] in (b".", b".."):
        kept.append(b"")
    return _escaped(b"/" + b"/".join(kept))


def _unescaped(part: bytes) -> bytes:
    """Until nothing is left to unescape."""
    while b"%" in part and (plain := unquote_to_bytes(part)) != part:
        part = plain
    return part


def _escaped(part: bytes) -> str:
    if not part.translate(None, _KEPT):
        return part.decode("ascii")
    return "".join(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in part)
