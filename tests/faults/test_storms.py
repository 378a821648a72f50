"""Runners are killed and frozen at any moment, and still everything decided happens, once, and is told truly."""

from pathlib import Path

import pytest

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action
from tests.faults.harness import Delivery
from tests.faults.harness_storms import LEASE, storm


@pytest.mark.parametrize("runners", [1, 2])
@pytest.mark.sampled(2)
def test_nothing_is_lost_doubled_or_stuck(shared_database: str, tmp_path: Path, runners: int) -> None:
    verdict, blown = storm(shared_database, tmp_path, Delivery.KEYED, runners=runners, deaths=8, freezes=2)

    assert blown.died > 0
    assert verdict.wrong == []
    assert not Action.objects.exclude(execution=Execution.SUCCEEDED).exists()


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("delivery", [Delivery.QUERYABLE, Delivery.BLIND])
@pytest.mark.sampled(1)
def test_what_may_not_be_sent_twice_is_not(shared_database: str, tmp_path: Path, delivery: Delivery) -> None:
    verdict, blown = storm(shared_database, tmp_path, delivery, runners=2, deaths=8, freezes=2)

    assert blown.died > 0
    assert verdict.wrong == []


@pytest.mark.long
@pytest.mark.parametrize("delivery", Delivery)
def test_a_long_storm(shared_database: str, tmp_path: Path, delivery: Delivery) -> None:
    verdict, blown = storm(
        shared_database, tmp_path, delivery, runners=3, deaths=20, freezes=25, files=400, clusters=4
    )

    assert (blown.died >= 20, blown.slept) == (True, 25)
    assert verdict.wrong == []
    assert verdict.overdue <= LEASE
