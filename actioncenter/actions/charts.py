"""Where the parts of a chart stand. Pure: numbers in, places out; a template draws them.

Widths are parts of a hundred, so that a chart fits any column while its letters keep their size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Final

LINE: Final = 36
"""From one row to the next."""
TEXT: Final = 14
BAR: Final = 20
FOOT: Final = 20
TALL: Final = 120
"""Of columns, with a margin above and below."""
MARGIN: Final = 8
GUTTER: Final = 12.0
"""For the names of levels, in parts of a hundred."""
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
class Standing:
    """A piece of a column, in whole pixels from the top."""

    kind: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Column:
    x: str
    width: str
    middle: str
    parts: Sequence[Standing]
    dot: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    y: int


@dataclass(frozen=True, slots=True)
class Upright:
    """A chart of columns beside each other."""

    columns: Sequence[Column]
    levels: Sequence[Level]
    height: int = TALL + 2 * MARGIN


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


def columns(steps: Mapping[int, Sequence[tuple[str, int]]], number: int) -> Upright:
    """One for each step of a time, its kinds one on the other."""
    top = _rounded_up(max((sum(count for _, count in kinds) for kinds in steps.values()), default=0))
    made = []
    for step, kinds in sorted(steps.items()):
        parts, foot = [], TALL
        for kind, count in kinds:
            height = max(1, round(TALL * count / top)) if count else 0
            foot -= height
            if height:
                parts.append(Standing(kind, foot + MARGIN, height))
        made.append(Column(*_place(step, number), parts))
    levels = [
        Level(f"{value:,}", _height(value / top)) for value in ((0, top) if top < 2 else (0, top // 2, top))
    ]
    return Upright(made, levels)


def paces(steps: Mapping[int, tuple[int, int]], number: int) -> Upright:
    """For each step of a time a line from half to nearly all, with a dot at half, on a logarithmic scale."""
    longest = max([TICKS[0][0], *(most for _, most in steps.values())])
    made = []
    for step, (half, most) in sorted(steps.items()):
        low, high = (_height(_along(seconds, longest) / 100) for seconds in (half, most))
        x, width, middle = _place(step, number)
        made.append(Column(x, width, middle, [Standing("span", high, max(1, low - high))], dot=low))
    levels = [
        Level(name, _height(_along(seconds, longest) / 100)) for seconds, name in TICKS if seconds <= longest
    ]
    return Upright(made, levels)


def _place(step: int, number: int) -> tuple[str, str, str]:
    """Left edge, width and middle."""
    each = (100 - GUTTER) / max(number, 1)
    left = GUTTER + step * each
    return _share(left + each * 0.15), _share(each * 0.7), _share(left + each / 2)


def _height(part: float) -> int:
    return MARGIN + TALL - round(TALL * part)


def _rounded_up(number: int) -> int:
    """To 1, 2 or 5 with noughts, so that a scale can be read."""
    size = 1
    while size * 10 < number:
        size *= 10
    return next(size * of for of in (1, 2, 5, 10) if size * of >= number) if number > 1 else 1


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
