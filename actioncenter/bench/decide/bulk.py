"""Approving many actions in chunks, and the bare UPDATE it is measured against."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, Plan
from actioncenter.audit.actor import Actor

AT_ONCE: Final = 500
CONTROL: Final = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT")


def chunks(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]


def approve_all(numbers: Sequence[int], by: Actor) -> None:
    for chunk in chunks(numbers):
        for row in Action.objects.approve_many(chunk, by=by, comment="bench"):
            if not row.ok:
                raise RuntimeError(row.message)


def bare_update(numbers: Sequence[int], by: Actor) -> None:
    changed = Action.objects.filter(
        pk__gte=numbers[0], pk__lte=numbers[-1], decision=Decision.PENDING
    ).update(
        decision=Decision.APPROVED, decided_by_id=by.user_id, decided_by_name=by.name, decided_at=Now(),
        decision_comment="bench", approval_id=uuid4(), updated_at=Now(), execution=Execution.QUEUED, queued_at=Now(),
        approved_fingerprint=F("fingerprint"), approved_plan_digest=F("fingerprint"), approved_plan_id=F("id"),
        break_glass=False,
    )  # fmt: skip
    if changed != len(numbers):
        raise RuntimeError(f"{changed} rows were updated")


def reopened(numbers: Sequence[int]) -> Sequence[int]:
    """The same actions waiting again, at the next revision: what was voted before counts no more."""
    rows = Action.objects.filter(pk__gte=numbers[0], pk__lte=numbers[-1])
    rows.update(
        revision=F("revision") + 1, decision=Decision.PENDING, decided_by_id=None, decided_by_name="",
        decided_at=None, decision_comment="", approval_id=None, execution=Execution.NONE, queued_at=None,
        approved_fingerprint="", approved_plan_digest="", approved_plan_id=None,
        expires_at=Now() + timedelta(days=7),
    )  # fmt: skip
    Plan.objects.filter(action__gte=numbers[0], action__lte=numbers[-1]).update(revision=F("revision") + 1)
    return numbers


def most_statements(numbers: Sequence[int], by: Actor) -> int:
    """Statements of the dearest chunk, transaction control aside."""
    return max(_statements(partial(approve_all, chunk, by)) for chunk in chunks(numbers))


def _statements(call: Callable[[], object]) -> int:
    said: list[str] = []

    def heard(execute: Any, sql: str, *more: Any) -> Any:
        said.append(sql)
        return execute(sql, *more)

    with connection.execute_wrapper(heard):
        call()
    return sum(not sql.lstrip().startswith(CONTROL) for sql in said)
