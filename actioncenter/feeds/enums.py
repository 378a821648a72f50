"""Vocabulary of the block list. A leaf: no Django, anyone may read it."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class EntryKind(IntEnum):
    URL = 1
    """One address, with whatever query where it names none."""
    PREFIX = 2
    """Everything below one folder of a host."""
    HOST = 3
    """A host and every host below it."""
    ADDRESS = 4
    """A host that is an IP address: nothing is below it, and DNS never hears of it."""


class FeedFormat(IntEnum):
    """What a consumer takes, and under which name it asks for it."""

    URLS = 1
    DOMAINS = 2
    RPZ = 3
    JSON = 4


FILES: Final[Mapping[FeedFormat, str]] = {
    FeedFormat.URLS: "urls.txt",
    FeedFormat.DOMAINS: "domains.txt",
    FeedFormat.RPZ: "rpz.zone",
    FeedFormat.JSON: "list.json",
}
LABELS: Final[Mapping[FeedFormat, str]] = {
    FeedFormat.URLS: "Plain text",
    FeedFormat.DOMAINS: "Domains",
    FeedFormat.RPZ: "RPZ zone",
    FeedFormat.JSON: "JSON",
}
KIND_LABELS: Final[Mapping[EntryKind, str]] = {
    EntryKind.URL: "URL",
    EntryKind.PREFIX: "Folder",
    EntryKind.HOST: "Host and below",
    EntryKind.ADDRESS: "IP address",
}
_NAMES: Final = frozenset({EntryKind.HOST})
CARRIES: Final[Mapping[FeedFormat, frozenset[EntryKind]]] = {
    FeedFormat.URLS: frozenset(EntryKind),
    FeedFormat.DOMAINS: _NAMES,
    FeedFormat.RPZ: _NAMES,
    FeedFormat.JSON: frozenset(EntryKind),
}
"""What each format can say: DNS knows host names and nothing of what follows them."""


class ClickResult(IntEnum):
    SENT_ON = 1
    STOPPED = 2
