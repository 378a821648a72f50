"""The execution axis moves only as its table says: what isn't in there raises, and nothing is written."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from actioncenter.actions.enums import ENDS, EXECUTION_NEXT, RETRYABLE, Decision, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, settling
from actioncenter.actions.models.conflicts import IllegalMove
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
TARGETS: dict[Execution, tuple[TargetState, ...]] = {
    Execution.QUEUED: (TargetState.QUEUED,),
    Execution.IN_PROGRESS: (TargetState.IN_PROGRESS,),
    Execution.OUTCOME_UNKNOWN: (TargetState.UNKNOWN,),
    Execution.SUCCEEDED: (TargetState.SUCCEEDED,),
    Execution.PARTLY_SUCCEEDED: (TargetState.SUCCEEDED, TargetState.FAILED),
    Execution.FAILED: (TargetState.FAILED,),
    Execution.TIMED_OUT: (TargetState.TIMED_OUT,),
    Execution.CANCELLED: (TargetState.CANCELLED,),
}
"""What makes an action arrive there; nothing leads back to `none`."""
NOT_BY_SETTLING = {(before, Execution.QUEUED) for before in (Execution.NONE, *RETRYABLE)}
"""Made by an approval and a retry, which write more than the state; CHECK constraints insist on it."""
PAIRS = [(before, after) for before in Execution for after in TARGETS]


def standing(at: Execution, *, with_targets_of: Execution) -> Action:
    action = factories.waiting_action()
    one = action.targets.get()
    for state in TARGETS[with_targets_of][1:]:
        ActionTarget.objects.create(
            action=action, kind=one.kind, name="more", lane=f"more:{state}", state=state
        )
    ActionTarget.objects.filter(pk=one.pk).update(state=TARGETS[with_targets_of][0])
    if at != Execution.NONE:
        Action.objects.update(
            decision=Decision.NOT_REQUIRED, decided_at=Now(), decided_by_name="Mira Chen", execution=at,
            history_at=Now() if at in ENDS else None,
        )  # fmt: skip
    return action


def settle(action: Action) -> None:
    with transaction.atomic():
        settling.settle(settling.locked(action), by=RUNNER)


def told(action: Action) -> int:
    return Event.objects.filter(stream=f"action:{action.pk}").count()


def check(before: Execution, after: Execution) -> None:
    action = standing(before, with_targets_of=after)
    rows = Action.objects.filter(pk=action.pk).values()
    was, said = rows.get(), told(action)
    legal = after == before or after in EXECUTION_NEXT[before]
    if legal and (before, after) not in NOT_BY_SETTLING:
        settle(action)
        assert rows.get()["execution"] == after
        return
    with pytest.raises(IntegrityError if legal else IllegalMove):
        settle(action)
    assert (rows.get(), told(action)) == (was, said)


@pytest.mark.parametrize(
    ("before", "after"), PAIRS, ids=[f"{before.name}-{after.name}".lower() for before, after in PAIRS]
)
def test_only_what_the_table_has(before: Execution, after: Execution) -> None:
    check(before, after)


@pytest.mark.parametrize("after", [Execution.QUEUED, Execution.IN_PROGRESS], ids=["retry", "claim"])
@pytest.mark.parametrize("before", list(Execution), ids=lambda state: state.name.lower())
def test_a_retry_and_a_claim_go_by_the_table_too(before: Execution, after: Execution) -> None:
    row = Action(pk=1, execution=before)
    if after == before or after in EXECUTION_NEXT[before]:
        assert settling.legal(row, after) == after
    else:
        with pytest.raises(IllegalMove):
            settling.legal(row, after)


def test_settling_without_the_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "legal", lambda row, after: after)
    with pytest.raises(pytest.fail.Exception):
        check(Execution.SUCCEEDED, Execution.FAILED)
