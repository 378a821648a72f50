"""A runner dies, or freezes and wakes up, at each point of its work, whatever its target can answer."""

from pathlib import Path

import pytest

from actioncenter.actions.execution.failpoints import Point
from tests.faults.harness import Delivery
from tests.faults.harness_cells import LEASE, TELLING, deaths, freezes, woken_in_between

ON_SQLITE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
ALL = list(Point)


@pytest.mark.parametrize(
    ("shared_database", "delivery"),
    [
        *(("sqlite", delivery) for delivery in Delivery),
        pytest.param("postgres", Delivery.QUERYABLE, marks=pytest.mark.postgres),
    ],
    indirect=["shared_database"],
)
def test_death_at_each_point(shared_database: str, tmp_path: Path, delivery: Delivery) -> None:
    verdict = deaths(shared_database, tmp_path, delivery, ALL, times=1)

    assert verdict.wrong == []
    assert verdict.unknown == (len(TELLING) if delivery is Delivery.BLIND else 0)


@ON_SQLITE
@pytest.mark.parametrize("delivery", Delivery)
def test_freeze_at_each_point(shared_database: str, tmp_path: Path, delivery: Delivery) -> None:
    verdict = freezes(shared_database, tmp_path, delivery, ALL)

    assert verdict.wrong == []
    assert verdict.unknown == (len(TELLING) if delivery is Delivery.BLIND else 0)


@ON_SQLITE
def test_a_runner_that_wakes_up_late_changes_nothing(shared_database: str, tmp_path: Path) -> None:
    assert woken_in_between(shared_database, tmp_path).wrong == []


@pytest.mark.long
@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("delivery", Delivery)
def test_twenty_deaths_at_a_point(
    shared_database: str, tmp_path: Path, delivery: Delivery, point: Point
) -> None:
    verdict = deaths(shared_database, tmp_path, delivery, [point], times=20)

    assert verdict.wrong == []
    assert verdict.overdue <= LEASE
    assert verdict.unknown == (20 if delivery is Delivery.BLIND and point in TELLING else 0)


@pytest.mark.long
@pytest.mark.parametrize("delivery", Delivery)
def test_twenty_five_freezes(shared_database: str, tmp_path: Path, delivery: Delivery) -> None:
    verdict = freezes(shared_database, tmp_path, delivery, ALL, rounds=5)

    assert verdict.wrong == []
    assert verdict.overdue <= LEASE
    assert verdict.unknown == (5 * len(TELLING) if delivery is Delivery.BLIND else 0)
