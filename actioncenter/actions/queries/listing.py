"""Which list is asked for, and the sets of rows it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from actioncenter.actions.models import Action
from actioncenter.actions.queries.criteria import ENDED_RESULTS, LIVE_RESULTS, Criteria, between, narrow
from actioncenter.settings.access import Scope, within

PUT_OFF: Final = Q(deferred_until__gt=Now())
PAGE_SIZE: Final = 50
BAND_LIMIT: Final = 50


class Tab(StrEnum):
    PENDING = "pending"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Sort:
    key: str
    down: bool = False

    def __str__(self) -> str:
        return f"-{self.key}" if self.down else self.key


DEFAULT_SORT: Final[Mapping[Tab, Sort]] = {
    Tab.PENDING: Sort("expires"),
    Tab.HISTORY: Sort("ended", down=True),
}


class Shape(NamedTuple):
    """What the SQL of a listing depends on, as a key."""

    tab: Tab
    scope: Scope
    criteria: tuple[tuple[str, Any], ...]
    size: int

    def listing(self) -> "Listing":
        return Listing(self.tab, self.scope, dict(self.criteria), size=self.size)


@dataclass(frozen=True, slots=True)
class Listing:
    """`position` is an unsealed page token, None for the first page."""

    tab: Tab
    scope: Scope
    criteria: Criteria = field(default_factory=dict)
    sort: Sort | None = None
    position: Mapping[str, Any] | None = None
    size: int = PAGE_SIZE

    @property
    def order(self) -> Sort:
        return self.sort or DEFAULT_SORT[self.tab]

    @property
    def shape(self) -> Shape:
        return Shape(self.tab, self.scope, tuple(self.criteria.items()), self.size)

    @property
    def live_result(self) -> Q | None:
        """Set when History is narrowed to something that runs: those rows are the list then."""
        return LIVE_RESULTS.get(self.criteria.get("result", "")) if self.tab is Tab.HISTORY else None

    def rows(self) -> QuerySet[Action]:
        """The rows that are paged through."""
        if self.tab is Tab.PENDING:
            rows = Action.objects.waiting().exclude(PUT_OFF)
            moment = "created_at"
        elif self.live_result is not None:
            rows = Action.objects.running().filter(self.live_result)
            moment = "queued_at"
        else:
            rows = Action.objects.ended()
            moment = "history_at"
            if "result" in self.criteria:
                rows = rows.filter(ENDED_RESULTS[self.criteria["result"]])
        return self._seen(rows.filter(between(moment, self.criteria)))

    def bands(self) -> list[QuerySet[Action]]:
        """What stands beside the list on its first page: above it, and what was put off below."""
        if self.tab is Tab.PENDING:
            return [self._seen(Action.objects.needs_a_look()), self._seen(self._put_off())]
        result = self.criteria.get("result")
        bands = []
        if result is None:
            bands.append(self._seen(Action.objects.running()))
        if result in (None, "expired"):
            bands.append(self._seen(Action.objects.past_expiry()))
        return bands

    def counted(self) -> QuerySet[Action]:
        """For Pending its rows and those put off together: an index alone answers how many there are."""
        if self.tab is not Tab.PENDING:
            return self.rows()
        return self._seen(Action.objects.waiting().filter(between("created_at", self.criteria)))

    def _put_off(self) -> QuerySet[Action]:
        rows = Action.objects.waiting().filter(PUT_OFF).order_by("deferred_until", "id")
        return rows.filter(between("created_at", self.criteria))

    def _seen(self, rows: QuerySet[Action]) -> QuerySet[Action]:
        return narrow(within(rows, self.scope), self.criteria)
