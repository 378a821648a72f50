"""Which format an item has, and reading a whole input item by item."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from investigations.intake import defender, graph, native, ocsf, wazuh
from investigations.intake.decoding import decode
from investigations.intake.documents import Document
from investigations.intake.errors import ItemError, Rejected
from investigations.intake.splitting import DOCUMENT_LIMIT, Slice, split

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One accepted item. `line` counts from 1 in the input as it came."""

    line: int
    format: str
    document: Document


def _is_native(raw: Raw) -> bool:
    return isinstance(raw.get("format"), str) and raw["format"].startswith("actioncenter/")


def _is_graph(raw: Raw) -> bool:
    if isinstance(raw.get("alerts"), list) and {"displayName", "incidentWebUrl"} & raw.keys():
        return True
    return isinstance(raw.get("evidence"), list) and {"createdDateTime", "providerAlertId"} <= raw.keys()


def _is_defender(raw: Raw) -> bool:
    return ("incidentId" in raw and isinstance(raw.get("alerts"), list)) or {
        "alertId",
        "entities",
    } <= raw.keys()


def _is_ocsf(raw: Raw) -> bool:
    return "class_uid" in raw and isinstance(raw.get("metadata"), dict)


def _is_wazuh(raw: Raw) -> bool:
    body = raw["_source"] if isinstance(raw.get("_source"), dict) else raw
    return (
        isinstance(body.get("rule"), dict)
        and "level" in body["rule"]
        and bool({"agent", "manager"} & body.keys())
    )


_RECOGNISERS: Mapping[str, Callable[[Raw], bool]] = {
    "native": _is_native,
    "graph": _is_graph,
    "defender": _is_defender,
    "ocsf": _is_ocsf,
    "wazuh": _is_wazuh,
}
_MAPPERS: Mapping[str, Callable[[Raw, str], Document]] = {
    "native": native.to_document,
    "graph": graph.to_document,
    "defender": defender.to_document,
    "ocsf": ocsf.to_document,
    "wazuh": wazuh.to_document,
}
FORMATS = tuple(_MAPPERS)


def recognise(raw: Raw) -> str:
    """Raises Rejected."""
    for name, fits in _RECOGNISERS.items():
        if fits(raw):
            return name
    raise Rejected("", f"the format isn't known; it must be one of {', '.join(FORMATS)}")


def to_document(raw: Raw, format: str = "", source: str = "") -> Document:
    """Map one decoded item; `source` replaces the format's own name for it. Raises Rejected."""
    return _MAPPERS[format or recognise(raw)](raw, source)


def read(stream: BinaryIO, format: str = "", source: str = "") -> Iterator[Item | ItemError]:
    """Every item of the input, accepted or refused. Needs memory for the whole of it (64 MiB at most)."""
    for part in split(stream.read(DOCUMENT_LIMIT + 1)):
        yield part if isinstance(part, ItemError) else _read_one(part, format, source)


def _read_one(part: Slice, format: str, source: str) -> Item | ItemError:
    try:
        raw = decode(part.data)
        name = format or recognise(raw)
        return Item(part.line, name, to_document(raw, name, source))
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error.msg} (column {error.colno})"
        return ItemError(part.line + error.lineno - 1, part.place, reason)
    except Rejected as error:
        return ItemError(part.line, _place(part.place, error.field), error.reason)


def _place(place: str, field: str) -> str:
    """An alert of our own format was cut out of its list and is number 0 of its copy."""
    if place.startswith("alerts["):
        return field.replace("alerts[0]", place, 1)
    return f"{place}.{field}" if place and field else place or field
