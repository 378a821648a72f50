"""A report as its page and its file show it: ready words, charts and tables of the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.charts import Bars, Chart, Span, bars, full_bars, spans
from actioncenter.actions.queries.hasty import READING, TEAM, Hasty
from actioncenter.actions.queries.reports import Asked, By, Figures, Times
from actioncenter.web.moments import lasting
from actioncenter.web.text import capped, in_plain_text

DRAWN: Final = 10
LISTED: Final = 50
"""Rows on the page at most; a file has all of them."""
LONGEST_NAME: Final = 30
NOTHING: Final = "–"
SPLITS: Final[Mapping[By, str]] = {By.TYPE: "type", By.GROUP: "device group", By.PERSON: "person"}
HEAD: Final = (
    "By", "Name", "Ended", "Run by automation", "Run by hand", "Approved", "Rejected", "Expired", "Withdrawn", "Done",
    "Undone by people", "Undone within 7 days", "Time to decide p50 (s)", "Time to decide p95 (s)",
    "Time to remediate p50 (s)", "Time to remediate p95 (s)", "Approvals by people", f"Approved within {READING} s of opening",
    "Approved unopened", "Approved unopened in bulk", "From (UTC)", "Until (UTC)",
)  # fmt: skip
OUTCOMES: Final = (
    ("Approved", "approved"),
    ("Rejected", "rejected"),
    ("Expired", "expired"),
    ("Withdrawn", "withdrawn"),
)
LEGEND: Final = (
    ("automatic", "Automatic"), ("by_hand", "By hand"), ("approved", "Approved"), ("rejected", "Rejected"),
    ("expired", "Expired"), ("withdrawn", "Withdrawn"),
)  # fmt: skip


OF_ALL: Final = (
    "Ended", "Automatic", "By hand", "Waited", "Approved", "Rejected", "Expired", "Withdrawn", "Undone", "In 7 days",
)  # fmt: skip
OF_PEOPLE: Final = ("Decided", "Approved", "Rejected", "Undone", "In 7 days")


@dataclass(frozen=True, slots=True)
class Card:
    """A chart, and the table with its numbers. The first cell of a row names it and may be text from outside."""

    key: str
    title: str
    figure: str
    chart: Chart
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    says: str
    """What the chart shows, for whoever doesn't see it."""
    note: str = ""
    wide: bool = False
    more: int = 0
    """Rows that only the file has."""
    legend: Sequence[tuple[str, str]] = ()
    """What the colours of its bars stand for."""

    @property
    def labelled(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Each cell with its head, for screens on which they don't stand under it."""
        return [(name, list(zip(self.head[1:], cells, strict=True))) for name, cells in self.rows]


@dataclass(frozen=True, slots=True)
class Report:
    """`figures` in the order of the query: everything first."""

    asked: Asked
    figures: Sequence[Figures]
    mine: Hasty
    team: Hasty

    @property
    def whole(self) -> Figures:
        return self.figures[0]

    def split(self, by: By) -> list[Figures]:
        """By number; people by name, for nobody is ranked."""
        rows = [row for row in self.figures if row.by is by]
        if by is By.STEP:
            return sorted(rows, key=lambda row: row.key)
        if by is not By.PERSON:
            return sorted(rows, key=lambda row: (-row.counts.ended, self.name_of(row)))
        return sorted(rows, key=lambda row: (row.key != self.asked.me, self.name_of(row).casefold()))

    def name_of(self, row: Figures) -> str:
        if row.by is By.TYPE:
            return CATALOGUE[row.key].short if row.key in CATALOGUE else f"Type {row.key}"  # type: ignore[index]
        if row.by is By.GROUP:
            return row.name if row.key else "No device group"
        if row.by is By.STEP:
            return f"{self.begin_of(row.key):%d %b %Y}"
        if row.key == self.asked.me:
            return "You"
        return row.name or ("Accounts that are gone" if self.asked.each_person else "Everybody else")

    def begin_of(self, step: int) -> datetime:
        return (self.asked.since + step * self.asked.step).astimezone(self.asked.zone)


def share(part: int, whole: int) -> str:
    if not whole:
        return NOTHING
    number = 100 * part / whole
    return f"{number:.1f} %" if 0 < number < 10 or 99 < number < 100 else f"{number:.0f} %"


def span(seconds: int | None) -> str:
    return NOTHING if seconds is None else lasting(timedelta(seconds=seconds))


def tiles(report: Report) -> list[tuple[str, str]]:
    """Figure and what it is; what a reader wants first."""
    counts, whole = report.whole.counts, report.whole
    return [
        (f"{counts.ended:,}", "ended"),
        (share(counts.automatic, counts.ended), "run by automation"),
        (span(whole.decide.half), "median to decide"),
        (span(whole.remedy.half), "median to remediate"),
        (share(counts.expired, counts.waited), "expired undecided"),
        (share(counts.regretted, counts.done), "undone within 7 days"),
    ]


def cards(report: Report, by: By) -> list[Card]:
    return [
        _outcomes(report),
        _deciders(report),
        _regret(report),
        _reading(report),
        _times(report, by, "decide", f"Time to decide, by {SPLITS[by]}"),
        _times(report, by, "remedy", f"Time to remediate, by {SPLITS[by]}"),
        _rates(report, by),
    ]


def _outcomes(report: Report) -> Card:
    counts = report.whole.counts
    numbers = [(label, getattr(counts, kind), kind) for label, kind in OUTCOMES]
    return Card(
        "outcomes",
        "What waited for a person",
        f"{counts.waited:,}",
        *_counted(numbers, counts.waited, "Result"),
        says="How many were approved, rejected, expired and withdrawn.",
    )


def _deciders(report: Report) -> Card:
    counts = report.whole.counts
    numbers = [
        ("Automation", counts.automatic, "automatic"),
        ("A person decided", counts.decided, "approved"),
        ("A person, without asking", counts.by_hand, "by_hand"),
        ("Nobody", counts.expired + counts.withdrawn, "expired"),
    ]
    return Card(
        "deciders",
        "Who decided",
        f"{share(counts.automatic, counts.ended)} automatic",
        *_counted(numbers, counts.ended, "By"),
        says="How many actions automation ran, people decided, people ran without asking, and nobody decided.",
    )


def _regret(report: Report) -> Card:
    counts = report.whole.counts
    numbers = [
        ("Undone within 7 days", counts.regretted, "rejected"),
        ("Undone later", counts.undone - counts.regretted, "expired"),
        ("Stands", counts.done - counts.undone, "approved"),
    ]
    return Card(
        "regret",
        "Undone afterwards",
        f"{counts.done:,} done",
        *_counted(numbers, counts.done, "Since then"),
        says="How much of what was done was undone within 7 days, undone later, or stands.",
        note="By people. What a timer ends is no regret; what was done this week may yet be undone.",
    )


def _counted(numbers: Sequence[tuple[str, int, str]], whole: int, what: str) -> tuple[Chart, Any, Any]:
    """Chart, head and rows of parts of a whole."""
    chart = bars(
        [Bars(name, share(number, whole), [(kind, number)]) for name, number, kind in numbers], whole
    )
    return (
        chart,
        (what, "Actions", "Share"),
        [(name, (f"{number:,}", share(number, whole))) for name, number, _ in numbers],
    )


def _reading(report: Report) -> Card:
    """For the team where it is one, and for oneself."""
    mine, team = report.mine, report.team
    told = team.people >= TEAM
    shown = team if told else mine
    ways = [
        (f"Opened for under {READING} s", "quick"),
        ("Not opened", "unopened"),
        ("Not opened, in bulk", "in_bulk"),
    ]
    of = [team, mine] if told else [mine]
    rows = [
        (label, [cell for hasty in of for cell in _signal(getattr(hasty, way), hasty)]) for label, way in ways
    ]
    few = f"Others are counted from {TEAM} people on: of fewer it would show what single ones did."
    return Card(
        "reading",
        "Approved faster than reading",
        f"{share(shown.total, shown.approvals)} of {'all' if told else 'your'} approvals",
        bars(
            [
                Bars(label, share(getattr(shown, way), shown.approvals), [("expired", getattr(shown, way))])
                for label, way in ways
            ],
            shown.approvals,
        ),
        ("Approvals", *([f"Team, of {team.approvals:,}", "Share"] if told else []), f"You, of {mine.approvals:,}", "Share"),
        rows,
        says="How many approvals came sooner than anybody reads, by how it was opened.",
        note=f"Of the last 90 days. {'A sign about the work, not about people.' if told else few}",
    )  # fmt: skip


def _signal(number: int, hasty: Hasty) -> tuple[str, str]:
    return f"{number:,}", share(number, hasty.approvals)


def _times(report: Report, by: By, which: str, title: str) -> Card:
    decide = which == "decide"
    rows = [
        (report.name_of(row), _measured(row, decide=decide), times)
        for row in report.split(by)
        if (times := _taken(row, decide=decide)).half is not None
    ]
    drawn = [
        Span(_short(name), f"{span(times.half)} · {span(times.most)}", times.half or 0, times.most or 0)
        for name, _, times in rows[:DRAWN]
    ]
    whole = _taken(report.whole, decide=decide)
    return Card(
        f"{which}-times",
        title,
        f"p50 {span(whole.half)} · p95 {span(whole.most)}",
        spans(drawn),
        (SPLITS[by].capitalize(), "Decided" if decide else "Done", "p50", "p95"),
        [
            (name, (f"{number:,}", span(times.half), span(times.most)))
            for name, number, times in rows[:LISTED]
        ],
        says="For each a dot at the time that half took at most, and a line to the time of 95 in a hundred.",
        note="From when it was proposed. p50: half took no longer; p95: 95 of 100.",
        more=max(0, len(rows) - LISTED),
    )


def _taken(row: Figures, *, decide: bool) -> Times:
    return row.decide if decide else row.remedy


def _measured(row: Figures, *, decide: bool) -> int:
    return row.counts.decided if decide else row.counts.done


def _rates(report: Report, by: By) -> Card:
    """People are told apart by what they decided; what nobody decided is nobody's."""
    rows = report.split(by)
    people = by is By.PERSON
    legend = [each for each in LEGEND if not people or each[0] in ("approved", "rejected")]
    drawn = [
        Bars(_short(report.name_of(row)), f"{row.counts.ended:,}", [(kind, getattr(row.counts, kind)) for kind, _ in legend])
        for row in rows[:DRAWN]
    ]  # fmt: skip
    every = "Approved, rejected, expired and withdrawn are shares of what waited; undone of what was done."
    return Card(
        "rates",
        f"What became of them, by {SPLITS[by]}",
        f"{sum(row.counts.ended for row in rows):,} {'decided' if people else 'ended'}",
        full_bars(drawn),
        (SPLITS[by].capitalize(), *(OF_PEOPLE if people else OF_ALL)),
        [(report.name_of(row), _rates_of(row, people=people)) for row in rows[:LISTED]],
        says=f"What each is made of: {', '.join(label.lower() for _, label in legend)}.",
        note="Undone is a share of what was done." if people else every,
        wide=True,
        legend=legend,
        more=max(0, len(rows) - LISTED),
    )


def _rates_of(row: Figures, *, people: bool) -> list[str]:
    counts = row.counts
    undone = [share(number, counts.done) for number in (counts.undone, counts.regretted)]
    ways = (counts.approved, counts.rejected, counts.expired, counts.withdrawn)
    if people:
        return [f"{counts.decided:,}", *(share(number, counts.decided) for number in ways[:2]), *undone]
    alone = [share(number, counts.ended) for number in (counts.automatic, counts.by_hand)]
    return [f"{counts.ended:,}", *alone, f"{counts.waited:,}", *(share(number, counts.waited) for number in ways), *undone]  # fmt: skip


def _short(name: str) -> str:
    """A name in a picture, where nothing cuts it: hidden characters are named, the end stays."""
    return capped(in_plain_text(name), LONGEST_NAME)


def lines(report: Report) -> Iterator[Sequence[object]]:
    """The rows of its file, under HEAD: everything, then each type, group and person."""
    if not report.figures:
        return
    yield _line(report, report.whole, "all", "", report.team if report.team.people >= TEAM else None)
    for by in By:
        for row in report.split(by):
            own = by is By.PERSON and row.key == report.asked.me
            yield _line(
                report, row, SPLITS.get(by, by.value), report.name_of(row), report.mine if own else None
            )


def _line(report: Report, row: Figures, by: str, name: str, hasty: Hasty | None) -> list[object]:
    begin = report.asked.since
    if report.whole.capped and report.whole.oldest:
        begin = report.whole.oldest
    signals = [hasty.approvals, hasty.quick, hasty.unopened, hasty.in_bulk] if hasty else [""] * 4
    bounds = [f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for moment in (begin, report.asked.until)]
    return [by, name, *row.counts, *row.decide, *row.remedy, *signals, *bounds]
