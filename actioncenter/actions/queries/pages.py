"""One page of a list, the positions of its neighbours, and the bands above its first page.

Two ways to walk: along an index from a position, which costs the same at any depth and size, and
by offset where few enough rows are left to sort (notes on performance: docs/adr).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db.models import F, QuerySet

from actioncenter.actions.models import Action
from actioncenter.actions.queries.counts import ListCounts, within_sort_cap
from actioncenter.actions.queries.listing import BAND_LIMIT, DEFAULT_SORT, Listing, Shape, Sort, Tab
from actioncenter.actions.queries.raw import RawRow, columns, read
from actioncenter.web.keyset import BadToken, Beyond, joined
from actioncenter.web.statements import Compiled, Given, kept

INDEXED: Final[Mapping[Tab, Mapping[str, tuple[str, ...]]]] = {
    Tab.PENDING: {"expires": ("expires_at", "id")},
    Tab.HISTORY: {
        "ended": ("history_at", "id"),
        "action": ("type", "history_at", "id"),
        "on": ("on_name", "history_at", "id"),
    },
}
"""Orders that an index holds, by their keys in an address. Types stand in the catalogue's order."""

_BOTH = {
    "action": "type", "target": "target_name", "on": "on_name", "verdict": "verdict", "group": "group_name",
    "source": "source", "entity": "target_kind", "investigation": "investigation_id",
    "approval": "approval_id",
}  # fmt: skip
SORTED: Final[Mapping[Tab, Mapping[str, str]]] = {
    Tab.PENDING: {**_BOTH, "why": "reason_code", "age": "created_at", "expires": "expires_at"},
    Tab.HISTORY: {
        **_BOTH, "result": "execution", "by": "decided_by_name", "readback": "read_back_at", "ended": "queued_at",
        "created": "created_at",
    },
}  # fmt: skip
"""Columns to sort by where there is no index or the rows don't lie in one."""

