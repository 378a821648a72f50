"""What a narrowed list must show, asked in the plainest way and written apart from the product's queries."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import Decision, Execution, Source, TargetKind
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.queries import HISTORY_CAP, PAGE_SIZE, Tab
from actioncenter.bench.pages.draws import Query

BAND: Final = 50
NUMBER: Final = re.compile(rb'data-number="(\d+)"')
TOTAL: Final = re.compile(rb"\d to [\d,]+ of ([\d,]+\+?)<")
DAYS: Final = {"day": 1, "week": 7, "month": 30, "half": 183}
RUNS: Final = {
    "queued": Execution.QUEUED,
    "running": Execution.IN_PROGRESS,
    "outcome_unknown": Execution.OUTCOME_UNKNOWN,
}
ENDS: Final[Mapping[str, Q]] = {
    **{
        state.name.lower(): Q(execution=state)
        for state in (
            Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED, Execution.FAILED, Execution.TIMED_OUT, Execution.CANCELLED,
        )
    },
    **{state.name.lower(): Q(decision=state) for state in (Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN)},
    "undone": Q(undone_by__execution__in=[Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED]),
}  # fmt: skip


class Shown(NamedTuple):
    """Numbers in the order of the first page, and the total it claims (capped as `10,000+`)."""

    numbers: Sequence[int]
    total: str


def shown_on(page: bytes) -> Shown:
    """Read from the page itself, so that nothing between query and browser escapes the comparison."""
    total = TOTAL.search(page)
    return Shown([int(number) for number in NUMBER.findall(page)], total[1].decode() if total else "0")


def expected(tab: Tab, query: Query) -> Shown:
    return _pending(query) if tab is Tab.PENDING else _history(query)


def _pending(query: Query) -> Shown:
    now = timezone.now()
    every = Action.objects.filter(_narrowing(query))
    kept = every.filter(history_at=None)
    failed_undos = set(ActionTarget.objects.filter(blocks=True).values_list("action", flat=True))
    unclear = Q(execution=Execution.OUTCOME_UNKNOWN, history_at=None)
    look = every.filter(unclear | Q(pk__in=failed_undos)).order_by("-queued_at", "-id")
    waits = kept.filter(decision=Decision.PENDING, expires_at__gt=now).order_by("expires_at", "id")
    if "since" in query:
        waits = waits.filter(created_at__gte=_start(query))
    return _shown([look], waits)


def _history(query: Query) -> Shown:
    result = query.get("result")
    kept = Action.objects.filter(_narrowing(query))
    live = kept.filter(history_at=None)
    if result in RUNS:
        runs = live.filter(execution=RUNS[result]).order_by(F("queued_at").desc(nulls_last=True), "-id")
        return _shown([], runs.filter(queued_at__gte=_start(query)) if "since" in query else runs)
    bands = []
    if result is None:
        running = live.filter(decision__in=[Decision.NOT_REQUIRED, Decision.APPROVED])
        bands.append(running.order_by("-queued_at", "-id"))
    if result in (None, "expired"):
        overdue = live.filter(decision=Decision.PENDING, expires_at__lte=timezone.now())
        bands.append(overdue.order_by("-queued_at", "-id"))
    ended = kept.filter(ENDS[result] if result else Q(), history_at__isnull=False)
    if "since" in query:
        ended = ended.filter(history_at__gte=_start(query))
    return _shown(bands, ended.order_by("-history_at", "-id"), cap=HISTORY_CAP)


def _shown(bands: Sequence[QuerySet[Action]], rows: QuerySet[Action], cap: int | None = None) -> Shown:
    numbers = [number for band in bands for number in band.values_list("pk", flat=True)[:BAND]]
    numbers += rows.values_list("pk", flat=True)[:PAGE_SIZE]
    count = rows.count()
    total = count + sum(band.count() for band in bands)
    return Shown(numbers, f"{cap:,}+" if cap and count > cap else f"{total:,}")


def _start(query: Query) -> Any:
    return timezone.now() - timedelta(days=DAYS[query["since"]])


def _narrowing(query: Query) -> Q:
    wanted = Q()
    codes = {entry.code: kind for kind, entry in CATALOGUE.items()}
    for name, value in query.items():
        if name == "type":
            wanted &= Q(type=codes[value])
        elif name == "verdict":
            wanted &= Q(verdict={"malicious": 4, "suspicious": 3}[value])
        elif name == "group":
            wanted &= Q(group_id=int(value))
        elif name == "entity":
            wanted &= Q(target_kind=TargetKind[value.upper()])
        elif name == "source":
            wanted &= Q(source=Source[value.upper()])
        elif name == "by":
            wanted &= _decided(value)
        elif name == "q":
            wanted &= Q(target_name__icontains=value) | Q(on_name__icontains=value)
    return wanted


def _decided(by: str) -> Q:
    if by == "automation":
        return Q(decision=Decision.NOT_REQUIRED, decided_by=None, requested_by=None)
    if by == "nobody":
        return Q(decision=Decision.EXPIRED, decided_by=None)
    return Q(decided_by=int(by))
