"""Many act on the same actions at once: each is decided exactly once, and who lost is told by whom."""

from collections.abc import Sequence

import pytest

from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.settings.models import ApprovalRule
from tests.contests import checks
from tests.contests.setting_up import approved, changeable, hold, singly, succeeded, waiting

sizes = pytest.mark.parametrize(
    ("people", "actions"),
    [
        pytest.param(6, 12, id="6 x 12"),
        pytest.param(16, 200, id="16 x 200", marks=pytest.mark.long),
    ],
)


@sizes
@pytest.mark.parametrize("ways", [["approve"], ["approve", "reject"]], ids=" against ".join)
def test_a_decision_is_made_once(shared_database: str, people: int, actions: int, ways: list[str]) -> None:
    numbers = waiting(actions)
    told = hold(shared_database, ways * (people // len(ways)), singly(numbers))

    assert len(told) == people * actions
    assert checks.decisions(told, numbers) == []


@sizes
def test_an_action_is_approved_or_expires(shared_database: str, people: int, actions: int) -> None:
    numbers = waiting(actions)
    told = hold(shared_database, ["sweeper", *["before expiry"] * (people - 1)], singly(numbers))

    assert len(told) == (people - 1) * actions
    assert checks.decisions(told, numbers) == []
    won = set(Action.objects.filter(pk__in=numbers).values_list("decision", flat=True))
    assert won == {Decision.APPROVED, Decision.EXPIRED}, "a contest that one side always wins is none"


@sizes
def test_two_votes_make_a_quorum_of_two(shared_database: str, people: int, actions: int) -> None:
    ApprovalRule.objects.create(quorum=2)
    numbers = waiting(actions)
    told = hold(shared_database, ["approve"] * people, singly(numbers))

    assert checks.decisions(told, numbers, quorum=2) == []


@sizes
def test_bulk_and_single_approvals_get_each_action_once(
    shared_database: str, people: int, actions: int
) -> None:
    numbers = waiting(actions)
    told = hold(shared_database, ["bulk", "approve"] * (people // 2), [numbers])

    assert len(told) == people * actions
    assert checks.decisions(told, numbers) == []


@pytest.mark.parametrize(
    ("rounds", "size"),
    [
        pytest.param(2, 30, id="8 x 2"),
        pytest.param(25, 120, id="8 x 25", marks=pytest.mark.long),
    ],
)
def test_bulk_approvals_that_overlap(shared_database: str, rounds: int, size: int) -> None:
    numbers = waiting(rounds * size)
    told = hold(shared_database, ["bulk"] * 8, parts(numbers, size), share=0.5)

    touched = {one["action"] for one in told}
    assert len(told) == 8 * rounds * size / 2
    assert checks.decisions(told, touched) == []


@sizes
def test_one_revision_is_edited_or_approved(shared_database: str, people: int, actions: int) -> None:
    numbers = changeable(actions)
    told = hold(shared_database, ["edit", "approve"] * (people // 2), singly(numbers))

    assert len(told) == people * actions
    assert checks.edits(told, numbers) == []


@sizes
def test_an_action_is_undone_once(shared_database: str, people: int, actions: int) -> None:
    numbers = succeeded(actions)
    told = hold(shared_database, ["undo"] * people, singly(numbers))

    assert len(told) == people * actions
    assert checks.undone(told, numbers) == []


@sizes
def test_undo_waits_for_the_end(shared_database: str, people: int, actions: int) -> None:
    numbers = approved(actions)
    told = hold(shared_database, ["runner", *["undoer"] * (people - 1)], singly(numbers))

    assert checks.undone(told, numbers) == []


@pytest.mark.parametrize(
    ("people", "actions"),
    [
        pytest.param(6, 8, id="6 x 8"),
        pytest.param(16, 100, id="16 x 100", marks=pytest.mark.long),
    ],
)
def test_one_form_sent_by_many_at_once(shared_database: str, people: int, actions: int) -> None:
    numbers = waiting(actions)
    told = hold(shared_database, ["same form"] * people, singly(numbers), one_person=True)

    assert len(told) == people * actions
    assert checks.answers(told, numbers) == []


def parts(numbers: Sequence[int], size: int) -> list[list[int]]:
    return [list(numbers[at : at + size]) for at in range(0, len(numbers), size)]
