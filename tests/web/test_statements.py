"""Statements kept between requests: compiled once, and never one person's for another."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from actioncenter.actions.enums import Area
from actioncenter.actions.queries import Listing, Tab, list_counts, page
from actioncenter.settings.access import Scope
from actioncenter.web import statements
from actioncenter.web.statements import Ago, Compiled, Given, kept, rows_of
from tests import factories
from tests.actions.varied import proposed


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    statements.forget()
    yield
    statements.forget()


def test_compiled_once_per_arguments_and_kind_of_database(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    @kept
    def statement(number: int) -> Compiled:
        made.append(number)
        return f"SELECT {number}", ()

    assert [statement(1), statement(1), statement(2)] == [
        ("SELECT 1", ()),
        ("SELECT 1", ()),
        ("SELECT 2", ()),
    ]
    assert made == [1, 2]
    monkeypatch.setattr(connection, "vendor", "another")
    statement(1)
    assert made == [1, 2, 1]
    statements.forget()
    statement(1)
    assert made == [1, 2, 1, 1]


@pytest.mark.django_db
def test_late_values_are_those_of_the_run() -> None:
    late: Compiled = ("SELECT %s, %s, %s", (Given(1), "fixed", Given(0)))
    assert rows_of(late, ["a", "b"]) == [("b", "fixed", "a")]
    assert rows_of(late, ["c", "d"]) == [("d", "fixed", "c")]
    assert rows_of(None) == []


def test_a_period_ends_when_the_statement_runs() -> None:
    hour = Ago(timedelta(hours=1))
    for day in (1, 2):
        with time_machine.travel(datetime(2026, 5, day, 12, tzinfo=UTC), tick=False):
            assert str(hour.value(())).startswith(f"2026-05-0{day} 11:00:00")


@pytest.mark.django_db
def test_every_scope_has_its_own_statement() -> None:
    finance, servers = factories.group(), factories.group("Engineering servers")
    for group in (finance, servers):
        proposed(name=f"{group.name}.exe", group_id=group.pk, group_name=group.name)

    def seen(scope: Scope) -> list[str]:
        listing = Listing(tab=Tab.PENDING, scope=scope)
        return [row.group_name for row in page(listing, list_counts(listing)).rows]

    everything = Scope(groups=None, areas=frozenset(Area))
    assert sorted(seen(everything)) == sorted([finance.name, servers.name])
    for group in (finance, servers):
        assert seen(Scope(groups=frozenset({group.pk}), areas=frozenset(Area))) == [group.name]
    assert seen(Scope(groups=frozenset(), areas=frozenset())) == []
