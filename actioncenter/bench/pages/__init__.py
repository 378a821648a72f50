"""The benchmark `pages`: what Pending and History cost, at any size, beside what they could cost."""

import random
import time
from collections.abc import Callable, Mapping, Sequence

from django.utils import timezone

from actioncenter.actions.queries import Tab
from actioncenter.audit import roles
from actioncenter.bench.asked import Asked
from actioncenter.bench.measuring import CpuClock, Times, backend_of_django, interleave, percentile
from actioncenter.bench.pages.draws import address, drawn, usual
from actioncenter.bench.pages.floor import Floor
from actioncenter.bench.pages.narrowed import Drawn, try_all
from actioncenter.bench.pages.variants import DEEP, PAGE_1, Setup, variants
from actioncenter.bench.population import fill
from actioncenter.bench.report import Number, Report, Table, ratio
from actioncenter.bench.visiting import Visitor

WHO = ("ours", "first time", "bare", "floor", "default", "tuned")
DRAWS = 60
MANY_DRAWS, MANY_ROWS = 300, 1_000_000
"""So many from that size on, as the targets ask."""


def run(asked: Asked) -> Report:
    """CPU time of whole requests, client process plus database backend, medians of interleaved rounds.

    One run builds the table, then asks in turns, each round in a new order, on one machine, warm:
    *ours*, the real pages through handler, middleware, session, rights, SQL and templates, page 1,
    page 1000 (or the last full one, reached by its token) and five filters of either tab, in a process
    that has shown them before, and page 1 also for the *first time*, without kept statements and rows; *bare*, the
    same layout and sign-in with the content ready-made and no SQL of its own; *floor*, one prepared
    statement and the rows put together in Python without a framework; Django's admin changelist over
    the same table as it comes (date hierarchy, filters, both counts) and *tuned* (no hierarchy, no
    count at all). Parallel query and JIT are off, so that a count is charged where it is made.
    Then random filters are drawn with the seed: each page's numbers, order and count are compared
    with a plain query written apart (a difference must repeat, because the clock moves on), and its
    cost, always for the first time, is set beside page 1. Each ratio is the worse of Pending and History.
    """
    started = time.monotonic()
    now = timezone.now().replace(second=0, microsecond=0)
    # Loading takes indexes off and puts them back.
    with roles.as_owner():
        filled = fill(asked.rows, seed=asked.seed, now=now, say=asked.say)
    asked.say(f"Built in {time.monotonic() - started:.0f} s.")
    rng = random.Random(asked.seed)  # noqa: S311 - order of measurements
    floor = Floor.connect()
    setup = Setup(filled, Visitor.enrol(), floor)
    asked.say("Measuring pages and peers ...")
    wanted = variants(setup, usual(filled))
    clock = CpuClock.with_backends([*backend_of_django(), *floor.backend])
    times = interleave(wanted, clock, rounds=asked.rounds, rng=rng)
    draws = MANY_DRAWS if asked.rows >= MANY_ROWS else DRAWS
    asked.say(f"Trying {draws} random filters ...")
    queries = drawn(filled, draws, rng)
    found = try_all(queries, setup.visitor, clock)
    slowest = sorted(found, key=lambda each: each.milliseconds)[-3:]
    notes = [f"Slowest: {each.milliseconds:.0f} ms {address(each.tab, each.query)}" for each in slowest]
    notes += [f"Differs: {address(each.tab, each.query)}" for each in found if each.differs]
    return Report("pages", asked.rows, asked.database, _ratios(times, found), _tables(times, found), notes)


def _ratios(times: Times, found: Sequence[Drawn]) -> Mapping[str, Number]:
    def against(who: str) -> Sequence[float]:
        return [ratio(times[f"{tab} {PAGE_1}", "ours"], times[f"{tab} {PAGE_1}", who]) for tab in Tab]

    def admin(who: str) -> float:
        return min(ratio(times[f"{tab} {PAGE_1}", who], times[f"{tab} {PAGE_1}", "ours"]) for tab in Tab)

    def filters(of: Callable[[Sequence[float]], float]) -> float:
        return max(
            ratio(
                of([each.milliseconds for each in found if each.tab is tab]), times[f"{tab} {PAGE_1}", "ours"]
            )
            for tab in Tab
        )

    return {
        "page1_vs_bare": max(against("bare")),
        "page1_vs_floor": max(against("floor")),
        "admin_default_vs_page1": admin("default"),
        "admin_tuned_vs_page1": admin("tuned"),
        "page1000_vs_page1": max(
            ratio(times[f"{tab} {DEEP}", "ours"], times[f"{tab} {PAGE_1}", "ours"]) for tab in Tab
        ),
        "filters_p95_vs_page1": filters(lambda values: percentile(values, 0.95)),
        "filters_max_vs_page1": filters(max),
        "filters_mismatches": sum(each.differs for each in found),
        "sqlite_vs_postgres": None,
    }


def _tables(times: Times, found: Sequence[Drawn]) -> Sequence[Table]:
    lines = []
    for case in dict.fromkeys(case for case, _ in times):
        taken = [times.get((case, who)) for who in WHO]
        ours = times[case, "ours"]
        shares = [ratio(times[case, who], ours) for who in ("default", "tuned")]
        lines.append(
            [case, *("" if value is None else f"{value:.2f}" for value in taken), *(f"{x:g}" for x in shares)]
        )
    head = [
        "CPU ms",
        "ours",
        "first time",
        "bare",
        "floor",
        "admin",
        "tuned admin",
        "admin / ours",
        "tuned / ours",
    ]
    drawn_lines = []
    for tab in Tab:
        costs = [each.milliseconds for each in found if each.tab is tab]
        figures = [percentile(costs, share) for share in (0.5, 0.95, 1)]
        wrong = sum(each.differs for each in found if each.tab is tab)
        drawn_lines.append([tab.value, str(len(costs)), *(f"{value:.2f}" for value in figures), str(wrong)])
    return [
        Table("Pages", head, lines),
        Table("Random filters, CPU ms", ["list", "draws", "median", "p95", "max", "mismatches"], drawn_lines),
    ]
