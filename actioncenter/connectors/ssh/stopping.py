"""What a host says would stop, in sentences. It is only shown, so whatever makes no sense is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actioncenter.connectors.base import Json

MOST: Final = 10
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Stops:
    """`connections` and `programs` are None where nobody looked for them."""

    connections: int | None
    far: Sequence[str]
    listens: Sequence[str]
    programs: int | None
    running: Sequence[str]
    package: bool = False

    def sentences(self, name: str) -> Iterator[str]:
        if self.connections == 0:
            yield f"{name}: no connection is open now that would end"
        elif self.connections:
            yield f"{name}: {_some(self.connections, 'connection')} of now would end, with {_few(self.far)}"
        if self.listens:
            yield f"{name}: nobody reaches any more what listens there on {_few(self.listens, 'port')}"
        if self.programs:
            yield f"{name}: {_some(self.programs, 'program')} of now could not be started again: {_few(self.running)}"

    def warnings(self, name: str) -> list[str]:
        """What it would be refused for."""
        if not self.package:
            return []
        return [
            f"{name} is an unchanged file of an installed package. It is left alone, unless an admin has package files taken."
        ]

    def affected(self) -> list[Json]:
        found = (("connection", self.connections), ("program", self.programs))
        return [{"kind": kind, "count": number} for kind, number in found if number]


def read(told: Any) -> Stops:
    told = told if isinstance(told, dict) else {}
    return Stops(
        _number(told.get("connections")),
        _texts(told.get("with")),
        _texts(told.get("listens")),
        _number(told.get("programs")),
        _texts(told.get("from")),
        told.get("package") is True,
    )


def _number(value: Any) -> int | None:
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000 else None
    )


def _texts(value: Any) -> list[str]:
    return (
        [str(each)[:LONGEST] for each in value[:MOST] if isinstance(each, str | int)]
        if isinstance(value, list)
        else []
    )


def _some(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _few(texts: Sequence[str], what: str = "") -> str:
    named = ", ".join(texts) or "somebody"
    return f"{what}{'' if len(texts) == 1 else 's'} {named}" if what else named
