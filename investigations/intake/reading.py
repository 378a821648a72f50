"""A typed look into one decoded object. Every text that leaves it has passed clean_text."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from investigations.intake.decoding import step
from investigations.intake.errors import Rejected
from investigations.intake.text import FREE_CAP, NAME_CAP, clean_text

LARGEST = 2**63 - 1
IDENT_CAP = 255
LONGEST_LIST = 200
"""Members kept of a list that is only shown."""
_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_NUMBER = re.compile(r"-?\d{1,19}")


class Reader:
    """`changes` is shared with the readers made from this one, until `fresh` starts a new record.

    Several names mean: the first that has a value. What has the wrong type raises Rejected.
    """

    def __init__(self, raw: Mapping[str, Any], path: str = "", changes: list[str] | None = None) -> None:
        self.raw = raw
        self.path = path
        self.changes: list[str] = [] if changes is None else changes

    def __bool__(self) -> bool:
        return bool(self.raw)

    @property
    def altered(self) -> bool:
        return bool(self.changes)

    def fresh(self) -> Self:
        return type(self)(self.raw, self.path)

    def field(self, name: str) -> str:
        return step(self.path, name)

    def refuse(self, name: str, reason: str) -> Rejected:
        return Rejected(self.field(name), reason)

    def clean(self, value: str, name: str, cap: int) -> str:
        text, altered = clean_text(value, cap)
        if altered:
            self.changes.append(self.field(name))
        return text

    def _first(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            value = self.raw.get(name)
            if value is not None and value != "":
                return name, value
        return names[0], None

    def text(self, *names: str, cap: int = NAME_CAP) -> str:
        name, value = self._first(names)
        if value is None:
            return ""
        if isinstance(value, bool | dict | list):
            raise self.refuse(name, "must be text")
        return self.clean(str(value), name, cap).strip()

    def required(self, *names: str, cap: int = NAME_CAP) -> str:
        text = self.text(*names, cap=cap)
        if not text:
            raise self.refuse(names[0], "is required")
        return text

    def ident(self, *names: str) -> str:
        """An id is never cut: two long ones would become one."""
        text = self.text(*names, cap=IDENT_CAP + 1)
        if len(text) > IDENT_CAP:
            raise self.refuse(names[0], f"is an id of more than {IDENT_CAP} characters")
        return text

    def required_ident(self, *names: str) -> str:
        text = self.ident(*names)
        if not text:
            raise self.refuse(names[0], "is required")
        return text

    def code(self, *names: str) -> str:
        """A value of some enumeration, in lower case and without blanks or separators."""
        return re.sub(r"[\s_-]", "", self.text(*names)).lower()

    def number(self, *names: str) -> int | None:
        name, value = self._first(names)
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = int(value)
        if value is None or (
            isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
        ):
            return value
        if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST:
            return int(value)
        raise self.refuse(name, "must be a whole number")

    def flag(self, *names: str) -> bool | None:
        name, value = self._first(names)
        if value is None or isinstance(value, bool):
            return value
        if str(value).lower() in {"true", "false", "1", "0"}:
            return str(value).lower() in {"true", "1"}
        raise self.refuse(name, "must be true or false")

    def when(self, *names: str) -> datetime | None:
        """ISO 8601 text, or seconds, milli-, micro- or nanoseconds since 1970. Naive times are UTC."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, bool | dict | list):
            raise self.refuse(name, "must be a date and time")
        try:
            return _moment(value)
        except (ValueError, OverflowError, OSError) as error:
            raise self.refuse(name, "is not a date and time") from error

    def required_when(self, *names: str) -> datetime:
        moment = self.when(*names)
        if moment is None:
            raise self.refuse(names[0], "is required")
        return moment

    def iso(self, *names: str) -> str:
        moment = self.when(*names)
        return moment.isoformat() if moment else ""

    def child(self, *names: str) -> Self:
        name, value = self._first(names)
        if value is not None and not isinstance(value, dict):
            raise self.refuse(name, "must be an object")
        return type(self)(value or {}, self.field(name), self.changes)

    def children(self, *names: str) -> Iterator[Self]:
        name, value = self._first(names)
        if value is not None and not isinstance(value, list):
            raise self.refuse(name, "must be a list")
        for index, member in enumerate(value or ()):
            place = f"{self.field(name)}[{index}]"
            if not isinstance(member, dict):
                raise Rejected(place, "must be an object")
            yield type(self)(member, place, self.changes)

    def texts(self, *names: str, cap: int = NAME_CAP) -> tuple[str, ...]:
        """The texts of a list without doubles; one text alone counts as a list of one."""
        name, value = self._first(names)
        if value is None:
            return ()
        members = value if isinstance(value, list) else [value]
        if any(isinstance(member, dict | list) for member in members):
            raise self.refuse(name, "must be a list of texts")
        found = (self.clean(str(member), name, cap).strip() for member in members if member is not None)
        return tuple(dict.fromkeys(text for text in found if text))

    def everything(self, *without: str) -> dict[str, Any]:
        """The object as it came, cleaned at every level, without empty members and the named ones."""
        return {
            self.clean(name, name, NAME_CAP): self._copy(value, name)
            for name, value in self.raw.items()
            if name not in without and value not in (None, "", [], {})
        }

    def members(self, name: str) -> list[Any]:
        """A whole list, cleaned at every level."""
        return [self._copy(member, name) for member in self.raw.get(name) or ()]

    def _copy(self, value: Any, name: str) -> Any:
        if isinstance(value, str):
            return self.clean(value, name, FREE_CAP)
        if isinstance(value, list):
            if len(value) > LONGEST_LIST:
                self.changes.append(self.field(name))
            return [self._copy(member, name) for member in value[:LONGEST_LIST]]
        if isinstance(value, dict):
            return {
                self.clean(key, name, NAME_CAP): self._copy(member, name) for key, member in value.items()
            }
        return value


def _moment(value: str | float) -> datetime | None:
    text = str(value).strip()
    if isinstance(value, str) and not _NUMBER.fullmatch(text):
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return moment.astimezone(UTC) if moment.year > 1 else None
    seconds = float(text)
    if not math.isfinite(seconds):
        raise ValueError(text)
    unit = next((unit for limit, unit in _EPOCH_UNITS if abs(seconds) >= limit), 1.0)
    return datetime.fromtimestamp(seconds / unit, tz=UTC)
