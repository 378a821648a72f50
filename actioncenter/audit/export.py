"""The log as a file that anybody can check later without the product (docs/audit/format.md).

JSON lines in ASCII, keys sorted, no white space; written and read with memory for one seal.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from actioncenter.audit.canonical import microseconds
from actioncenter.audit.seals import SealText

FORMAT: Final = "actioncenter-audit-export 1"
CUT: Final = "actioncenter-audit-export 2"
"""Of a log that doesn't begin with its first event."""
REDACTED: Final = "actioncenter-audit-export 3"
"""Of one from which text was taken out, wherever it begins."""
AT_ONCE: Final = 500
"""Events asked for at a time."""


class Written(Protocol):
    """What an export needs of an event."""

    @property
    def pk(self) -> Any: ...
    @property
    def chain(self) -> str: ...
    @property
    def canonical(self) -> str: ...


class Sealed(Protocol):
    """What an export needs of a seal."""

    @property
    def text(self) -> str: ...
    @property
    def key_id(self) -> str: ...
    @property
    def signature(self) -> str: ...


def lines(
    events: Callable[[Sequence[int]], Iterable[Written]],
    seals: Iterable[Sealed],
    *,
    unsealed: Iterable[Written],
    public_keys: Mapping[str, bytes],
    at: datetime,
    product: str = "",
    audit_keys: Sequence[str] = (),
    cut: Sealed | None = None,
    redactions: Iterable[Sealed] = (),
) -> Iterator[str]:
    """Seals in the order of their numbers, unsealed events in that of their ids.

    `events` gives those of these ids in rising order. What is missing or unreadable is left out, so that an
    export of a damaged log shows the damage. `audit_keys` are ids of those that events may be chained with;
    `cut` is the purge after which the seals go on, `redactions` in the order of their numbers.
    """
    records = [redaction_line(each) for each in redactions]
    format_ = REDACTED if records else CUT if cut else FORMAT
    yield line(_header(public_keys, at, product, audit_keys) | {"format": format_})
    if cut:
        yield purge_line(cut)
    yield from records
    sealed = written = 0
    for seal in seals:
        sealed += 1
        yield seal_line(seal)
        for event in _events_of(seal, events):
            written += 1
            yield event_line(event.pk, event.chain, event.canonical)
    yield line({"unsealed": True})
    for event in unsealed:
        written += 1
        yield event_line(event.pk, event.chain, event.canonical)
    yield line({"end": {"seals": sealed, "events": written}})


def _header(
    public_keys: Mapping[str, bytes], at: datetime, product: str, audit_keys: Sequence[str]
) -> dict[str, object]:
    keys = {key_id: public.hex() for key_id, public in public_keys.items()}
    made = microseconds(at)
    perhaps = {"product": product, "audit_keys": sorted(audit_keys)}
    return {"format": FORMAT, "made_at_us": made, "public_keys": keys} | {
        name: value for name, value in perhaps.items() if value
    }


def _events_of(seal: Sealed, events: Callable[[Sequence[int]], Iterable[Written]]) -> Iterator[Written]:
    try:
        ids = SealText.read(seal.text).ids
    except ValueError:
        return
    for start in range(0, len(ids), AT_ONCE):
        yield from events(ids[start : start + AT_ONCE])


def event_line(pk: int, chain: str, text: str) -> str:
    return line({"event": pk, "chain": chain, "text": text})


def seal_line(seal: Sealed) -> str:
    return line({"seal": seal.text, "key": seal.key_id, "signature": seal.signature})


def purge_line(purge: Sealed) -> str:
    return line({"purge": purge.text, "key": purge.key_id, "signature": purge.signature})


def redaction_line(redaction: Sealed) -> str:
    return line({"redaction": redaction.text, "key": redaction.key_id, "signature": redaction.signature})


def line(said: Mapping[str, object]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n"