ANY_SIZE: Final = frozenset({"action", "on", "age"})
"""Of Pending, which is never so long that sorting these would hurt."""


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` in the order shown; `first` counts from 1; positions are None where nothing follows.

    `refused_sort` names the order that was asked for and is impossible with so many rows.
    """

    rows: Sequence[RawRow]
    bands: Sequence[Sequence[RawRow]]
    first: int
    after: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    sort: Sort
    refused_sort: str = ""
    below: int = 0
    """How many of the bands come after the rows."""

    @property
    def in_order(self) -> Sequence[Sequence[RawRow]]:
        cut = len(self.bands) - self.below if self.bands else 0
        return [*self.bands[:cut], self.rows, *self.bands[cut:]]


class Place(NamedTuple):
    """Where on its way a walk is, short of the values it stands at."""

    keys: int
    back: bool
    first: int

    def position(self) -> Mapping[str, Any]:
        return {"v": [Given(at) for at in range(self.keys)] or None, "b": self.back, "n": self.first}


def can_sort(tab: Tab, key: str) -> bool:
    return key in SORTED[tab] or key in INDEXED[tab]


def page(listing: Listing, counts: ListCounts) -> Page:
    """Raises BadToken for a position that belongs to another order."""
    sort, refused = possible_sort(listing, counts)
    position = listing.position
    if position and position.get("s") != str(sort):
        raise BadToken
    walk = _walk(listing, sort, position)
    above = counts.bands if position is None else ()
    statement = _statement(listing.shape, sort, walk.place, tuple(map(bool, above)))
    found = read(statement, walk.key or ())
    rows = [row for row in found if row.branch == len(above)]
    after, before = walk.neighbours(rows)
    return Page(
        rows=walk.shown(rows),
        bands=[[row for row in found if row.branch == at] for at in range(len(above))],
        first=walk.first,
        after=after,
        before=before,
        sort=sort,
        refused_sort=refused,
        below=int(listing.tab is Tab.PENDING),
    )


@kept
def _statement(shape: Shape, sort: Sort, place: Place, above: tuple[bool, ...]) -> Compiled | None:
    """Of the bands that have rows and the page below them."""
    listing = shape.listing()
    bands = [
        _band(rows, at, plan=listing.tab is Tab.PENDING)
        for at, (rows, some) in enumerate(zip(listing.bands(), above, strict=False))
        if some
    ]
    return joined([*bands, _walk(listing, sort, place.position()).rows(len(above))])


def _walk(listing: Listing, sort: Sort, position: Mapping[str, Any] | None) -> "Along | Offset":
    keys = _keys(listing, sort)
    return Along(listing, sort, keys, position) if keys else Offset(listing, sort, position)


def possible_sort(listing: Listing, counts: ListCounts) -> tuple[Sort, str]:
    """The order that is affordable, and the key of the one that was asked for where that isn't."""
    sort = listing.order
    indexed = sort.key in INDEXED[listing.tab] or (listing.tab is Tab.PENDING and sort.key in ANY_SIZE)
    if indexed or not counts.capped or within_sort_cap(listing):
        return sort, ""
    return DEFAULT_SORT[listing.tab], sort.key


def arranged(listing: Listing, sort: Sort) -> QuerySet[Action]:
    """The rows of all pages, in the order in which they follow one another."""
    keys = _keys(listing, sort)
    if keys is None:
        return _sorted(listing, sort)
    return listing.rows().order_by(*(f"-{key}" if sort.down else key for key in keys))


def _keys(listing: Listing, sort: Sort) -> Sequence[str] | None:
    return INDEXED[listing.tab].get(sort.key) if listing.live_result is None else None


def _sorted(listing: Listing, sort: Sort) -> QuerySet[Action]:
    column = F(SORTED[listing.tab][sort.key])
    order = column.desc(nulls_last=True) if sort.down else column.asc(nulls_last=True)
    return listing.rows().order_by(order, "-id")


def _band(rows: QuerySet[Action], branch: int, *, plan: bool) -> QuerySet[Any, Any]:
    ordered = rows if rows.query.order_by else rows.order_by("-queued_at", "-id")
    return columns(ordered, branch=branch, progress=True, plan=plan)[:BAND_LIMIT]


class Along:
    """Along an index, from the row whose key the position holds, either way."""

    def __init__(
        self, listing: Listing, sort: Sort, keys: Sequence[str], position: Mapping[str, Any] | None
    ) -> None:
        self.listing, self.sort, self.keys = listing, sort, keys
        self.key: Sequence[Any] | None = position["v"] if position else None
        self.back = bool(position and position["b"])
        self.first = max(1, int(position["n"])) if position else 1

    @property
    def place(self) -> Place:
        return Place(len(self.key or ()), self.back, 1)

    def rows(self, branch: int) -> QuerySet[Any, Any]:
        rows = self.listing.rows()
        down = self.sort.down != self.back
        if self.key is not None:
            rows = rows.filter(Beyond(self.keys, self.key, down=down))
        rows = rows.order_by(*(f"-{key}" if down else key for key in self.keys))
        plan = self.listing.tab is Tab.PENDING
        return columns(rows, branch=branch, plan=plan)[: self.listing.size + 1]

    def shown(self, rows: Sequence[RawRow]) -> Sequence[RawRow]:
        rows = rows[: self.listing.size]
        return rows[::-1] if self.back else rows

    def neighbours(self, rows: Sequence[RawRow]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        shown, more = self.shown(rows), len(rows) > self.listing.size
        if not shown:
            return None, None
        if self.back and not more:
            self.first = 1
        after, before = (True, more) if self.back else (more, self.key is not None)
        return (
            self._position(shown[-1], self.first + len(shown), back=False) if after else None,
            self._position(shown[0], self.first - self.listing.size, back=True) if before else None,
        )

    def _position(self, row: RawRow, first: int, *, back: bool) -> dict[str, Any]:
        key = [getattr(row, column) for column in self.keys]
        return {"s": str(self.sort), "v": key, "b": back, "n": max(1, first)}


class Offset:
    """By sorting and skipping."""

    key = None

    def __init__(self, listing: Listing, sort: Sort, position: Mapping[str, Any] | None) -> None:
        self.listing, self.sort = listing, sort
        self.first = max(1, int(position["n"])) if position else 1

    @property
    def place(self) -> Place:
        return Place(0, False, self.first)

    def rows(self, branch: int) -> QuerySet[Any, Any]:
        ordered = _sorted(self.listing, self.sort)
        progress = self.listing.live_result is not None
        start = self.first - 1
        plan = self.listing.tab is Tab.PENDING
        return columns(ordered, branch=branch, progress=progress, plan=plan)[
            start : start + self.listing.size + 1
        ]

    def shown(self, rows: Sequence[RawRow]) -> Sequence[RawRow]:
        return rows[: self.listing.size]

    def neighbours(self, rows: Sequence[RawRow]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        size = self.listing.size
        after = self._position(self.first + size) if len(rows) > size else None
        return after, self._position(self.first - size) if self.first > 1 else None

    def _position(self, first: int) -> dict[str, Any]:
        return {"s": str(self.sort), "n": max(1, first)}
