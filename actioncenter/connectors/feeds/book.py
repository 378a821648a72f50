"""What the connector needs of the list, which lies where connectors don't reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """A URL as the list has it. `kind` is url, prefix, host or address; `refusal` says why it is never blocked."""

    expression: str
    kind: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """One block. `until` is empty where it has no end."""

    key: str
    expression: str
    kind: str
    until: str
    placed_by: str
    released_by: str
    released: bool
    """By somebody, or its time was over."""
    listed: bool
    """Whether whoever pulls the list now is told of it."""


class Book(Protocol):
    """Every call is whole or raises: Transient where nothing was changed, Unknown where nobody can tell."""

    def read(self, url: str) -> Reading:
        """Raises Permanent for what is no web address."""

    def find(self, keys: Sequence[str]) -> dict[str, Held]: ...

    def others(self, expression: str, key: str) -> int:
        """How many other blocks hold the same."""

    def place(self, key: str, url: str, days: int, ref: str) -> Held: ...

    def release(self, key: str, ref: str) -> Held: ...

    def version(self) -> int: ...
