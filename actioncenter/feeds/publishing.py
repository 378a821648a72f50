"""The list in the formats that consumers take. What a format can't say isn't in it.

The version is read before the entries: what changes in between is in the text of an older version, which is
then pulled once more. The other way round a consumer would believe that it has what it hasn't.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from actioncenter.feeds.enums import CARRIES, EntryKind, FeedFormat
from actioncenter.feeds.models import Block, BlockList

REFRESH: Final = 30
"""Seconds after which a resolver asks again."""
TTL: Final = 30
AT_ONCE: Final = 2000
SERIALS: Final = 2**32
TYPES: Final[Mapping[FeedFormat, str]] = {
    FeedFormat.URLS: "text/plain; charset=utf-8",
    FeedFormat.DOMAINS: "text/plain; charset=utf-8",
    FeedFormat.RPZ: "text/dns",
    FeedFormat.JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """`until` is None where something that blocks it has no end."""

    kind: EntryKind
    expression: str
    until: datetime | None

    @property
    def host(self) -> str:
        return self.expression.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Published:
    version: int
    body: bytes


def etag(version: int, format: FeedFormat) -> str:
    return f'"{version}-{format.name.lower()}"'


def published(format: FeedFormat) -> Published:
    """The whole of the list as this format has it."""
    version = BlockList.current()
    return Published(version, "".join(_WRITERS[format](version, entries(CARRIES[format]))).encode())


def entries(kinds: Iterable[EntryKind]) -> Iterator[Entry]:
    """Each expression once, in order, for as long as the longest of what blocks it."""
    rows = Block.objects.published().filter(kind__in=list(kinds)).order_by("expression", "pk")
    last: Entry | None = None
    for kind, expression, until in rows.values_list("kind", "expression", "expires_at").iterator(AT_ONCE):
        if last is not None and last.expression == expression:
            last = Entry(last.kind, expression, _later(last.until, until))
            continue
        if last is not None:
            yield last
        last = Entry(EntryKind(kind), expression, until)
    if last is not None:
        yield last


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


def _urls(version: int, listed: Iterable[Entry]) -> Iterator[str]:
    yield f"# version {version}\n"
    for entry in listed:
        yield f"{entry.expression}\n"


def _domains(version: int, listed: Iterable[Entry]) -> Iterator[str]:
    yield f"# version {version}\n"
    for entry in listed:
        yield f"{entry.host}\n"


def _rpz(version: int, listed: Iterable[Entry]) -> Iterator[str]:
    """NXDOMAIN for the host and for whatever is below it."""
    yield f"$TTL {TTL}\n@ SOA localhost. root.localhost. {version % SERIALS} {REFRESH} {REFRESH} 86400 {TTL}\n"
    yield "@ NS localhost.\n"
    for entry in listed:
        yield f"{entry.host} CNAME .\n*.{entry.host} CNAME .\n"


def _json(version: int, listed: Iterable[Entry]) -> Iterator[str]:
    yield f'{{"version": {version}, "entries": ['
    for at, entry in enumerate(listed):
        until = entry.until.astimezone(UTC).isoformat(timespec="seconds") if entry.until else None
        said = {"kind": entry.kind.name.lower(), "expression": entry.expression, "until": until}
        yield f"{',' if at else ''}\n{json.dumps(said)}"
    yield "\n]}\n"


_WRITERS: Final[Mapping[FeedFormat, Callable[[int, Iterable[Entry]], Iterator[str]]]] = {
    FeedFormat.URLS: _urls,
    FeedFormat.DOMAINS: _domains,
    FeedFormat.RPZ: _rpz,
    FeedFormat.JSON: _json,
}
