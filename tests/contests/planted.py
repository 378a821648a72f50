"""Mistakes that look right. The checks of a contest must see each of them."""

import random
import time
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from actioncenter.accounts import answers
from actioncenter.accounts.models import Answer
from actioncenter.actions.enums import Choice, Decision, Execution
from actioncenter.actions.models import Action, Conflict, Vote, closing, deciding, undoing
from actioncenter.actions.views import decide
from actioncenter.audit import log
from actioncenter.audit.enums import Kind


def stale_instance() -> None:
    """Lock the row, then test what the view had loaded before the lock."""

    def approve(action: Any, *, by: Any, comment: str = "", **_: Any) -> None:
        with transaction.atomic():
            list(Action.objects.select_for_update(of=("self",)).filter(pk=action.pk))
            if action.decision != Decision.PENDING:
                raise Conflict(Action.objects.get(pk=action.pk), "decided")
            _vote(action, by)
            _approve(action, by)

    Action.approve = approve  # type: ignore[method-assign,assignment]


def count_of_the_page() -> None:
    """Add this vote to those the page had counted."""
    load = decide.visible_action

    def counted(*args: Any) -> Any:
        action = load(*args)
        action.seen_votes = Vote.objects.filter(action=action).count()
        return action

    def approve(action: Any, *, by: Any, comment: str = "", **_: Any) -> None:
        with transaction.atomic():
            now = Action.objects.select_for_update(of=("self",)).get(pk=action.pk)
            if now.decision != Decision.PENDING:
                raise Conflict(now, "decided")
            _vote(action, by)
            if action.seen_votes + 1 >= now.quorum:
                _approve(action, by)

    decide.visible_action = counted
    Action.approve = approve  # type: ignore[method-assign,assignment]


def any_revision() -> None:
    """Take a decision without asking which revision the page showed."""
    real = Action.approve

    def approve(action: Any, **more: Any) -> Any:
        return real(action, **{**more, "revision": None})

    Action.approve = approve  # type: ignore[method-assign]


def row_by_row() -> None:
    """Approve many one after the other, in one transaction, in the order given."""

    def many(model: Any, ids: Any, way: Any, ballot: Any, **_: Any) -> Any:
        ids = list(ids)
        random.shuffle(ids)
        with transaction.atomic():
            return [deciding._decide_alone(model(pk=pk), way, ballot) for pk in ids]

    deciding.decide_many = many


def undo_of_a_stale_instance() -> None:
    """Test and link what the view had loaded before the lock, trusting the lane to be free."""
    undoing.locked = lambda action: action
    undoing._newer_on_same_lane = lambda row: None


def expiry_left_to_the_sweeper() -> None:
    """Decide on whatever still waits; the sweeper, which takes its time, will see to what has expired."""
    real, sweep = deciding.too_late, closing.expire_due

    def too_late(row: Any, revision: int | None) -> Any:
        found = real(row, revision)
        return None if found is not None and found.code == "expired" else found

    def slowly(*args: Any, **more: Any) -> int:
        time.sleep(0.05)
        return sweep(*args, **more)

    deciding.too_late, closing.expire_due = too_late, slowly


def undo_while_it_runs() -> None:
    """Take back whatever was let run, whether or not it has ended."""
    undoing.UNDOABLE = frozenset(Execution)
    undoing.still_done = lambda row: row.targets.all()


def look_then_insert() -> None:
    """Look for the key, and when nobody has it, act and write it down."""

    def settled(asked: Answer, effect: Callable[[], Any]) -> Answer:
        found = Answer.objects.filter(actor=asked.actor, key=asked.key).first()
        if found:
            return found
        with transaction.atomic():
            asked.outcome = effect()
            asked.save()
        return asked

    answers._settled = settled


def _vote(action: Any, by: Any) -> None:
    Vote.objects.create(
        action=action, revision=action.revision, fingerprint=action.fingerprint, choice=Choice.APPROVE,
        user_id=by.user_id, user_ref=by.ref, user_name=by.name,
    )  # fmt: skip


def _approve(action: Any, by: Any) -> None:
    Action.objects.filter(pk=action.pk).update(
        decision=Decision.APPROVED, execution=Execution.QUEUED, decided_by_id=by.user_id, decided_by_name=by.name,
        decided_at=Now(), queued_at=Now(), approved_fingerprint=action.fingerprint,
    )  # fmt: skip
    log.record_many([action.draft(Kind.ACTION_APPROVED, by=by)])


PLANTED: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "stale instance": stale_instance,
    "count of the page": count_of_the_page,
    "any revision": any_revision,
    "row by row": row_by_row,
    "undo of a stale instance": undo_of_a_stale_instance,
    "expiry left to the sweeper": expiry_left_to_the_sweeper,
    "undo while it runs": undo_while_it_runs,
    "look, then insert": look_then_insert,
}
