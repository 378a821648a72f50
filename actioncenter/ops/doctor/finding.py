"""What a check finds."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Grade(StrEnum):
    ERROR = "error"
    """Something is wrong or about to be; somebody has to act."""
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is stable; `what` was found, what it `means`, and what to `do`."""

    code: str
    grade: Grade
    what: str
    means: str
    do: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Check = Callable[[], Iterator[Finding]]


def error(code: str, what: str, means: str, do: str) -> Finding:
    return Finding(code, Grade.ERROR, what, means, do)


def warning(code: str, what: str, means: str, do: str) -> Finding:
    return Finding(code, Grade.WARNING, what, means, do)


def info(code: str, what: str, means: str, do: str) -> Finding:
    return Finding(code, Grade.INFO, what, means, do)
