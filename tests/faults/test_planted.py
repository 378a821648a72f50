"""Mistakes that look right, planted into the runner. The suite sees each of them."""

from pathlib import Path

import pytest

from actioncenter.actions.execution.failpoints import Point
from tests.faults.harness import Delivery
from tests.faults.harness_cells import LEASE, deaths, freezes, woken_in_between

pytestmark = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)


@pytest.mark.parametrize("plant", ["no intent mark", "key of the try"])
@pytest.mark.sampled(1)
def test_a_second_sending_is_seen(shared_database: str, tmp_path: Path, plant: str) -> None:
    verdict = deaths(shared_database, tmp_path, Delivery.KEYED, [Point.ANSWERED], times=1, plant=plant)

    assert len(verdict.doubled) == 1


def test_sending_after_the_own_deadline_is_seen(shared_database: str, tmp_path: Path) -> None:
    verdict = freezes(shared_database, tmp_path, Delivery.QUERYABLE, [Point.MARKED], plant="no deadline")

    assert len(verdict.doubled) == 1


def test_recording_under_a_lost_lease_is_seen(shared_database: str, tmp_path: Path) -> None:
    assert woken_in_between(shared_database, tmp_path, plant="no fence").doubled


def test_a_takeover_that_is_late_is_seen(shared_database: str, tmp_path: Path) -> None:
    plant = "takes its time"
    verdict = deaths(shared_database, tmp_path, Delivery.KEYED, [Point.CLAIMED], times=1, plant=plant)

    assert verdict.overdue > LEASE
