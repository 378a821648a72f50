"""What says that text was taken out of an event: its hash and its chain value stay, and a second person agreed.

The format, complete enough to be written again in another language:

- The text is ASCII: the line `actioncenter-redaction 1` and then one entry per field, in the order of FIELDS,
  written as in a seal's text (audit/seals.py). `number` counts the redactions; of an event the highest counts.
- `event` is the id of the event, `chain` its chain value and `leaf` its leaf as its seal has it, in hex. Both
  belong to the text that was written first, and can't be worked out any more.
- `hash` is the SHA-256 of the canonical text that the event has since, in hex. `fields` is a JSON list of what
  was taken out, such as `detail.comment`; there the text has MARK.
- `request` is the id of the event by which `requested_by` asked for it; `approved_by` is another person, whose
  event has the digest.
- digest and signature are made as those of a seal.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from actioncenter.audit import seals
from actioncenter.audit.canonical import microseconds, moment
from actioncenter.audit.enums import Kind

HEADER: Final = "actioncenter-redaction 1\n"
FIELDS: Final[Mapping[str, str]] = {
    "number": "i", "at": "t", "event": "i", "chain": "s", "leaf": "s", "hash": "s", "fields": "j", "request": "i",
    "requested_by": "s", "approved_by": "s",
}  # fmt: skip
MARK: Final = "[redacted]"
TAKEN: Final = ("subject_name", "before", "after", "detail")
"""Columns that text may be taken out of. Who did what to which thing, and when, stays."""
KEPT: Final = frozenset({
    "type", "decision", "execution", "code", "choice", "fingerprint", "plan", "sealed", "rule", "policy", "proposers",
    "ends_at", "deferred_until", "assigned_at", "assigned_ref", "state", "level", "role",
})  # fmt: skip
"""Names of values that the product rests on and that nobody writes freely."""
NEVER: Final = ("audit.", "key.", "retention.", Kind.SWITCH_SEALED.value)
"""Beginnings of kinds that tell of the log itself."""
PERSON: Final = "user:"


class NotRedactable(ValueError):
    """There is no text, or one that has to stay."""


@dataclass(frozen=True, slots=True)
class RedactionText:
    """What a redaction says; see the fields above."""

    number: int
    at: datetime
    event: int
    chain: str
    leaf: str
    sha256: str
    fields: Sequence[str]
    request: int
    requested_by: str
    approved_by: str

    def render(self) -> str:
        values = (
            str(self.number), str(microseconds(self.at)), str(self.event), self.chain, self.leaf, self.sha256,
            json.dumps(list(self.fields), separators=(",", ":")), str(self.request), self.requested_by, self.approved_by,
        )  # fmt: skip
        return seals.written(HEADER, FIELDS, values)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError: it is no text of a redaction."""
        said = seals.entries(HEADER, FIELDS, text)
        try:
            fields = [str(field) for field in json.loads(said["fields"])]
        except (TypeError, RecursionError) as error:
            raise ValueError(f"fields are none: {error}") from error
        redaction = cls(
            int(said["number"]), moment(int(said["at"])), int(said["event"]), said["chain"], said["leaf"], said["hash"],
            fields, int(said["request"]), said["requested_by"], said["approved_by"],
        )  # fmt: skip
        if redaction.render() != text:
            raise ValueError("written otherwise than a redaction is")
        return redaction

    @property
    def is_by_two(self) -> bool:
        """Whether it is of two people."""
        return self.requested_by != self.approved_by and all(
            who.startswith(PERSON) for who in (self.requested_by, self.approved_by)
        )


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def without(values: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """An event's values with MARK in place of what is named: a text, or all texts within a list or an object.

    Raises:
        NotRedactable: there is no text of that name, or it has to stay.
    """
    if values["kind"].startswith(NEVER):
        raise NotRedactable(
            f"An event of the kind {values['kind']} tells of the log itself and stays as it is."
        )
    left = dict(values)
    for field in fields:
        column, _, path = field.partition(".")
        if column not in TAKEN or bool(path) == (column == "subject_name"):
            raise NotRedactable(f"{field} isn't a field whose text can be taken out.")
        left[column] = _marked(left[column], path, field)
    return left


def _marked(value: Any, path: str, field: str) -> Any:
    if not path:
        return _all_marked(value, field)
    for name in _names(value):
        if path == name or path.startswith(f"{name}."):
            if name in KEPT:
                raise NotRedactable(f"{field} has to stay: the product rests on it.")
            rest = path[len(name) + 1 :]
            if isinstance(value, dict):
                return {**value, name: _marked(value[name], rest, field)}
            return [_marked(one, rest, field) if str(at) == name else one for at, one in enumerate(value)]
    raise NotRedactable(f"The event has no {field}.")


def _names(value: Any) -> Iterator[str]:
    """The longest first: a name may have a full stop within."""
    names = (
        value if isinstance(value, dict) else map(str, range(len(value))) if isinstance(value, list) else ()
    )
    yield from sorted(names, key=len, reverse=True)


def _all_marked(value: Any, field: str) -> Any:
    marked = _with_marks(value)
    if marked == value:
        raise NotRedactable(f"There is no text in {field}.")
    return marked


def _with_marks(value: Any) -> Any:
    if isinstance(value, str):
        return MARK if value else value
    if isinstance(value, dict):
        return {name: one if name in KEPT else _with_marks(one) for name, one in value.items()}
    return [_with_marks(one) for one in value] if isinstance(value, list) else value
