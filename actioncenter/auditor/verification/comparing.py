"""Whether every action's row is what its events make of it.

Whoever can write the database can change a row and leave the log alone: its chain has a key. So the life
of each action is replayed from the texts of its events, and what must have come of it is compared with
the row. The log itself is believed here; `audit verify` says whether it may be.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import Decision, Execution, TargetKind
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.models.proposal import canonical as name_of_target
from actioncenter.audit import borders
from actioncenter.audit.models import Event, Redaction
from actioncenter.auditor.verification.replaying import (
    BEGINNING,
    FIGURES,
    GROUP,
    LOG,
    NAMED,
    NEAR,
    PROPOSED,
    Near,
    Said,
    life,
    named,
    shown,
)

CHUNK: Final = 500
EVENTS_AT_ONCE: Final = 1000
STREAM: Final = "action:"
LONGEST_NUMBER: Final = 18
"""Digits; a longer one is no number that a table gives."""
ROW: Final = "row"


@dataclass(frozen=True, slots=True)
class Difference:
    """`logged` is what the events make of the field, `found` what the row holds."""

    action: int
    field: str
    logged: str
    found: str
    message: str


def differences(
    *, actions: Iterable[int] | None = None, beat: Callable[[], None] | None = None
) -> Iterator[Difference]:
    """Of these actions, or of all that have a row or a stream of events, in chunks of 500.

    `beat` is called before each chunk, and may end it by raising.
    """
    for numbers in _every() if actions is None else _batches(actions):
        if beat:
            beat()
        suspects = {found.action for found in _compared(numbers)}
        if suspects:
            yield from _at_rest(sorted(suspects))


def _every() -> Iterator[list[int]]:
    numbers = [0]
    while numbers := list(
        Action.objects.filter(pk__gt=numbers[-1]).order_by("pk").values_list("pk", flat=True)[:CHUNK]
    ):
        yield numbers
    yield from _without_row()


def _without_row() -> Iterator[list[int]]:
    streams = Event.objects.filter(stream__startswith=STREAM).order_by().values_list("stream", flat=True)
    numbers = (number for stream in streams.distinct().iterator(CHUNK) if (number := _number(stream)))
    for batch in _batches(numbers):
        if gone := set(batch) - set(Action.objects.filter(pk__in=batch).values_list("pk", flat=True)):
            yield sorted(gone)


def _number(stream: str) -> int:
    """Of the action; 0 where the stream isn't one of ours."""
    digits = stream.removeprefix(STREAM)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER else 0


def _batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    left = iter(numbers)
    while batch := list(dict.fromkeys(islice(left, CHUNK))):
        yield batch


def _at_rest(numbers: Sequence[int]) -> list[Difference]:
    """Compared again under the lock that every writer of an action and its events holds.

    What was only being changed while it was read is no difference.
    """
    with transaction.atomic():
        rows = Action.objects.filter(pk__in=numbers).order_by("pk")
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True)
        list(rows.values_list("pk"))
        return list(_compared(numbers))


# Comparing


def _compared(numbers: Sequence[int]) -> Iterator[Difference]:
    rows = {row["pk"]: row for row in Action.objects.filter(pk__in=numbers).values("pk", *COLUMNS, plan=PLAN)}
    aims = _aims_of(numbers)
    lives = _lives(numbers)
    border = borders.border()
    dropped = {_number(stream) for stream in border.heads} if border else set()
    cancelled = _cancelled([said["undone_by"] for said in lives.values() if said.get("undone_by")])
    for number in numbers:
        said, row = lives.get(number), rows.get(number)
        if row is None:
            # Where its first events were dropped by rule, its row was too.
            if said is not None and number not in dropped:
                yield _differs(number, ROW, "proposed", "", "The log tells of this action; its row is gone.")
        elif not said:
            yield _differs(number, ROW, "", "proposed", "The log tells of no proposal; the row was forged.")
        elif LOG in said:
            yield _differs(number, LOG, "", "", said[LOG])
        else:
            if border and row["undo_of"] is None and _is_dropped(said.get("undo_of")):
                said["undo_of"] = None
            if said["undone_by"] in cancelled:
                # An undo that was cancelled gives its place to the next; only its own stream says so.
                said["undone_by"] = None
            yield from _in_fields(number, said, row | aims[number].fields())


