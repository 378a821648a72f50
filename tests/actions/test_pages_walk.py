"""Pages against the plainest query, their cost, and the indexes they stand on."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Source, TargetKind
from actioncenter.actions.models import Action
from actioncenter.actions.queries import Listing, Page, Sort, Tab, list_counts, page
from actioncenter.actions.queries.criteria import ENDED_RESULTS, narrow
from actioncenter.actions.queries.pages import INDEXED, SORTED
from actioncenter.actions.queries.raw import columns
from actioncenter.settings.access import Scope
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.keyset import Beyond, compiled, seal, unseal
from investigations.enums import Verdict
from tests import factories
from tests.actions.varied import proposed, put, table

pytestmark = pytest.mark.django_db
EVERYTHING = Scope(groups=None, areas=frozenset(Area))


def walked(listing: Listing, *, back: bool = False) -> list[list[int]]:
    """Numbers page by page, following the tokens as addresses carry them; from the end when `back`."""
    pages: list[list[int]] = []
    found = page(listing, list_counts(listing))
    if back:
        while found.after:
            found = _turned(listing, found.after)
    while True:
        pages.append([row.id for row in found.rows])
        following = found.before if back else found.after
        if following is None:
            return pages
        found = _turned(listing, following)


def _turned(listing: Listing, position: Mapping[str, Any]) -> Page:
    listing = replace(listing, position=unseal(seal(position)))
    return page(listing, list_counts(listing))


def numbers(pages: Sequence[Sequence[int]]) -> list[int]:
    return [number for rows in pages for number in rows]


@pytest.fixture
def varied() -> random.Random:
    rng = random.Random(20261123)
    table(120, rng)
    return rng


@pytest.mark.parametrize("tab", Tab)
def test_walking_a_list_shows_every_row_once_in_order(varied: random.Random, tab: Tab) -> None:
    rows = Action.objects.waiting() if tab is Tab.PENDING else Action.objects.ended()
    orders = [Sort(key, down=down) for key in {*INDEXED[tab], *SORTED[tab]} for down in (False, True)]

    wrong = []
    for sort in orders:
        naive = rows.order_by(*_naive_order(tab, sort)).values_list("pk", flat=True)
        if numbers(walked(Listing(tab=tab, scope=EVERYTHING, sort=sort, size=7))) != list(naive):
            wrong.append(str(sort))
    assert wrong == []


def _naive_order(tab: Tab, sort: Sort) -> list[Any]:
    if sort.key in INDEXED[tab]:
        return [f"-{column}" if sort.down else column for column in INDEXED[tab][sort.key]]
    column = F(SORTED[tab][sort.key])
    return [column.desc(nulls_last=True) if sort.down else column.asc(nulls_last=True), "-id"]


@pytest.mark.parametrize("tab", Tab)
def test_going_back_shows_the_same_rows(varied: random.Random, tab: Tab) -> None:
    listing = Listing(tab=tab, scope=EVERYTHING, size=7)

    there, back = walked(listing), walked(listing, back=True)
    assert back == there[::-1]


def test_random_filters_find_what_the_plain_query_finds(varied: random.Random) -> None:
    groups = list(DeviceGroup.objects.values_list("pk", flat=True))
    mismatches = []
    for _ in range(80):
        criteria = _drawn(varied, groups)
        scope = varied.choice([EVERYTHING, Scope(groups=frozenset(groups[:1]), areas=frozenset(Area))])
        naive = narrow(Action.objects.filter(history_at__isnull=False), criteria)
        if "result" in criteria:
            naive = naive.filter(ENDED_RESULTS[criteria["result"]])
        expected = [
            action.pk
            for action in sorted(naive, key=lambda one: (one.history_at, one.pk), reverse=True)
            if scope.groups is None or action.group_id is None or action.group_id in scope.groups
        ]
        listing = Listing(tab=Tab.HISTORY, scope=scope, criteria=criteria, size=9)
        if numbers(walked(listing)) != expected or list_counts(listing).total != len(expected):
            mismatches.append(criteria)
    assert mismatches == []


def _drawn(rng: random.Random, groups: Sequence[int]) -> dict[str, Any]:
    offered: dict[str, Any] = {
        "type": rng.choice([ActionType.QUARANTINE_FILE, ActionType.SOFT_DELETE_EMAIL]),
        "entity": rng.choice([TargetKind.FILE, TargetKind.URL]),
        "verdict": rng.choice([Verdict.MALICIOUS, Verdict.SUSPICIOUS]),
        "source": rng.choice(list(Source)),
        "group": rng.choice(groups),
        "by": rng.choice(["automation", "nobody"]),
        "q": rng.choice(["invoice", "HOST-3", "a-12"]),
        "result": rng.choice(list(ENDED_RESULTS)),
    }
    return {name: offered[name] for name in rng.sample(list(offered), rng.randrange(1, 4))}


def test_counts_of_history_stop_at_the_cap(varied: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actioncenter.actions.queries.counts.HISTORY_CAP", 10)

    counts = list_counts(Listing(tab=Tab.HISTORY, scope=EVERYTHING))
    assert (counts.total, counts.capped) == (11, True)


def test_a_column_without_an_index_sorts_few_rows_only(
    varied: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actioncenter.actions.queries.counts.HISTORY_CAP", 10)
    monkeypatch.setattr("actioncenter.actions.queries.counts.SORT_CAP", 20)
    listing = Listing(tab=Tab.HISTORY, scope=EVERYTHING, sort=Sort("target"))

    found = page(listing, list_counts(listing))
    assert (found.refused_sort, found.sort) == ("target", Sort("ended", down=True))


@pytest.mark.parametrize(
    "address",
    [f"/action-center/{rest}?size=100" for rest in ("pending", "history")]
    + ["/action-center/pending?open={}"],
)
def test_a_list_costs_the_same_queries_at_any_length(client: Client, address: str) -> None:
    client.force_login(factories.person("mira"))
    client.get("/action-center/pending")
    costs = []
    for upto in (1, 3, 100):
        for number in range(Action.objects.waiting().count(), upto):
            waiting = proposed(name=f"waiting-{number}")
            put(proposed(name=f"ended-{number}"), Decision.REJECTED, Execution.NONE)
        with CaptureQueriesContext(connection) as queries:
            client.get(address.format(waiting.pk))
        costs.append(len(queries))
    assert costs == [costs[0]] * 3


def plan_of(rows: Any) -> str:
    """Of an almost empty table, so PostgreSQL is told not to read it whole."""
    sql, params = compiled(rows) or ("", ())
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            return " ".join(row[3] for row in cursor.fetchall())
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"
        )
        cursor.execute(f"EXPLAIN {sql}", params)
        return " ".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize(
    ("tab", "key", "index"),
    [
        (Tab.HISTORY, "ended", "action_history"),
        (Tab.HISTORY, "action", "action_type_time"),
        (Tab.HISTORY, "on", "action_place_time"),
        (Tab.PENDING, "expires", "action_live"),
    ],
)
def test_pages_walk_along_their_index(tab: Tab, key: str, index: str) -> None:
    keys = INDEXED[tab][key]
    rows = Listing(tab=tab, scope=EVERYTHING).rows().order_by(*(f"-{column}" for column in keys))
    action = put(proposed(), Decision.REJECTED, Execution.NONE)
    Action.objects.filter(pk=action.pk).update(expires_at=action.history_at)
    edge = Action.objects.values_list(*keys).get()
    first = plan_of(columns(rows)[:51])
    deep = plan_of(columns(rows.filter(Beyond(keys, [str(value) for value in edge], down=True)))[:51])

    for plan in (first, deep):
        assert index in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
    if connection.vendor == "sqlite":
        assert deep.startswith("SEARCH actions_action")
    else:
        assert "ROW(" in deep.partition("Index Cond:")[2]
