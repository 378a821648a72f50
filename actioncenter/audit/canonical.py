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
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
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
_ENTRY: Final = re.compile(rb"([a-z_]+):([sitjn]):(\d+):")
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_CONSTANTS: Final[Mapping[Any, str]] = {None: "null", True: "true", False: "false"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def render(values: Mapping[str, Any]) -> str:
    """Canonical text of one event. Raises as `write` and `canonical_json` do."""
    return write([
        canonical_json(values[name]) if type_ == "j" and values[name] is not None else values[name]
        for name, type_ in FIELDS.items()
    ])  # fmt: skip


def write(values: Iterable[Any]) -> str:
    """Canonical text of values in the order of `FIELDS`, whose JSON is canonical already.

    Raises:
        TypeError, ValueError: a value is of another type, or can't be written without doubt (a naive
            time, a lone surrogate).
    """
    texts = list(values)
    if texts[_AT] is not None:
        texts[_AT] = microseconds(texts[_AT])
    _write_integers(texts)
    text = _joined(texts, len)
    return text if text.isascii() else _joined(texts, _bytes)


def says(text: str, values: Iterable[Any]) -> bool:
    """Whether that is the text of these values, in the order of `FIELDS`.

    They are as a database has them: JSON as text, however it is spaced and ordered, and the time in
    microseconds since 1970.

    Raises:
        TypeError, ValueError: a value is of another type, or has no canonical form.
    """
    texts = list(values)
    _write_integers(texts)
    for at in _JSONS:
        # Nearly always it stands there as it is, or was met before: reading it takes longer than all else.
        if texts[at] is not None and texts[at] not in text:
            texts[at] = _rewritten(texts[at])
    return _joined(texts, len if text.isascii() else _bytes) == text


def _write_integers(texts: list[Any]) -> None:
    for at in _INTEGERS:
        if texts[at] is not None:
            texts[at] = f"{texts[at]:d}"


def _joined(texts: Iterable[str | None], size: Callable[[str], int]) -> str:
    return HEADER + "".join([
        nothing if text is None else f"{start}{size(text)}:{text}\n"
        for (start, nothing), text in zip(_STARTS, texts, strict=True)
    ])  # fmt: skip


def _bytes(text: str) -> int:
    return len(str.encode(text))


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
def _rewritten(written: str) -> str:
    return canonical_json(json.loads(written))


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


def microseconds(at: datetime) -> int:
    """Since 1970-01-01 00:00 UTC. Raises ValueError: a time without zone."""
    if at.tzinfo is None:
        raise ValueError("a time without zone")
    return (at - _EPOCH) // _MICROSECOND


def moment(since: int) -> datetime:
    """The time so many microseconds after 1970-01-01 00:00 UTC."""
    return _EPOCH + since * _MICROSECOND


_TYPES: Final = "".join(FIELDS.values())
_AT: Final = _TYPES.index("t")
_INTEGERS: Final = [at for at, type_ in enumerate(_TYPES) if type_ in "it"]
_JSONS: Final = [at for at, type_ in enumerate(_TYPES) if type_ == "j"]
_STARTS: Final = [(f"{name}:{type_}:", f"{name}:n:0:\n") for name, type_ in FIELDS.items()]
"""What the line of a field begins with, and its line without a value."""
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "s": str,
    "i": int,
    "t": lambda value: moment(int(value)),
    "j": json.loads,
    "n": lambda value: None,
}
