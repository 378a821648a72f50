"""The state of a list, which lies wholly in its address, and the addresses that lead on from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict
from django.urls import reverse

from actioncenter.actions.columns import Layout, unknown
from actioncenter.actions.filters import LINKED, RANGE, ActionFilter
from actioncenter.actions.queries import DEFAULT_SORT, PAGE_SIZE, Listing, Sort, Tab, Viewer, can_sort
from actioncenter.web.keyset import BadToken, seal, unseal
from actioncenter.web.load import LARGEST
from actioncenter.web.narrowing import Address, at

NUMBER: Final = re.compile(r"[0-9]{1,19}")
SIZES: Final = (25, 50, 100, 200)


@dataclass
class ListState(Address):
    """Parsed from an address; `complaints` says what of it was ignored. Raises BadToken."""

    tab: Tab
    query: QueryDict
    viewer: Viewer
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = reverse(f"actions:{self.tab}")
        self.narrowing: ActionFilter = ActionFilter(self.query, tab=self.tab, viewer=self.viewer)
        self.complaints += self.narrowing.complaints
        self.sort = self._sort()
        self.size = self._size()
        self.open = self._open()
        self.layout, self.named = self._layout()
        self.kept = self._kept()
        token = self.query.get("page", "")
        self.position = unseal(token) if token else None

    @property
    def listing(self) -> Listing:
        return Listing(
            tab=self.tab,
            scope=self.viewer.scope,
            criteria=self.narrowing.criteria,
            sort=self.sort,
            position=self.position,
            size=self.size,
        )

    def _kept(self) -> QueryDict:
        """Valid filters and how the list is shown. The page is kept only by what stays on it."""
        kept = QueryDict(mutable=True)
        for name in self.narrowing.chosen:
            kept[name] = self.query.get(name, "")
        if "zone" not in kept and any(name in kept for name in RANGE):
            # A clock's time means something only with its zone, also to whoever gets this address.
            kept["zone"] = self.viewer.zone.key
        if self.sort != DEFAULT_SORT[self.tab]:
            kept["sort"] = str(self.sort)
        if self.named:
            kept.setlist("columns", self.named)
        if self.size != PAGE_SIZE:
            kept["size"] = str(self.size)
        return kept

    def here(self, **changes: Any) -> str:
        """The same page of the same list."""
        if self.position is not None:
            changes["page"] = self.query["page"]
        return self.url(**changes)

    def file_url(self, form: str) -> str:
        """Of all its rows. How the page shows them is no part of a file."""
        path = reverse("actions:export", args=[self.tab.value, form])
        return at(path, self.kept, without=["columns", "size"])

    def opener(self) -> Callable[[int], str]:
        """Addresses that open a row beside this page; they differ in the number only."""
        base = self.here()
        joint = "&" if "?" in base else "?"
        return lambda number: f"{base}{joint}open={number}"

    def size_url(self, size: int) -> str:
        """From the first page on: pages of another size begin elsewhere."""
        return self.url(without=["size"], **({} if size == PAGE_SIZE else {"size": size}))

    def page_url(self, position: Mapping[str, Any] | None) -> str:
        return self.url(page=seal(position)) if position else ""

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """State that a form must carry along, by name."""
        return [(name, value) for name in names for value in self.kept.getlist(name)]

    def filter_state(self) -> list[tuple[str, str]]:
        return self.hidden("sort", "columns", "size", *LINKED, *RANGE)

    def range_state(self) -> list[tuple[str, str]]:
        return self.hidden(*(name for name in self.kept if name not in (*RANGE, "since")))

    def range(self) -> dict[str, str]:
        zone = self.viewer.zone.key
        return {name: self.kept.get(name, zone if name == "zone" else "") for name in RANGE}

    @property
    def columns_url(self) -> str:
        """Where its columns are chosen, and the way back to it."""
        back = urlencode({"next": self.url(without=["columns"])})
        return f"{reverse('actions:columns', args=[self.tab.value])}?{back}"

    @property
    def laid_out(self) -> str:
        """This list as it is kept under a name: with the extra columns that are shown."""
        query = self.kept.copy()
        query.setlist("columns", self.layout.extras)
        return query.urlencode()

    def sort_links(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        links = {}
        for key in keys:
            if can_sort(self.tab, key):
                active = self.sort.key == key
                down = not self.sort.down if active else key in FIRST_DOWN
                url = self.url(without=["sort"], sort=Sort(key, down=down))
                links[key] = {"url": url, "active": active, "direction": "desc" if self.sort.down else "asc"}
        return links

    def _layout(self) -> tuple[Layout, list[str]]:
        """As the person wants it; an address may name other extra columns, which it then carries on."""
        layout, wanted = Layout.of(self.tab, self.viewer.user.lists), self.query.getlist("columns")
        if strange := unknown(self.tab, wanted):
            self.complaints.append(f"This list has no column “{strange[0][:40]}”; it was left out.")
        named = [key for key in layout.offered if key in wanted]
        return (layout.with_extras(named), named) if named else (layout, [])

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


def state_at(viewer: Viewer, address: str) -> ListState | None:
    """The list that an address of ours shows; None for any other page."""
    parts = urlsplit(address)
    tab = next((tab for tab in Tab if parts.path == reverse(f"actions:{tab}")), None)
    if tab is None:
        return None
    try:
        return ListState(tab=tab, query=QueryDict(parts.query), viewer=viewer)
    except BadToken:
        return ListState(tab=tab, query=QueryDict(), viewer=viewer)


FIRST_DOWN: Final = frozenset({"ended", "action", "readback", "verdict", "created", "result"})
"""Columns whose most wanted end comes with the first click: the newest, the worst."""
