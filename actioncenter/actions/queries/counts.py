"""How many there are: Pending exactly, History up to 10,000 (counting more costs more than the page)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Max, QuerySet

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.models import Action
from actioncenter.actions.queries.listing import Listing, Shape, Tab
from actioncenter.settings.access import Scope, within
from actioncenter.settings.models import ConnectorInstance
from actioncenter.web.keyset import as_text, beside, compiled, counted, figure
from actioncenter.web.statements import Compiled, given, kept, rows_of

HISTORY_CAP: Final = 10_000
SORT_CAP: Final = 50_000


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What waits and what runs in somebody's scope, and what they haven't read.

    `soonest` is the next expiry, as the database's text; `urgent` the newest urgent notice, 0 for none.
    """

    waiting: int
    needs_look: int
    running: int
    overdue: int
    soonest: str
    simulator: bool
    real: bool = False
    """Something is reached that isn't simulated."""
    unread: int = 0
    urgent: int = 0

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


def live_counts(scope: Scope, user_id: int) -> LiveCounts:
    """One statement, answered from the small partial indexes of what hasn't ended or wasn't read."""
    (found,) = rows_of(_live(scope), [user_id] * 2)
    waits, look, runs, overdue, simulators, unread, urgent = (value or 0 for value in found[:7])
    return LiveCounts(
        waits, look, runs, overdue, found[7] or "", simulator=bool(simulators), real=bool(found[8]), unread=unread,
        urgent=urgent,
    )  # fmt: skip


@kept
def _live(scope: Scope) -> Compiled:
    waiting = within(Action.objects.waiting(), scope)
    soonest = waiting.order_by("expires_at", "id").annotate(soonest=as_text("expires_at"))
    unread = Notice.objects.unread().filter(user=given(0))
    urgent = Notice.objects.unread().filter(user=given(1), severity=Severity.URGENT)
    return beside(
        [
            _number(waiting),
            _number(within(Action.objects.needs_a_look(), scope)),
            _number(within(Action.objects.running(), scope)),
            _number(within(Action.objects.past_expiry(), scope)),
            _number(ConnectorInstance.objects.filter(enabled=True, simulated=True)),
            _number(unread),
            figure(urgent, Max("pk")),
            compiled(soonest.values("soonest")[:1]),
            _number(ConnectorInstance.objects.filter(enabled=True, simulated=False, dry_run=False)),
        ]
    )


def list_counts(listing: Listing) -> ListCounts:
    """One statement. Beside a narrowed list the whole of History is counted for its tab."""
    (found,) = rows_of(_list(listing.shape, HISTORY_CAP))
    total, *others, history = (value or 0 for value in found)
    if listing.tab is Tab.PENDING:
        total -= others[-1]
    return ListCounts(total=total, bands=tuple(others), history=total if _is_whole(listing) else history)


@kept
def _list(shape: Shape, cap: int) -> Compiled:
    listing = shape.listing()
    whole = Listing(tab=Tab.HISTORY, scope=shape.scope)
    history = None if _is_whole(listing) else _capped(whole, cap)
    return beside([_total(listing, cap), *map(_number, listing.bands()), history])


def _is_whole(listing: Listing) -> bool:
    return listing.tab is Tab.HISTORY and not listing.criteria


def count_all(listings: Sequence[Listing]) -> list[int]:
    """How many rows each of several lists has, bands aside, in one statement; more than the cap is the cap plus one."""
    if not listings:
        return []
    (found,) = rows_of(beside([_total(listing, HISTORY_CAP) for listing in listings]))
    return [number or 0 for number in found]


def within_sort_cap(listing: Listing) -> bool:
    """Whether few enough rows are left to sort them by a column without an index."""
    ((found,),) = rows_of(beside([_capped(listing, SORT_CAP)]))
    return (found or 0) <= SORT_CAP


def _number(rows: QuerySet[Any]) -> Compiled | None:
    return counted(rows.order_by().values("pk"))


def _total(listing: Listing, cap: int) -> Compiled | None:
    if listing.tab is Tab.PENDING or listing.live_result is not None:
        return _number(listing.counted())
    return _capped(listing, cap)


def _capped(listing: Listing, cap: int) -> Compiled | None:
    # The order keeps the planner on the index that the page walks.
    return counted(listing.rows().order_by("-history_at", "-id").values("pk")[: cap + 1])
