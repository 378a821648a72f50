"""Folder names on the wire are modified UTF-7 (RFC 3501 §5.1.3), and strings may have to be literals."""

import base64
import re
from typing import Final

_ENCODED: Final = re.compile(r"&([^-]*)-")
_FOREIGN: Final = re.compile(r"[^\x20-\x7e]+")
_ATOM: Final = re.compile(rb"[A-Za-z0-9._/+=:@$&,-]+")


def shown(name: str) -> str:
    """As people write it; what can't be decoded stays as it is."""

    def decoded(found: re.Match[str]) -> str:
        body = found[1].replace(",", "/")
        if not body:
            return "&"
        try:
            return base64.b64decode(body + "=" * (-len(body) % 4)).decode("utf-16-be")
        except ValueError:
            return found[0]

    return _ENCODED.sub(decoded, name)


def wired(name: str) -> str:
    """As the server writes it."""

    def encoded(found: re.Match[str]) -> str:
        body = base64.b64encode(found[0].encode("utf-16-be")).rstrip(b"=").decode()
        return f"&{body.replace('/', ',')}-"

    return _FOREIGN.sub(encoded, name.replace("&", "&-"))


def quoted(text: str) -> bytes | None:
    """An atom or a quoted string; None where only a literal can carry it."""
    raw = text.encode("utf-8", "surrogateescape")
    if _ATOM.fullmatch(raw):
        return raw
    if any(byte < 0x20 or byte > 0x7E for byte in raw):
        return None
    escaped = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%s"' % escaped


def uid_set(uids: list[int]) -> str:
    """Ranges of consecutive numbers, in order: `4:9,12`."""
    ranges: list[list[int]] = []
    for uid in sorted(set(uids)):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def uids_of(text: str) -> list[int]:
    """The other way round, in the order given: that of COPYUID pairs."""
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        first, last = int(low), int(high or low)
        step = 1 if last >= first else -1
        found += range(first, last + step, step)
    return found
