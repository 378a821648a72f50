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
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

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
OWN: Final = frozenset({"stream", "seq", "subject", "subject_name", "detail"})
"""Fields that hardly two events share."""
_ENTRY: Final = re.compile(rb"([a-z_]+):([sitjn]):(\d+):")
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def render(values: Mapping[str, Any]) -> str:
    """Canonical text of one event. Raises as `Pen.write` does."""
    return Pen().write(values)[0]


class Pen:
    """Writes events one after another; what they have in common is written once.

    JSON counts as common where it is the same object, which the caller keeps until the last is written.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any], tuple[str, str | None]] = {}

    def write(self, values: Mapping[str, Any]) -> tuple[str, dict[str, str | None]]:
        """The canonical text, and the JSON fields as they stand in it.

        Raises:
            TypeError, ValueError: a value can't be written without doubt (a float, a naive time,
                a lone surrogate, a JSON key that is no text).
        """
        known, parts, jsons = self._known, [HEADER], {}
        for name, type_ in FIELDS.items():
            value = values[name]
            if name in OWN:
                entry, text = _entry(name, type_, value)
            else:
                key = (name, id(value) if type_ == "j" else value)
                entry, text = known.get(key) or known.setdefault(key, _entry(name, type_, value))
            parts.append(entry)
            if type_ == "j":
                jsons[name] = text
        return "".join(parts), jsons


def _entry(name: str, type_: str, value: Any) -> tuple[str, str | None]:
    """The line of one field, and the value in it."""
    if value is None:
        return f"{name}:n:0:\n", None
    text = _WRITERS[type_](value)
    length = len(text) if text.isascii() else len(text.encode())
    return f"{name}:{type_}:{length}:{text}\n", text


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
    _check_json(value)
    return _JSON.encode(value)


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
