"""The same contests, each with the mistake that it is there to see."""

import pytest

from actioncenter.settings.models import ApprovalRule
from tests.contests import checks
from tests.contests.setting_up import approved, changeable, hold, singly, succeeded, waiting
from tests.contests.test_contests import parts

ACTIONS = 10


@pytest.mark.sampled(1)
def test_a_stale_instance(shared_database: str) -> None:
    numbers = waiting(ACTIONS)
    told = hold(shared_database, ["approve"] * 8, singly(numbers), planted="stale instance")

    assert any("was won by" in text for text in checks.decisions(told, numbers))


@pytest.mark.sampled(1)
def test_votes_counted_before_the_lock(shared_database: str) -> None:
    ApprovalRule.objects.create(quorum=2)
    numbers = waiting(ACTIONS)
    told = hold(shared_database, ["approve"] * 8, singly(numbers), planted="count of the page")

    found = checks.decisions(told, numbers, quorum=2)
    assert any("is PENDING after" in text or "was won by" in text for text in found)


@pytest.mark.sampled(1)
def test_an_approval_of_any_revision(shared_database: str) -> None:
    numbers = changeable(ACTIONS)
    told = hold(shared_database, ["edit", "approve"] * 4, singly(numbers), planted="any revision")

    assert any("revision 1 was used by" in text for text in checks.edits(told, numbers))


@pytest.mark.sampled(1)
def test_an_undo_of_a_stale_instance(shared_database: str) -> None:
    numbers = succeeded(ACTIONS)
    told = hold(shared_database, ["undo"] * 8, singly(numbers), planted="undo of a stale instance")

    assert len(checks.undone(told, numbers)) >= ACTIONS


@pytest.mark.sampled(1)
def test_expiry_left_to_the_sweeper(shared_database: str) -> None:
    numbers = waiting(ACTIONS)
    told = hold(
        shared_database,
        ["sweeper", *["before expiry"] * 5],
        singly(numbers),
        planted="expiry left to the sweeper",
    )

    assert any("after it had expired" in text for text in checks.decisions(told, numbers))


@pytest.mark.sampled(1)
def test_an_undo_of_what_still_runs(shared_database: str) -> None:
    numbers = approved(ACTIONS)
    told = hold(shared_database, ["runner", *["undoer"] * 5], singly(numbers), planted="undo while it runs")

    assert any("before it had finished" in text for text in checks.undone(told, numbers))


@pytest.mark.postgres
def test_rows_locked_one_by_one(on_postgres: str) -> None:
    """On SQLite there is one lock only; nothing can be locked in the wrong order."""
    numbers = waiting(40)
    told = hold(on_postgres, ["bulk"] * 8, parts(numbers, 40), planted="row by row")

    assert any(" got 50" in text for text in checks.decisions(told, numbers))


@pytest.mark.sampled(1)
def test_a_key_looked_up_before_it_is_inserted(shared_database: str) -> None:
    numbers = waiting(ACTIONS)
    told = hold(
        shared_database, ["same form"] * 8, singly(numbers), planted="look, then insert", one_person=True
    )

    assert any("answers" in text for text in checks.answers(told, numbers))
