"""The made-up company: the same for a seed, and nothing in it that the product would refuse."""

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ALLOWED, ENDS, ActionType, Decision, Execution
from actioncenter.bench.population import moments
from actioncenter.bench.population.actions import Story
from actioncenter.bench.population.world import World
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup
from investigations.models import Device, Mailbox

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FINAL = {Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN}


def told(seed: int, rows: int = 6_000) -> list[dict[str, Any]]:
    groups = [DeviceGroup(pk=level + 1, name=level.name, level=level) for level in AutomationLevel]
    world = World(
        groups=groups,
        people=[User(pk=at, username=f"person{at}") for at in range(1, 6)],
        devices=[Device(pk=at, name=f"host-{at}", group=groups[at % 5]) for at in range(1, 41)],
        mailboxes=[Mailbox(pk=at, address=f"box{at}@example.com") for at in range(1, 11)],
        investigations=range(1, 50),
    )
    chunks = Story(world, rows, random.Random(seed), NOW).rows()
    return [row for chunk in chunks for row in chunk]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return told(7)


def test_the_same_seed_tells_the_same_story(rows: list[dict[str, Any]]) -> None:
    assert told(7) == rows
    assert told(8) != rows


def test_every_row_is_in_a_state_that_the_product_knows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        decision, execution = Decision(row["decision"]), Execution(row["execution"])
        assert (decision in ALLOWED) == (execution != Execution.NONE)
        assert (row["history_at"] is not None) == (decision in FINAL or execution in ENDS)
        assert (row["decided_at"] is None) == (decision == Decision.PENDING)
        assert (row["decided_by_name"] == "") == (decision in {Decision.PENDING, Decision.EXPIRED})
        assert decision != Decision.APPROVED or row["approved_fingerprint"]


def test_time_only_moves_forward_and_never_past_now(rows: list[dict[str, Any]]) -> None:
    now = moments.text(moments.millis(NOW))
    for row in rows:
        steps = [row[name] for name in ("created_at", "decided_at", "finished_at", "history_at") if row[name]]
        assert steps == sorted(steps)
        assert steps[-1] <= now
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)


def test_an_undo_and_what_it_undid_name_each_other(rows: list[dict[str, Any]]) -> None:
    by_number = {row["id"]: row for row in rows}
    undos = [row for row in rows if row["undo_of_id"]]
    assert undos
    for row in undos:
        original = by_number[row["undo_of_id"]]
        assert original["undone_by_id"] == row["id"]
        assert original["target_name"] == row["target_name"]


def test_the_mix_is_skewed_and_complete(rows: list[dict[str, Any]]) -> None:
    types = Counter(row["type"] for row in rows)
    assert types.most_common(1)[0][0] == ActionType.QUARANTINE_FILE
    assert {row["execution"] for row in rows} == set(Execution)
    assert {row["decision"] for row in rows} == set(Decision)
    assert sum(row["decision"] == Decision.PENDING for row in rows) == pytest.approx(300, abs=5)


def test_moments_are_written_as_the_databases_write_them() -> None:
    assert (
        moments.text(moments.millis(datetime(2026, 1, 2, 3, 4, 59, 7_000, tzinfo=UTC)))
        == "2026-01-02 03:04:59.007"
    )
