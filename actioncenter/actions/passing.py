"""How a report's figures went on over its time: a column for each day or as many days as fit, and their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actioncenter.actions.charts import Upright, columns, paces
from actioncenter.actions.queries.reports import By
from actioncenter.actions.reporting import LEGEND, Report, span

HEAD: Final = ("From", "Ended", "Automatic", "Approved", "Rejected", "Expired", "Decide p50", "p95")


@dataclass(frozen=True, slots=True)
class Passing:
    """Two charts over the same time, and one table with the numbers of both."""

    title: str
    counts: Upright
    decide: Upright
    first: str
    last: str
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    legend: Sequence[tuple[str, str]] = LEGEND


def passing(report: Report) -> Passing:
    asked, steps = report.asked, report.split(By.STEP)
    days = asked.step.days
    rows = []
    for row in steps:
        counts = row.counts
        cells = (counts.ended, counts.automatic, counts.approved, counts.rejected, counts.expired)
        shown = [*(f"{number:,}" for number in cells), span(row.decide.half), span(row.decide.most)]
        rows.append((report.name_of(row), list(zip(HEAD[1:], shown, strict=True))))
    return Passing(
        "Day by day" if days == 1 else f"Every {days} days",
        columns(
            {row.key: [(kind, getattr(row.counts, kind)) for kind, _ in LEGEND] for row in steps}, asked.steps
        ),
        paces(
            {
                row.key: (row.decide.half, row.decide.most or row.decide.half)
                for row in steps
                if row.decide.half is not None
            },
            asked.steps,
        ),
        f"{report.begin_of(0):%d %b}",
        f"{report.begin_of(asked.steps - 1):%d %b}",
        rows,
    )
