"""Strict JSON: what standard JSON leaves open is refused with the field it stands in."""

import json
import re
from collections.abc import Iterator
from typing import Any

from investigations.intake.errors import Rejected
from investigations.intake.text import FREE_CAP, clean_text

ITEM_LIMIT = 8 * 1024 * 1024
"""Bytes of one item (notes, threat 29)."""
VALUE_LIMIT = 200_000
"""Values of one item: many tiny ones cost far more memory than their text."""
DEPTH_LIMIT = 32
_DIGITS = 20

_OPEN, _CLOSE = b"{[", b"}]"
_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+(:?)', re.DOTALL)


class _Refused:
    """Stands where a value can't be used until its place is known."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def decode(data: bytes) -> dict[str, Any]:
    """Return one item; raises Rejected, or JSONDecodeError where the text isn't JSON at all."""
    _check_size(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("", f"is not UTF-8: byte {error.start + 1} of the item") from error
    value = json.loads(
        text, object_pairs_hook=_members, parse_constant=_constant, parse_int=_integer, parse_float=_decimal
    )
    if not isinstance(value, dict):
        raise Rejected("", "an item must be a JSON object")
    _check(value, "")
    return value


def _check_size(data: bytes) -> None:
    if len(data) > ITEM_LIMIT:
        field, length = heaviest(data)
        size = f"the item has {len(data):,} bytes, at most {ITEM_LIMIT:,} are taken"
        raise Rejected(field, f"has {length:,} bytes; {size}" if field else size)
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > VALUE_LIMIT:
        raise Rejected("", f"has more than {VALUE_LIMIT:,} values")
    if depth(data) > DEPTH_LIMIT:
        raise Rejected("", f"is nested deeper than {DEPTH_LIMIT} levels")


def heaviest(data: bytes) -> tuple[str, int]:
    """The member with the longest text and its length; no name when no text stands out."""
    key, worst, length = b"", b"", FREE_CAP
    for match in _STRING.finditer(data):
        if match[2]:
            key = match[1]
        elif match.end(1) - match.start(1) > length:
            worst, length = key, match.end(1) - match.start(1)
    return clean_text(worst.decode("utf-8", "replace"), 100).text, length


def depth(data: bytes) -> int:
    level = deepest = 0
    for match in _BRACKET.finditer(data):
        mark = match[0][:1]
        if mark in _OPEN:
            level += 1
            deepest = max(deepest, level)
        elif mark in _CLOSE:
            level -= 1
    return deepest


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        for name in {name for name in names if names.count(name) > 1}:
            found[name] = _Refused("is given twice")
    return found


def _constant(name: str) -> _Refused:
    return _Refused(f"{name} is not a JSON number")


def _integer(text: str) -> int | _Refused:
    return int(text) if len(text) <= _DIGITS else _Refused("is a number out of range")


def _decimal(text: str) -> float | _Refused:
    number = float(text)
    return number if abs(number) < float("inf") else _Refused("is a number out of range")


def _check(value: Any, path: str) -> None:
    if isinstance(value, _Refused):
        raise Rejected(path, value.reason)
    for name, member in _inside(value, path):
        _check(member, name)


def _inside(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield step(path, name), member
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield f"{path}[{index}]", member


def step(path: str, name: str) -> str:
    shown = clean_text(name, 100).text
    return f"{path}.{shown}" if path else shown