def _is_dropped(number: int | None) -> bool:
    """Whether this action went, with its first event, before the one that took it back."""
    return number is not None and not Event.objects.filter(stream=f"{STREAM}{number}", seq=1).exists()


def _in_fields(number: int, said: Said, row: Mapping[str, Any]) -> Iterator[Difference]:
    for name, logged in said.items():
        found = READ.get(name, _same)(row[name])
        if not (_agrees(logged, found) or (found is None and name == GROUP)):
            texts = shown(logged), shown(found)
            message = f"The log says {texts[0] or 'nothing'}, the row says {texts[1] or 'nothing'}."
            yield _differs(number, name, *texts, message)


def _differs(number: int, name: str, logged: str, found: str, message: str) -> Difference:
    return Difference(number, name, logged, found, f"A-{number}, {name}: {message}")


def _agrees(logged: Any, found: Any) -> bool:
    if isinstance(logged, Near):
        return isinstance(found, datetime) and abs(found - logged.at) <= NEAR
    return shown(logged) == shown(found)


def _cancelled(undos: Sequence[int]) -> set[int]:
    rows = Action.objects.filter(pk__in=undos, execution=Execution.CANCELLED)
    return set(rows.values_list("pk", flat=True)) if undos else set()


# What the rows hold


@dataclass(slots=True)
class Aims:
    """The targets of one action: the first names, and how many there are in each state."""

    names: list[str] = field(default_factory=list)
    states: Counter[int] = field(default_factory=Counter)

    def add(self, state: int, name: str) -> None:
        self.states[state] += 1
        if len(self.names) < NAMED:
            self.names.append(name)

    def fields(self) -> dict[str, Any]:
        counts = {f"{name}_targets": sum(self.states[each] for each in of) for name, of in FIGURES.items()}
        return {"targets": named(self.names, self.states.total()), **counts}


def _aims_of(numbers: Sequence[int]) -> Mapping[int, Aims]:
    found: dict[int, Aims] = defaultdict(Aims)
    rows = ActionTarget.objects.filter(action__in=numbers).order_by("pk")
    columns = rows.values_list("action_id", "state", "kind", "device_id", "mailbox_id", "entity")
    for number, state, kind, device, mailbox, entity in columns.iterator(CHUNK):
        known = kind in KINDS
        name = name_of_target(TargetKind(kind), device, mailbox, entity) if known else f"kind {kind}"
        found[number].add(state, name)
    return found


def _same(value: Any) -> Any:
    return value


def _by_name(names: Mapping[int, str]) -> Callable[[int], str]:
    return lambda value: names.get(value, f"unknown {value}")


def _lives(numbers: Sequence[int]) -> dict[int, Said]:
    """Of those that the log tells of at all."""
    events = Event.objects.filter(stream__in=[f"{STREAM}{number}" for number in numbers])
    blank = Exists(Redaction.objects.filter(event=OuterRef("pk")))
    texts = events.order_by("stream", "seq").values_list("stream", "seq", "canonical", blank)
    streams = groupby(texts.iterator(EVENTS_AT_ONCE), key=itemgetter(0))
    return {_number(stream): life(each[1:] for each in events) for stream, events in streams}


COLUMNS: Final = (
    *(name for name in BEGINNING if name != "plan"), *PROPOSED, *(f"{name}_count" for name in FIGURES),
    "area", GROUP, "reason_code", "policy", "approval_rule", "quorum", "proposers", "level", "created_at",
    "requested_by", "requested_by_name", "requested_comment",
)  # fmt: skip
PLAN: Final = F("approved_plan__digest")
KINDS: Final = frozenset(map(int, TargetKind))
READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "type": _by_name({int(kind): entry.code for kind, entry in CATALOGUE.items()}),
    "decision": _by_name({int(each): each.name for each in Decision}),
    "execution": _by_name({int(each): each.name for each in Execution}),
}
