"""Cuts input into items before anything is decoded, so that a broken item leaves its neighbours whole.

Taken: one object, an array of objects, an object that wraps a list, several of these one after the
other, and JSON lines. Works on bytes: an item with broken UTF-8 is refused alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from investigations.intake.errors import ItemError

DOCUMENT_LIMIT = 64 * 1024 * 1024
NATIVE_MARK = b'"actioncenter/'
_LISTS = (b'"value"', b'"incidents"')
_NESTING = 10_000
MOST_ITEMS = 500_000
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],"]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}
_SPACE = b" \t\r\n"
_SOLID = re.compile(rb"[^ \t\r\n]")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Slice:
    """One item's bytes; `place` is where it stood inside a wrapper, e.g. `value[2]`."""

    line: int
    data: bytes
    place: str = ""


class _Broken(ValueError):
    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


def split(data: bytes) -> Iterator[Slice | ItemError]:
    if len(data) > DOCUMENT_LIMIT:
        yield ItemError(1, "", f"the input has more than {DOCUMENT_LIMIT:,} bytes; send it in parts")
        return
    try:
        data = _as_utf8(data)
    except UnicodeDecodeError:
        yield ItemError(1, "", "is not valid UTF-16")
        return
    if not data.strip(_SPACE):
        yield ItemError(1, "", "the input is empty")
    elif _has_lines(data):
        yield from _lines(data)
    else:
        yield from _values(data)


def _as_utf8(data: bytes) -> bytes:
    """Some shells write UTF-16 with a byte order mark when output is redirected to a file."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16").encode("utf-8")
    return data.removeprefix(b"\xef\xbb\xbf")


def _has_lines(data: bytes) -> bool:
    """JSON lines: the first line is a whole value with more behind it, or the whole isn't JSON but a line is."""
    first = _start(data, 0)
    stop = data.find(b"\n", first)
    if stop < 0:
        return False
    if _is_whole(data[first:stop]):
        return bool(data[stop:].strip(_SPACE))
    try:
        position = first
        while position < len(data):
            position = _start(data, _pieces(data, position)[1])
    except _Broken:
        return any(_is_whole(line) for line in data[stop:].split(b"\n"))
    return False


def _is_whole(line: bytes) -> bool:
    line = line.strip(_SPACE)
    try:
        return line[:1] == b"{" and line != b"{}" and _pieces(line, 0)[1] == len(line)
    except _Broken:
        return False


def _lines(data: bytes) -> Iterator[Slice | ItemError]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        line = line.strip(_SPACE)
        if line[:1] not in (b"", b"[") and not any(mark in line for mark in (*_LISTS, NATIVE_MARK)):
            yield Slice(number, line)
        elif line:
            try:
                yield from _items(line, 0, number)
            except _Broken as broken:
                yield ItemError(number, "", str(broken))


def _values(data: bytes) -> Iterator[Slice | ItemError]:
    position, line = 0, 1
    try:
        while (start := _start(data, position)) < len(data):
            line += data.count(b"\n", position, start)
            yield from _items(data, start, line)
            position = _pieces(data, start)[1]
            line += data.count(b"\n", start, position)
    except _Broken as broken:
        yield ItemError(1 + data.count(b"\n", 0, broken.offset), "", str(broken))


def _items(data: bytes, start: int, line: int) -> Iterator[Slice]:
    """The items of the value at `start`, which stands in this line."""
    pieces, end = _pieces(data, start)
    behind = _start(data, end)
    if data[behind : behind + 1] not in (b"", b"{", b"["):
        raise _Broken(end, "has something behind the JSON value")
    if data[start : start + 1] == b"[":
        yield from _elements(data, start, pieces, line, "")
        return
    members = {_key(data, piece): piece for piece in pieces}
    native = b'"alerts"' in members and _is_native(data, members.get(b'"format"'))
    for key in (b'"alerts"',) if native else _LISTS:
        listed = _list(data, members.get(key))
        if listed is None:
            continue
        envelope = [data[slice(*piece)] for name, piece in members.items() if name != key] if native else None
        yield from _elements(data, start, listed, line, key.strip(b'"').decode(), envelope)
        return
    yield Slice(line, data[start:end])


def _elements(
    data: bytes, position: int, pieces: list[Span], line: int, place: str, envelope: list[bytes] | None = None
) -> Iterator[Slice]:
    """`line` is that of `position`. With an envelope (own format) every element becomes a whole document."""
    head = b", ".join(part.strip(_SPACE).replace(b"\n", b" ") for part in envelope or ())
    for index, (start, end) in enumerate(pieces):
        start = min(_start(data, start), end)
        line += data.count(b"\n", position, start)
        position = start
        body = data[start:end].rstrip(_SPACE)
        if envelope is not None:
            body = b"{" + head + b', "alerts": [' + body + b"]}"
        yield Slice(line, body, f"{place}[{index}]")


def _is_native(data: bytes, piece: Span | None) -> bool:
    return piece is not None and NATIVE_MARK in data[slice(*piece)]


def _key(data: bytes, piece: Span) -> bytes:
    match = _TOKEN.match(data, _start(data, piece[0]), piece[1])
    return match[0] if match else b""


def _list(data: bytes, piece: Span | None) -> list[Span] | None:
    """The elements, if the member's value is an array of objects or empty."""
    if piece is None:
        return None
    begin = _start(data, data.index(b":", _start(data, piece[0]) + 1) + 1)
    if data[begin : begin + 1] != b"[":
        return None
    found = _pieces(data, begin)[0]
    if not found:
        return found
    first = _start(data, found[0][0])
    return found if data[first : first + 1] == b"{" else None


def _start(data: bytes, position: int) -> int:
    """The first position from here on that isn't white space."""
    match = _SOLID.search(data, position)
    return match.start() if match else len(data)


def _pieces(data: bytes, start: int) -> tuple[list[Span], int]:
    """What the commas of the array or object at `start` divide, and where it ends."""
    if data[start : start + 1] not in _CLOSING:
        raise _Broken(start, "is not a JSON object or array")
    stack: list[bytes] = []
    found: list[Span] = []
    begin = start + 1
    for match in _TOKEN.finditer(data, start):
        mark = match[0]
        if mark in _CLOSING and len(stack) < _NESTING:
            stack.append(_CLOSING[mark])
        elif mark == b"," and len(stack) == 1:
            found.append((begin, match.start()))
            begin = match.end()
            if len(found) > MOST_ITEMS:
                raise _Broken(begin, f"holds more than {MOST_ITEMS:,} items; send it in parts")
        elif mark in (b"}", b"]") and mark == stack[-1]:
            stack.pop()
            if not stack:
                if found or data[begin : match.start()].strip(_SPACE):
                    found.append((begin, match.start()))
                return found, match.end()
        elif len(mark) == 1 and mark != b",":
            raise _Broken(match.start(), "is not JSON: a quote or bracket has no partner, or nests too deep")
    raise _Broken(len(data), "is not complete JSON: a bracket is never closed")
