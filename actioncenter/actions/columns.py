"""The columns of Pending and History, and how one person wants them: which, in which order, how wide, how dense."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Self

from actioncenter.actions.queries import Tab
from actioncenter.actions.rows import EXTRA_COLUMNS


class Column(NamedTuple):
    """`width` in pixels stands in table.css too; 0 takes what the others leave."""

    key: str
    label: str
    css: str
    width: int


FIRST: Final = (
    Column("action", "Action", "c-act", 184),
    Column("target", "Target", "c-tgt", 0),
    Column("on", "On", "c-on", 148),
)
OWN: Final[Mapping[Tab, Sequence[Column]]] = {
    Tab.PENDING: (
        *FIRST,
        Column("why", "Why it waits", "c-why", 224),
        Column("verdict", "Verdict", "c-ver", 116),
        Column("group", "Group", "c-grp", 136),
        Column("age", "Age", "c-age", 44),
        Column("expires", "Expires", "c-exp", 80),
        Column("undo", "Undo", "c-und", 60),
    ),
    Tab.HISTORY: (
        *FIRST,
        Column("result", "Result", "c-res", 164),
        Column("by", "Decided by", "c-by", 124),
        Column("source", "Source", "c-src", 120),
        Column("ended", "Ended", "c-fin", 92),
        Column("readback", "Read back", "c-vfy", 80),
        Column("undo", "Undo", "c-und2", 124),
    ),
}
"""What is shown unless somebody wants it otherwise, in this order."""


def _extras(tab: Tab) -> list[Column]:
    own = {column.key for column in OWN[tab]}
    return [Column(key, label, "c-xtra", 112) for key, label in EXTRA_COLUMNS.items() if key not in own]


COLUMNS: Final[Mapping[Tab, Mapping[str, Column]]] = {
    tab: {column.key: column for column in (*OWN[tab], *_extras(tab))} for tab in Tab
}
ALWAYS: Final[Mapping[Tab, frozenset[str]]] = {
    Tab.PENDING: frozenset({"action", "target", "why", "verdict", "expires", "undo"}),
    Tab.HISTORY: frozenset({"action", "target", "result"}),
}
"""What somebody decides by is never put away."""
NARROW_TOO: Final[Mapping[Tab, frozenset[str]]] = {
    Tab.PENDING: frozenset({"action", "target", "on", "verdict", "expires"}),
    Tab.HISTORY: frozenset({"action", "target", "on", "result", "ended"}),
}
"""What table.css leaves beside an open pane; the heading of a band spans just these."""
WIDTHS: Final[Mapping[str, float]] = {"narrow": 0.7, "normal": 1, "wide": 1.6}
LEAST: Final = 44
TARGET: Final = 220
"""Where somebody changed widths or columns, the target gets this or, as widths are rounded down, up to a STEP less."""
BOX: Final = 40
STEP: Final = 100
DENSITIES: Final = {"compact": "Compact", "usual": "Usual", "roomy": "Roomy"}


@dataclass(frozen=True, slots=True)
class Layout:
    """`order` has every column of the tab once, also those that aren't shown; `widths` only what isn't normal."""

    tab: Tab
    order: tuple[str, ...]
    shown: frozenset[str]
    widths: Mapping[str, str] = field(default_factory=dict)
    density: str = "usual"

    @classmethod
    def usual(cls, tab: Tab) -> Self:
        return cls(tab, tuple(COLUMNS[tab]), frozenset(column.key for column in OWN[tab]))

    @classmethod
    def of(cls, tab: Tab, kept: Mapping[str, Any]) -> Self:
        """From what is kept with a person. A column that came or went since then is where it would be usually."""
        usual, known = cls.usual(tab), COLUMNS[tab]
        own = kept.get(tab.value, {})
        order = [key for key in dict.fromkeys(own.get("order", ())) if key in known]
        order += [key for key in usual.order if key not in order]
        shown = frozenset(own["shown"]) & known.keys() | ALWAYS[tab] if "shown" in own else usual.shown
        widths = {
            key: width for key, width in own.get("widths", {}).items() if key in known and width in WIDTHS
        }
        density = kept.get("density", "usual")
        return replace(
            usual,
            order=tuple(order),
            shown=shown,
            widths=widths,
            density=density if density in DENSITIES else "usual",
        )

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(key for key in self.order if key in self.shown)

    @property
    def extras(self) -> list[str]:
        return [key for key in self.columns if self._is_extra(key)]

    @property
    def offered(self) -> list[str]:
        """The extra columns there are."""
        return [key for key in COLUMNS[self.tab] if self._is_extra(key)]

    @property
    def is_usual(self) -> bool:
        return self == replace(Layout.usual(self.tab), density=self.density)

    def with_extras(self, extras: Iterable[str]) -> Self:
        """These instead of the extra columns that the person has chosen."""
        own = frozenset(key for key in self.shown if not self._is_extra(key))
        return replace(self, shown=own | frozenset(extras))

    def moved(self, key: str, by: int) -> Self:
        """One place to the left (-1) or right (1) among those shown; at the edge it stays."""
        among, at = self.columns, self.columns.index(key)
        if not 0 <= at + by < len(among):
            return self
        order = list(self.order)
        order.remove(key)
        order.insert(order.index(among[at + by]) + (by > 0), key)
        return replace(self, order=tuple(order))

    def kept(self) -> dict[str, Any]:
        """What is to be kept of it for this tab; nothing where it is as usual."""
        usual = Layout.usual(self.tab)
        found: dict[str, Any] = {}
        if self.order != usual.order:
            found["order"] = list(self.order)
        if self.shown != usual.shown:
            found["shown"] = [key for key in self.order if key in self.shown]
        if self.widths:
            found["widths"] = {key: self.widths[key] for key in self.order if key in self.widths}
        return found

    def heads(self) -> list[dict[str, str]]:
        known = COLUMNS[self.tab]
        return [
            {
                "key": key,
                "label": known[key].label,
                "css": f"{known[key].css} {self.widths[key]}" if key in self.widths else known[key].css,
            }
            for key in self.columns
        ]

    def css(self) -> str:
        """Classes of the table."""
        found = [] if self.density == "usual" else [self.density]
        if not self.is_usual:
            found += ["own", f"fit-{int(self._width() // STEP)}"]
        return " ".join(found)

    def spans(self) -> dict[str, int]:
        """How many columns each part of a band's heading covers: always, with room, the extra ones."""
        first = sum(key in NARROW_TOO[self.tab] for key in self.columns)
        extra = len(self.extras)
        return {"first": 1 + first, "rest": len(self.columns) - first - extra, "extra": extra}

    def _width(self) -> float:
        known = COLUMNS[self.tab]
        shares = ((known[key].width, WIDTHS[self.widths.get(key, "normal")]) for key in self.columns)
        return BOX + sum(max(LEAST, width * share) if width else TARGET for width, share in shares)

    def _is_extra(self, key: str) -> bool:
        return key not in {column.key for column in OWN[self.tab]}


def unknown(tab: Tab, keys: Collection[str]) -> list[str]:
    return [key for key in keys if key not in COLUMNS[tab] and key not in EXTRA_COLUMNS]
