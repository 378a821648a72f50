"""Connector kinds by dotted path, loaded on first use: an import costs time and memory."""

from functools import cache
from importlib import import_module
from typing import cast

from actioncenter.connectors.base import Kind

KINDS = {
    "feeds": "actioncenter.connectors.feeds",
    "imap": "actioncenter.connectors.imap",
    "simulator": "actioncenter.connectors.simulator",
    "ssh": "actioncenter.connectors.ssh",
}


class UnknownKind(LookupError):
    """No connector of that kind is installed."""


@cache
def kind(name: str) -> Kind:
    """Return the module of a connector kind; raises UnknownKind."""
    try:
        path = KINDS[name]
    except KeyError:
        raise UnknownKind(f"no connector kind {name!r}; known: {', '.join(sorted(KINDS))}") from None
    return cast(Kind, import_module(path))
