"""Mistakes that somebody could make in the product; the machine must find each of them."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actioncenter.actions.enums import RETRYABLE, Decision, Execution
from actioncenter.actions.execution import gates, holding, outside
from actioncenter.actions.models import (
    Action,
    Attempt,
    attempting,
    deciding,
    running,
    settling,
    undoing,
    writing,
)
from actioncenter.actions.models.ballots import Ballot, Way
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base

Plant = Callable[[pytest.MonkeyPatch], None]


def late_finish_without_token(patch: pytest.MonkeyPatch) -> None:
    """Whoever lost its lease goes on writing."""

    def unfenced(attempt: Attempt, **changes: Any) -> None:
        Attempt.objects.filter(pk=attempt.pk).update(**changes)

    patch.setattr(attempting, "_fenced", unfenced)


def unknown_settled_as_failed(patch: pytest.MonkeyPatch) -> None:
    """An illegal pair of what the targets say and what the action says."""
    real = settling.execution_of

    def blunt(counts: Any) -> Execution:
        found = real(counts)
        return Execution.FAILED if found == Execution.OUTCOME_UNKNOWN else found

    patch.setattr(settling, "execution_of", blunt)


def gates_not_passed(patch: pytest.MonkeyPatch) -> None:
    """A runner that claims what it finds, without judging it again."""
    patch.setattr(gates, "judge", lambda action, *, by: gates.Gate.OPEN)


def approval_of_a_stale_instance(patch: pytest.MonkeyPatch) -> None:
    """Get, check, save: judged is the row that the page was made of, and it is written over the newer."""
    real = deciding.decide_one
    fields = ("decision", "decided_by_id", "decided_by_name", "decided_at", "history_at", "finished_at")

    def get_check_save(action: Action, way: Way, ballot: Ballot) -> Action:
        if action.decision == Decision.PENDING:
            as_seen = {name: getattr(action, name) for name in fields}
            Action.objects.filter(pk=action.pk, execution=Execution.NONE).update(**as_seen)
        return real(action, way, ballot)

    patch.setattr(deciding, "decide_one", get_check_save)


def undone_twice(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether it was undone before, and the row is free to be linked again."""
    real = undoing.undo

    def forgetful(action: Action, **more: Any) -> Action:
        Action.objects.filter(pk=action.pk).update(undone_by=None)
        Action.objects.filter(undo_of=action.pk).update(undo_of=None)
        return real(action, **more)

    patch.setattr(undoing, "undo", forgetful)


def new_key_after_an_unknown(patch: pytest.MonkeyPatch) -> None:
    """The request that is sent again doesn't carry the key of the first."""
    real = outside.request_for

    def renamed(attempt: Attempt, *given: Any, **more: Any) -> base.Request:
        request = real(attempt, *given, **more)
        return replace(request, id=str(uuid.uuid4())) if attempt.sent_at else request

    patch.setattr(outside, "request_for", renamed)


def one_person_counted_twice(patch: pytest.MonkeyPatch) -> None:
    """Votes are counted instead of people, and nobody is asked whether this one has voted."""
    patch.setattr(deciding, "_voted_already", lambda row, way: None)

    def counted(row: Action, way: Way, tally: Any, me: str) -> bool:
        needed = int(row.approval_rule["quorum"]) if way.approves else 1
        return row.votes.filter(revision=row.revision, choice=way.choice).count() + 1 >= needed

    patch.setattr(writing, "_suffices", counted)


def no_intent_mark(patch: pytest.MonkeyPatch) -> None:
    """Nobody can tell afterwards that something was sent."""
    patch.setattr(attempting, "mark_sent", lambda attempt: None)


def blind_sent_again(patch: pytest.MonkeyPatch) -> None:
    """Every far side is taken for one that knows a key when it sees it again."""
    patch.setattr(outside, "delivery", lambda *_: base.Delivery.KEYED)


def switch_not_read_before_sending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holding, "stopped", lambda action, sending=False: False)


def retried_whatever_it_is(patch: pytest.MonkeyPatch) -> None:
    """Also what succeeded, or what nobody knows the outcome of."""
    patch.setattr(running, "RETRYABLE", RETRYABLE | {Execution.OUTCOME_UNKNOWN, Execution.CANCELLED})
    patch.setattr(running, "legal", lambda row, after: after)


def expiry_left_to_the_sweeper(patch: pytest.MonkeyPatch) -> None:
    real = deciding.too_late

    def patient(row: Any, revision: int | None) -> Any:
        found = real(row, revision)
        return None if found is not None and found.code == "expired" else found

    patch.setattr(deciding, "too_late", patient)


def old_revision_approved(patch: pytest.MonkeyPatch) -> None:
    real = deciding.too_late
    patch.setattr(deciding, "too_late", lambda row, revision: real(row, None))


def end_without_an_event(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settling, "END_EVENTS", {})


def lease_taken_for_the_key(patch: pytest.MonkeyPatch) -> None:
    """Taking over makes no new token, so the old runner still holds a good one."""
    real = attempting.take_over

    def kept(runner: str, **more: Any) -> Attempt | None:
        attempt = real(runner, **more)
        if attempt is not None:
            attempt.token -= 1
            Attempt.objects.filter(pk=attempt.pk).update(token=attempt.token)
        return attempt

    patch.setattr(attempting, "take_over", kept)


def requeued_after_the_touch(patch: pytest.MonkeyPatch) -> None:
    """An answer that was lost is taken for nothing sent."""

    def careless(attempt: Attempt, *, error: str, by: Actor, **_: Any) -> None:
        attempting.requeue(attempt, after=0, reason=error, error_class="", by=by)

    patch.setattr(attempting, "keep_unknown", careless)


def newer_by_its_number(patch: pytest.MonkeyPatch) -> None:
    """What was proposed first and allowed later doesn't count as newer."""
    real = undoing.newer_on_same_lane

    def by_number(row: Action) -> Action | None:
        found = real(row)
        return found if found is not None and found.pk > row.pk else None

    patch.setattr(undoing, "newer_on_same_lane", by_number)


PLANTS: Sequence[Plant] = (
    approval_of_a_stale_instance,
    blind_sent_again,
    expiry_left_to_the_sweeper,
    gates_not_passed,
    late_finish_without_token,
    lease_taken_for_the_key,
    new_key_after_an_unknown,
    newer_by_its_number,
    no_intent_mark,
    old_revision_approved,
    one_person_counted_twice,
    requeued_after_the_touch,
    retried_whatever_it_is,
    switch_not_read_before_sending,
    undone_twice,
    unknown_settled_as_failed,
)
