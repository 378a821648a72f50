"""The comparison behind `filters_mismatches`: silent on a right page, loud on a wrong one."""

import random
from collections.abc import Iterator

import pytest
from django.db.models import Q

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import ActionTarget
from actioncenter.actions.queries import Tab, criteria
from actioncenter.bench.measuring import CpuClock
from actioncenter.bench.pages.draws import RESULTS, Query
from actioncenter.bench.pages.narrowed import try_all
from actioncenter.bench.visiting import Visitor
from actioncenter.web import statements
from tests.actions.varied import table

# Transactions of its own: the end of a request, as a server sends it, closes connections inside one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Nothing compiled before counts here, and no planted bug outlives its test."""
    failed = [row for row in table(80, random.Random(20261123)) if row.execution == Execution.FAILED]
    ActionTarget.objects.filter(action__in=failed[:3]).update(blocks=True)
    statements.forget()
    yield Visitor.enrol()
    statements.forget()


def differing(visitor: Visitor, *queries: tuple[Tab, Query]) -> list[tuple[Tab, Query]]:
    return [(each.tab, each.query) for each in try_all(queries, visitor, CpuClock()) if each.differs]


def test_the_lists_agree_with_the_plain_query(visitor: Visitor) -> None:
    queries: list[tuple[Tab, Query]] = [(Tab.HISTORY, {"result": result}) for result in RESULTS]
    for tab in Tab:
        queries += [
            (tab, {}),
            (tab, {"verdict": "suspicious"}),
            (tab, {"q": "invoice", "entity": "file"}),
            (tab, {"since": "month", "source": "explorer"}),
        ]
    assert differing(visitor, *queries) == []


def test_a_wrong_filter_is_found(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        criteria, "NARROWING", {**criteria.NARROWING, "verdict": lambda value: Q(verdict__gte=value)}
    )
    queries: list[tuple[Tab, Query]] = [(tab, {"verdict": "suspicious"}) for tab in Tab]
    assert differing(visitor, *queries) == queries


def test_a_wrong_order_is_found(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actioncenter.actions.queries.pages.DEFAULT_SORT", {})
    monkeypatch.setattr(
        "actioncenter.actions.queries.pages.INDEXED",
        {Tab.PENDING: {"expires": ("id",)}, Tab.HISTORY: {"ended": ("id",)}},
    )
    assert differing(visitor, (Tab.HISTORY, {})) == [(Tab.HISTORY, {})]
