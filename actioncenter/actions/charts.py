"""Where the parts of a chart stand. Pure: numbers in, places out; a template draws them.

Widths are parts of a hundred, so that a chart fits any column while its letters keep their size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Final

LINE: Final = 36
"""From one row to the next."""
TEXT: Final = 14
BAR: Final = 20
FOOT: Final = 20
THIN: Final = 0.6
"""What is there at all can be seen."""
TICKS: Final = ((60, "1 min"), (3600, "1 h"), (86400, "1 day"))
CROWDED: Final = 12.0
"""Names of ticks that stand nearer lie on each other."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar; `kind` says in which colour."""

    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: str
    text_y: int
    bar_y: int
    parts: Sequence[Part]
    dot: str = ""
    dot_y: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    name: str
    x: str


@dataclass(frozen=True, slots=True)
class Chart:
    height: int
    rows: Sequence[Row]
    ticks: Sequence[Tick] = ()
    ticks_y: int = 0


@dataclass(frozen=True, slots=True)
class Bars:
    """A row of a chart of bars: how many of each kind."""

    name: str
    value: str
    numbers: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Span:
    """A row of a chart of times: seconds that half took at most, and nearly all."""

    name: str
    value: str
    half: int
    most: int


def bars(rows: Sequence[Bars], whole: int) -> Chart:
    """As parts of `whole`, one behind the other."""
    made = [
        Row(row.name, row.value, at * LINE + TEXT, at * LINE + BAR, list(_parts(row.numbers, whole)))
        for at, row in enumerate(rows)
    ]
    return Chart(len(rows) * LINE, made)


def full_bars(rows: Sequence[Bars]) -> Chart:
    """Each row as long as every other: what it is made of."""
    made = [
        Row(
            row.name, row.value, at * LINE + TEXT, at * LINE + BAR,
            list(_parts(row.numbers, sum(number for _, number in row.numbers))),
        )
        for at, row in enumerate(rows)
    ]  # fmt: skip
    return Chart(len(rows) * LINE, made)


def spans(rows: Sequence[Span]) -> Chart:
    """A line from half to nearly all, with a dot at half. Minutes and days both show: the scale is logarithmic."""
    longest = max((row.most for row in rows), default=0)
    made = []
    for at, row in enumerate(rows):
        half, most = _along(row.half, longest), _along(row.most, longest)
        line = Part("span", _share(half), _share(max(most - half, THIN)))
        y = at * LINE + BAR
        made.append(Row(row.name, row.value, at * LINE + TEXT, y, [line], dot=_share(half), dot_y=y + 4))
    foot, ticks = len(rows) * LINE, list(_ticks(longest))
    return Chart(foot + (FOOT if ticks else 0), made, ticks, foot + TEXT)


def _parts(numbers: Sequence[tuple[str, int]], whole: int) -> Iterator[Part]:
    x = 0.0
    for kind, number in numbers:
        if number > 0:
            width = 100 * number / max(whole, number)
            yield Part(kind, _share(x), _share(max(width, THIN)))
            x += width


def _ticks(longest: int) -> Iterator[Tick]:
    last = -CROWDED
    for seconds, name in TICKS:
        x = _along(seconds, longest)
        if seconds <= longest and x - last >= CROWDED and x <= 100 - CROWDED / 2:
            last = x
            yield Tick(name, _share(x))


def _along(seconds: int, longest: int) -> float:
    """Room is left at the end for the dot."""
    return 98 * log1p(max(seconds, 0)) / log1p(max(longest, 1))


def _share(number: float) -> str:
    return f"{number:.2f}%"
