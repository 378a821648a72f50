"""One page of the list of investigations, from a position on or back, whatever it is sorted by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from actioncenter.web.keyset import BadToken, Beyond, as_text, seal, unseal
from investigations.models import Investigation

LIST: Final = "investigations"
"""Marks tokens, which other lists make too."""
PAGE_SIZE: Final = 50
COUNT_CAP: Final = 10_000
DEFAULT_SORT: Final = "-changed"

COLUMNS: Final[Mapping[str, str]] = {
    "id": "id",
    "title": "title",
    "status": "state",
    "severity": "severity",
    "source": "detection_source",
    "created": "started_at",
    "changed": "changed_at",
    "waiting": "waiting",
    "duration": "lasted",
}
"""Sort key -> column. `waiting` is an annotation of the caller's."""
MOMENTS: Final = frozenset({"created", "changed"})


@dataclass(frozen=True, slots=True)
class Page:
    """`first` counts from 1; tokens are empty where nothing follows; `total` stops at the cap plus one."""

    rows: Sequence[Investigation]
    first: int
    total: int
    after: str
    before: str


@dataclass(frozen=True, slots=True)
class Order:
    key: str
    down: bool

    def __str__(self) -> str:
        return f"-{self.key}" if self.down else self.key


def order_of(text: str) -> Order | None:
    """What an address asks for; None if there is no such order."""
    key = text.removeprefix("-")
    return Order(key, text.startswith("-")) if key in COLUMNS else None


def page(rows: QuerySet[Investigation], order: Order, token: str = "") -> Page:
    """Raises BadToken, also for a token of another order or list."""
    position = _position(token, order)
    back = bool(position and position["back"])
    column = COLUMNS[order.key]
    total = rows.order_by().values("pk")[: COUNT_CAP + 1].count()
    # What is open grows older: all pages of one walk measure it at the same moment.
    at = datetime.fromisoformat(position["at"]) if position else timezone.now()
    keyed = _keyed(rows, order.key, at)
    down = order.down != back
    if position:
        values = (_value(position["value"], order.key), position["id"])
        keyed = keyed.filter(Beyond((column, "id"), values, down=down))
    sign = "-" if down else ""
    found = list(keyed.order_by(f"{sign}{column}", f"{sign}id")[: PAGE_SIZE + 1])
    more, found = len(found) > PAGE_SIZE, found[:PAGE_SIZE]
    if back:
        found.reverse()
    first = max(1, position["first"]) if position and (not back or more) else 1
    after, before = (True, more) if back else (more, position is not None)
    return Page(
        rows=found,
        first=first,
        total=total,
        after=_token(found[-1], order, first + len(found), at, back=False) if found and after else "",
        before=_token(found[0], order, first - PAGE_SIZE, at, back=True) if found and before else "",
    )


def _keyed(rows: QuerySet[Investigation], key: str, at: datetime) -> QuerySet[Investigation]:
    if key == "duration":
        end = Coalesce(F("ended_at"), Value(at, output_field=DateTimeField()))
        rows = rows.annotate(lasted=ExpressionWrapper(end - F("started_at"), output_field=DurationField()))
    return rows.annotate(sort_value=as_text(COLUMNS[key]) if key in MOMENTS else F(COLUMNS[key]))


def _position(token: str, order: Order) -> Mapping[str, Any] | None:
    if not token:
        return None
    position = unseal(token)
    if position.get("list") != LIST or position.get("sort") != str(order):
        raise BadToken
    return position


def _token(row: Any, order: Order, first: int, at: datetime, *, back: bool) -> str:
    value = row.sort_value
    if isinstance(value, timedelta):
        value = value // timedelta(microseconds=1)
    return seal(
        {
            "list": LIST,
            "sort": str(order),
            "value": value,
            "id": row.pk,
            "back": back,
            "first": first,
            "at": at.isoformat(),
        }
    )


def _value(value: Any, key: str) -> Any:
    return timedelta(microseconds=value) if key == "duration" else value
