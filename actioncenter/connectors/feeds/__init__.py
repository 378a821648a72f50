"""The product's own block list, which resolvers, proxies and gateways pull."""

from collections.abc import Mapping
from typing import Any, Final

from actioncenter.connectors.base import Json, Permanent
from actioncenter.connectors.feeds.connector import KIND, BlockList

__all__ = ["KIND", "LABEL", "SECRETS_SCHEMA", "SETTINGS_SCHEMA", "SIMULATED", "build", "validate"]

LABEL = "Block list"
SIMULATED = False
SETTINGS_SCHEMA: Final[Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Block list",
    "type": "object",
    "additionalProperties": False,
    "properties": {},
}
SECRETS_SCHEMA: Final[Json] = {"type": "object", "properties": {}}


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> BlockList:
    """`secret` brings the list itself, as `book`: it lies in the product's database. Raises Permanent."""
    book = secret.get("book")
    if book is None:
        raise Permanent("settings", "The block list is not part of this process.")
    return BlockList(book)


def validate(settings: Mapping[str, Any]) -> None:
    """There is nothing to set."""
