"""The canonical text of an event and its place in the chain.

The format, complete enough to be written again in another language:

- The text is UTF-8. It is the line `actioncenter-event 1` and then one entry per field, in the
  order of FIELDS. Every line ends with one line feed.
- An entry is `name:type:length:value`. `length` is the number of bytes of `value` in decimal.
  A value may itself contain colons and line feeds; only the length says where it ends.
- Types: `s` text as it is, without normalisation; `i` a decimal integer; `t` a time as decimal
  microseconds since 1970-01-01 00:00 UTC; `j` JSON; `n` no value, whose length is 0. So a
  missing text (`n`) and an empty one (`s`) differ.
- JSON has no white space, its object keys sorted by code point, characters above U+007F as
  themselves, and escapes only `"` and `\\` and those below U+0020 (`\\b \\t \\n \\f \\r`, else
  `\\u00xx` in lower case). Numbers are integers; a fraction or an exponent is refused.
- chain = HMAC-SHA256(key, before + text). `before` is the 32 bytes of the previous event's
  value in the same stream; for the first event 32 zero bytes and the stream's name.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final, NamedTuple

HEADER: Final = "actioncenter-event 1\n"
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "stream": "s",
        "seq": "i",
        "at": "t",
        "kind": "s",
        "actor": "s",
        "actor_name": "s",
        "actor_via": "s",
        "subject": "s",
        "subject_name": "s",
        "area": "i",
        "group_id": "i",
        "request_id": "s",
        "before": "j",
        "after": "j",
        "detail": "j",
    }
)
_ALONE: Final = frozenset({"stream", "seq", "subject", "subject_name", "detail"})
"""Fields that hardly two events share."""
_ENTRY: Final = re.compile(rb"([a-z_]+):([sitjn]):(\d+):")
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_CONSTANTS: Final[Mapping[Any, str]] = {None: "null", True: "true", False: "false"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def render(values: Mapping[str, Any]) -> str:
    """Canonical text of one event. Raises as `Pen.write` does."""
    return Pen().write(tuple(values[name] for name in FIELDS))[0]


def render_in_order(values: Sequence[Any]) -> str:
    """As `render`, of values in the order of `FIELDS`. For one event after another that have little in common."""
    return HEADER + _lines(_ALL, values)[0]


class Pen:
    """Writes events one after another; what they have in common is written once.

    JSON counts as common where it is the same object, which the caller keeps until the last is written.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[str, tuple[str | None, ...]]] = {}

    def write(self, values: tuple[Any, ...]) -> tuple[str, tuple[str | None, ...]]:
        """The canonical text of values in the order of `FIELDS`, and the JSON fields as they stand in it.

        Raises:
            TypeError, ValueError: a value can't be written without doubt (a float, a naive time,
                a lone surrogate, a JSON key that is no text).
        """
        parts: list[str] = [HEADER]
        jsons: tuple[str | None, ...] = ()
        for fields, among, scalars, alone in _RUNS:
            mine = values[among]
            if alone:
                text, found = _lines(fields, mine)
            else:
                key = (*mine[:scalars], *map(id, mine[scalars:]))
                text, found = self._known.get(key) or self._known.setdefault(key, _lines(fields, mine))
            parts.append(text)
            jsons += found
        return "".join(parts), jsons


class _Field(NamedTuple):
    start: str
    """What its line begins with."""
    type: str
    nothing: str
    """Its line without a value."""


class _Run(NamedTuple):
    """Neighbouring fields that are alike."""

    fields: Sequence[_Field]
    values: slice
    scalars: int
    """How many of them, from the first on, are no JSON."""
    alone: bool


def _field(name: str) -> _Field:
    return _Field(f"{name}:{FIELDS[name]}:", FIELDS[name], f"{name}:n:0:\n")


def _runs() -> list[_Run]:
    runs, start = [], 0
    for alone, names in groupby(FIELDS, _ALONE.__contains__):
        fields = [_field(name) for name in names]
        end = start + len(fields)
        scalars = sum(field.type != "j" for field in fields)
        runs.append(_Run(fields, slice(start, end), scalars, alone))
        start = end
    return runs


def _lines(fields: Sequence[_Field], values: Sequence[Any]) -> tuple[str, tuple[str | None, ...]]:
    """The lines of these fields, and the JSON among their values."""
    lines, jsons = [], []
    for (start, type_, nothing), value in zip(fields, values, strict=True):
        text = None
        if value is None:
            lines.append(nothing)
        else:
            text = value if type_ == "s" and type(value) is str else _WRITERS[type_](value)
            lines.append(f"{start}{len(text) if text.isascii() else len(text.encode())}:{text}\n")
        if type_ == "j":
            jsons.append(text)
    return "".join(lines), tuple(jsons)


def read(text: str) -> dict[str, Any]:
    """The values that `render` was given.

    Raises:
        ValueError: it is no canonical text.
    """
    if not text.startswith(HEADER):
        raise ValueError("unknown header")
    raw = text.encode()
    values: dict[str, Any] = {}
    position = len(HEADER)
    for name in FIELDS:
        entry = _ENTRY.match(raw, position)
        if entry is None or entry[1].decode() != name:
            raise ValueError(f"field {name} expected at byte {position}")
        end = entry.end() + int(entry[3])
        if raw[end : end + 1] != b"\n":
            raise ValueError(f"field {name} has a wrong length")
        values[name] = _READERS[entry[2].decode()](raw[entry.end() : end].decode())
        position = end + 1
    if position != len(raw):
        raise ValueError("text after the last field")
    return values


def link(key: bytes, stream: str, previous: str, text: str) -> str:
    """Chain value (hex) of an event; `previous` is that of the one before, "" for the first."""
    before = bytes.fromhex(previous) if previous else bytes(32) + stream.encode()
    return hmac.digest(key, before + text.encode(), "sha256").hex()


def canonical_json(value: object) -> str:
    if type(value) is dict and _PLAIN.issuperset(map(type, value.values())):
        # As the encoder writes it, in half the time; nearly all there is to write is of this kind.
        return "{" + ",".join([_name(name) + _plain(value[name]) for name in sorted(value)]) + "}"
    _check_json(value)
    return _JSON.encode(value)


def _plain(value: str | int | None) -> str:
    if type(value) is str:
        return encode_basestring(value)
    return str(value) if type(value) is int else _CONSTANTS[value]


@lru_cache(maxsize=1000)
def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a JSON key must be text, not {type(name).__name__}")
    return f"{encode_basestring(name)}:"


def _check_json(value: object) -> None:
    if type(value) in _PLAIN:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a JSON key must be text, not {type(key).__name__}")
            _check_json(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_json(inner)
    elif not (value is None or isinstance(value, str | int)):
        raise TypeError(f"{type(value).__name__} has no canonical form; use text or an integer")


def _microseconds(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time without zone")
    return str((value - _EPOCH) // _MICROSECOND)


_RUNS: Final = tuple(_runs())
_ALL: Final = tuple(map(_field, FIELDS))
_WRITERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "s": str,
    "i": "{:d}".format,
    "t": _microseconds,
    "j": canonical_json,
}
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "s": str,
    "i": int,
    "t": lambda value: _EPOCH + int(value) * _MICROSECOND,
    "j": json.loads,
    "n": lambda value: None,
}
