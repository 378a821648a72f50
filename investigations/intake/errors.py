"""How a document that can't be taken is named to the person who sent it."""

from dataclasses import dataclass


class Rejected(ValueError):
    """One item is refused; `field` is a path inside the item, empty when the whole item is meant."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ItemError:
    """A refused item; `line` counts from 1 in the input as it came."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field + ': ' if self.field else ''}{self.reason}"
