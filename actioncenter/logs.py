"""How log lines are written: as text for people or as JSON for collectors, always one record a line.

What is being worked on is bound where the work begins and stands in every line that is written meanwhile.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
WITHIN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""The same without the line feed, which separates the lines of a traceback."""
SECRET = re.compile(r"(?i)(\w+://[^\s:/@]*:)[^\s/@]+(?=@)|(\bbearer\s+)\S+")
HIDDEN: Final = "***"
SHORTEST_SECRET: Final = 8

_facts: ContextVar[dict[str, Any]] = ContextVar("facts")


@contextmanager
def bound(**facts: Any) -> Iterator[None]:
    """Every line written in the block says these too, such as `action=1042`."""
    token = _facts.set({**_facts.get({}), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


def facts() -> dict[str, Any]:
    return dict(_facts.get({}))


class Scrubber:
    """Takes secrets out: those it was told, and whatever looks like a password in an address or a token."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        known = sorted({word for word in secrets if len(word) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return SECRET.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)


class OneLineFormatter(logging.Formatter):
    """One record, one first line: text from outside can't forge a second one. Lines of a traceback are set in."""

    def __init__(self, format: str | None = None, secrets: Sequence[str] = (), **more: Any) -> None:
        super().__init__(format, **more)
        self._scrub = Scrubber(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - named by the base class
        told = "".join(f" {name}={value}" for name, value in facts().items())
        return CONTROL.sub(_escaped, super().formatMessage(record) + told)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - named by the base class
        text = WITHIN.sub(_escaped, super().formatException(ei))
        return "\n".join(f"    {line}" for line in text.split("\n"))


def _escaped(found: "re.Match[str]") -> str:
    return f"\\x{ord(found[0]):02x}"


class OneObjectFormatter(JsonFormatter):
    """One JSON object a line, plain ASCII, so nothing in it reaches a terminal as a control character."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="at",
            json_ensure_ascii=True,
        )
        self._scrub = Scrubber(secrets)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        told = {**log_data, **facts()}
        return {name: self._scrub(value) if isinstance(value, str) else value for name, value in told.items()}
