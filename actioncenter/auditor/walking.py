"""Along an index from the newest on, a page at a time, looking at so many rows a page however many there are.

The rows have `at` and `id`. A way is a query set that an index holds in their order; what is asked for
besides sifts what comes along it, and after LOOKED_AT rows the page ends there and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Model, Q, QuerySet

from actioncenter.web.keyset import BadToken, Beyond, as_text, fetch

PAGE_SIZE: Final = 50
LOOKED_AT: Final = 50_000
ORDER: Final = ("at", "id")
Key = tuple[str, int]
"""Moment as the database writes it, and id."""
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page:
    """`after` leads on; `looked_back_to` is set where the page ended because it had looked at so many.

    `behind` counts the newest rows that the index of words doesn't know yet, so that each was looked through.
    """

    rows: Sequence[Any]
    after: Mapping[str, Any] | None
    looked_back_to: datetime | None = None
    behind: int = 0


def walk(
    rows: QuerySet[Row],
    ways: Sequence[QuerySet[Row]],
    sift: Q,
    position: Mapping[str, Any] | None,
    *,
    short: bool = False,
) -> Page:
    """`rows` is what the page is read from; `short` that the ways are, so may be sifted to their end.

    Raises BadToken for a position that isn't of this table.
    """
    table = rows.model._meta.db_table
    ways = [_from(way.order_by("-at", "-id"), _key(position, table)) for way in ways]
    ends: list[Key | None] = [None] * len(ways)
    if sift and not short:
        ends = [_end(way) for way in ways]
        ways = [
            way.filter(Beyond(ORDER, end, reached=True)) if end else way
            for way, end in zip(ways, ends, strict=True)
        ]
    keys = sorted(fetch(_keyed(way.filter(sift))[: PAGE_SIZE + 1] for way in ways), reverse=True)
    return _page(rows, keys, max((end for end in ends if end), default=None), table)


def _page(rows: QuerySet[Row], keys: Sequence[Any], end: Key | None, table: str) -> Page:
    """What lies beyond the end of one way isn't known of it, so it must wait for the next page."""
    known = [key for key in keys if end is None or key >= end]
    shown, more = known[:PAGE_SIZE], len(known) > PAGE_SIZE
    found = rows.in_bulk([pk for _, pk in shown] + ([end[1]] if end else []))
    page = [found[pk] for _, pk in shown]
    if more:
        return Page(page, _position(shown[-1], table))
    if end is None:
        return Page(page, None)
    last: Any = found[end[1]]
    return Page(page, _position(end, table), last.at)


def _position(key: Key, table: str) -> dict[str, Any]:
    return {"l": table, "v": list(key)}


def _key(position: Mapping[str, Any] | None, table: str) -> Key | None:
    if position is None:
        return None
    if position.get("l") != table:
        raise BadToken
    at, pk = position["v"]
    return at, pk


def _from(way: QuerySet[Any], key: Key | None) -> QuerySet[Any]:
    return way.filter(Beyond(ORDER, key, down=True)) if key else way


def _keyed(way: QuerySet[Any]) -> QuerySet[Any, Any]:
    keyed: QuerySet[Any, Any] = way.annotate(moment=as_text("at")).values_list("moment", "id")
    return keyed


def _end(way: QuerySet[Any]) -> Key | None:
    """The last row that is looked at; None where there are fewer."""
    found = fetch([_keyed(way)[LOOKED_AT - 1 : LOOKED_AT]])
    return found[0] if found else None
