"""How many there are: Pending exactly, History up to 10,000 (counting more costs more than the page)."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Min, QuerySet, Value

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action
from actioncenter.actions.queries.listing import Listing, Tab
from actioncenter.settings.access import Scope, within
from actioncenter.settings.models import ConnectorInstance
from actioncenter.web.keyset import as_text, scalars

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
    simulators = ConnectorInstance.objects.filter(enabled=True, simulated=True)
    found = scalars(
        [
            number(waiting),
            number(within(Action.objects.needs_a_look(), scope)),
            number(within(Action.objects.running(), scope)),
            number(within(Action.objects.past_expiry(), scope)),
            soonest.values("soonest")[:1],
            number(simulators),
        ]
    )
    counted = [found[at] or 0 for at in (0, 1, 2, 3)]
    return LiveCounts(*counted, soonest=found[4] or "", simulator=bool(found[5]))


def list_counts(listing: Listing) -> ListCounts:
    """One statement. A narrowed list is counted besides the whole of History."""
    history = Listing(tab=Tab.HISTORY, scope=listing.scope)
    wanted = [_total(listing), *map(number, listing.bands())]
    same = listing.tab is Tab.HISTORY and not listing.criteria
    if not same:
        wanted.append(_total(history))
    found = [value or 0 for value in scalars(wanted)]
    total, bands = found[0], found[1 : 1 + len(listing.bands())]
    return ListCounts(total=total, bands=tuple(bands), history=total if same else found[-1])


def within_sort_cap(listing: Listing) -> bool:
    """Whether few enough rows are left to sort them by a column without an index."""
    (found,) = scalars([_capped(listing, SORT_CAP)])
    return int(found or 0) <= SORT_CAP


def number(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    """The count as a queryset of one value."""
    everything = rows.order_by().annotate(everything=Value(1)).values("everything")
    return everything.annotate(number=Count("pk")).values("number")


def next_expiry(scope: Scope) -> Any:
    return within(Action.objects.waiting(), scope).aggregate(at=Min("expires_at"))["at"]


def _total(listing: Listing) -> QuerySet[Any, Any]:
    if listing.tab is Tab.PENDING or listing.live_result is not None:
        return number(listing.rows())
    return _capped(listing, HISTORY_CAP)


def _capped(listing: Listing, cap: int) -> QuerySet[Any, Any]:
    # The order keeps the planner on the index that the page walks.
    few = listing.rows().order_by("-history_at", "-id").values("pk")[: cap + 1]
    return number(Action.objects.filter(pk__in=few))


RUNNING_NOW = (Execution.QUEUED, Execution.IN_PROGRESS)
