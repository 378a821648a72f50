"""How many there are: Pending exactly, History up to 10,000 (counting more costs more than the page)."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from actioncenter.actions.models import Action
from actioncenter.actions.queries.listing import Listing, Tab
from actioncenter.settings.access import Scope, within
from actioncenter.settings.models import ConnectorInstance
from actioncenter.web.keyset import Compiled, as_text, compiled, counted, scalars

HISTORY_CAP: Final = 10_000
SORT_CAP: Final = 50_000


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What waits and what runs in somebody's scope. `soonest` is the next expiry, as the database's text."""

    waiting: int
    needs_look: int
    running: int
    overdue: int
    soonest: str
    simulator: bool

    @property
    def pending(self) -> int:
        return self.waiting + self.needs_look


@dataclass(frozen=True, slots=True)
class ListCounts:
    """`total` and `history` stop at their cap plus one; `bands` are in the order of Listing.bands."""

    total: int
    bands: tuple[int, ...]
    history: int

    @property
    def capped(self) -> bool:
        return self.total > HISTORY_CAP


def live_counts(scope: Scope) -> LiveCounts:
    """One statement, answered from the small partial indexes of what hasn't ended."""
    waiting = within(Action.objects.waiting(), scope)
    soonest = waiting.order_by("expires_at", "id").annotate(soonest=as_text("expires_at"))
    found = scalars(
        [
            _number(waiting),
            _number(within(Action.objects.needs_a_look(), scope)),
            _number(within(Action.objects.running(), scope)),
            _number(within(Action.objects.past_expiry(), scope)),
            _number(ConnectorInstance.objects.filter(enabled=True, simulated=True)),
            compiled(soonest.values("soonest")[:1]),
        ]
    )
    waits, look, runs, overdue, simulators = (value or 0 for value in found[:5])
    return LiveCounts(waits, look, runs, overdue, soonest=found[5] or "", simulator=bool(simulators))


def list_counts(listing: Listing) -> ListCounts:
    """One statement. Beside a narrowed list the whole of History is counted for its tab."""
    bands = listing.bands()
    whole = listing.tab is Tab.HISTORY and not listing.criteria
    wanted = [_total(listing), *map(_number, bands)]
    if not whole:
        wanted.append(_capped(Listing(tab=Tab.HISTORY, scope=listing.scope), HISTORY_CAP))
    found = [value or 0 for value in scalars(wanted)]
    return ListCounts(
        total=found[0], bands=tuple(found[1 : 1 + len(bands)]), history=found[0] if whole else found[-1]
    )


def within_sort_cap(listing: Listing) -> bool:
    """Whether few enough rows are left to sort them by a column without an index."""
    (found,) = scalars([_capped(listing, SORT_CAP)])
    return (found or 0) <= SORT_CAP


def _number(rows: QuerySet[Any]) -> Compiled | None:
    return counted(rows.order_by().values("pk"))


def _total(listing: Listing) -> Compiled | None:
    if listing.tab is Tab.PENDING or listing.live_result is not None:
        return _number(listing.rows())
    return _capped(listing, HISTORY_CAP)


def _capped(listing: Listing, cap: int) -> Compiled | None:
    # The order keeps the planner on the index that the page walks.
    return counted(listing.rows().order_by("-history_at", "-id").values("pk")[: cap + 1])
