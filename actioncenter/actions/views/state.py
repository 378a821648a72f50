"""The state of a list, which lies wholly in its address, and the addresses that lead on from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django.http import QueryDict
from django.urls import reverse

from actioncenter.actions.filters import LINKED, ActionFilter
from actioncenter.actions.queries import DEFAULT_SORT, PAGE_SIZE, Listing, Sort, Tab, Viewer, can_sort
from actioncenter.actions.rows import EXTRA_COLUMNS
from actioncenter.web.keyset import seal, unseal
from actioncenter.web.load import LARGEST

NUMBER: Final = re.compile(r"[0-9]{1,19}")
SIZES: Final = (25, 50, 100, 200)
OWN_COLUMNS: Final[Mapping[Tab, frozenset[str]]] = {
    Tab.PENDING: frozenset({"group", "verdict"}),
    Tab.HISTORY: frozenset({"source"}),
}
"""Extra columns that a tab shows anyway."""


@dataclass
class ListState:
    """Parsed from an address; `complaints` says what of it was ignored. Raises BadToken."""

    tab: Tab
    query: QueryDict
    viewer: Viewer
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.filter = ActionFilter(self.query, tab=self.tab, viewer=self.viewer)
        self.complaints += self.filter.complaints
        self.sort = self._sort()
        self.size = self._size()
        self.open = self._open()
        chosen = self.query.getlist("columns")
        self.columns = [key for key in self.offered_columns if key in chosen]
        token = self.query.get("page", "")
        self.position = unseal(token) if token else None

    @property
    def path(self) -> str:
        return reverse(f"actions:{self.tab}")

    @property
    def offered_columns(self) -> list[str]:
        return [key for key in EXTRA_COLUMNS if key not in OWN_COLUMNS[self.tab]]

    @property
    def listing(self) -> Listing:
        return Listing(
            tab=self.tab,
            scope=self.viewer.scope,
            criteria=self.filter.criteria,
            sort=self.sort,
            position=self.position,
            size=self.size,
        )

    @cached_property
    def kept(self) -> QueryDict:
        """What every address of this list carries: valid filters and how the list is shown."""
        kept = QueryDict(mutable=True)
        for name in self.filter.criteria:
            kept[name] = self.query.get(name, "")
        if self.sort != DEFAULT_SORT[self.tab]:
            kept["sort"] = str(self.sort)
        if self.columns:
            kept.setlist("columns", self.columns)
        if self.size != PAGE_SIZE:
            kept["size"] = str(self.size)
        return kept

    def url(self, *, without: Sequence[str] = (), **changes: Any) -> str:
        """This list with something changed. The page is kept only by what stays on it."""
        query = self.kept.copy()
        for name in without:
            query.pop(name, None)
        for name, value in changes.items():
            query[name] = str(value)
        return f"{self.path}?{query.urlencode()}" if query else self.path

    def here(self, **changes: Any) -> str:
        """The same page of the same list."""
        if self.position is not None:
            changes["page"] = self.query["page"]
        return self.url(**changes)

    def opener(self) -> Callable[[int], str]:
        """Addresses that open a row beside this page; they differ in the number only."""
        base = self.here()
        joint = "&" if "?" in base else "?"
        return lambda number: f"{base}{joint}open={number}"

    def page_url(self, position: Mapping[str, Any] | None) -> str:
        return self.url(page=seal(position)) if position else ""

    def chips(self) -> list[dict[str, str]]:
        return [
            {
                "name": name,
                "label": str(self.filter.filters[name].label),
                "value": self.filter.shown(name),
                "remove_url": self.url(without=[name]),
            }
            for name in self.filter.criteria
        ]

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """State that a form must carry along, by name."""
        return [(name, value) for name in names for value in self.kept.getlist(name)]

    def filter_state(self) -> list[tuple[str, str]]:
        return self.hidden("sort", "columns", "size", *LINKED)

    def column_state(self) -> list[tuple[str, str]]:
        return self.hidden(*(name for name in self.kept if name != "columns"))

    def sort_links(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        links = {}
        for key in keys:
            if can_sort(self.tab, key):
                active = self.sort.key == key
                down = not self.sort.down if active else key in FIRST_DOWN
                url = self.url(without=["sort"], sort=Sort(key, down=down))
                links[key] = {"url": url, "active": active, "direction": "desc" if self.sort.down else "asc"}
        return links

    def _sort(self) -> Sort:
        text = self.query.get("sort", "")
        sort = Sort(text.removeprefix("-"), down=text.startswith("-"))
        if not text:
            return DEFAULT_SORT[self.tab]
        if not can_sort(self.tab, sort.key):
            self.complaints.append("This list can't be sorted that way; the usual order is shown.")
            return DEFAULT_SORT[self.tab]
        return sort

    def _size(self) -> int:
        text = self.query.get("size", "")
        if not text:
            return PAGE_SIZE
        if text not in map(str, SIZES):
            self.complaints.append(f"A page holds {', '.join(map(str, SIZES))} rows; {PAGE_SIZE} are shown.")
            return PAGE_SIZE
        return int(text)

    def _open(self) -> int | None:
        """A number that can't be one is answered like one that doesn't exist."""
        text = self.query.get("open", "")
        if not text:
            return None
        return int(text) if NUMBER.fullmatch(text) and int(text) <= LARGEST else 0


FIRST_DOWN: Final = frozenset({"ended", "action", "readback", "verdict", "created", "result"})
"""Columns whose most wanted end comes with the first click: the newest, the worst."""
