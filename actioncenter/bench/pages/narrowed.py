"""Random filters, tried one by one: is the page right, and what does it cost when nobody asked before."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from actioncenter.actions.queries import Tab
from actioncenter.bench.measuring import NANO_IN_MILLI, CpuClock, cost
from actioncenter.bench.pages.draws import Query, address
from actioncenter.bench.pages.naive import expected, shown_on
from actioncenter.bench.visiting import Visitor

TIMES: Final = 3
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Drawn:
    tab: Tab
    query: Query
    milliseconds: float
    differs: bool


def try_all(queries: Sequence[tuple[Tab, Query]], visitor: Visitor, clock: CpuClock) -> Sequence[Drawn]:
    return [_try(tab, query, visitor, clock) for tab, query in queries]


def _try(tab: Tab, query: Query, visitor: Visitor, clock: CpuClock) -> Drawn:
    where = address(tab, query)
    # Whatever periods and expiry mean moves on between page and plain query: only what stays is wrong.
    differs = all(shown_on(visitor.get(where)) != expected(tab, query) for _ in range(TRIES))
    costs = [cost(lambda: visitor.get_first(where), clock) for _ in range(TIMES)]
    return Drawn(tab, query, median(costs) / NANO_IN_MILLI, differs)
