"""What our own mistakes lead to: a few tries further and further apart, then one clear end with its reason.

A row that makes the code raise must neither go round for ever nor hold up the others. An outage of the
database is nobody's mistake: then the lease runs out and the work is taken over.
"""

import logging
import time
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from actioncenter.actions.enums import AttemptState, TargetState
from actioncenter.actions.models import Action, Attempt, TargetResult, attempting, settling
from actioncenter.audit.actor import Actor
from actioncenter.web.outage import is_outage

logger = logging.getLogger(__name__)
TRIES: Final = 5
INTERNAL: Final = "internal"
AGAIN: Final = 30.0
"""Seconds until the second try; doubled each time."""
ASIDE: Final = 60.0

_aside: dict[int, float] = {}
"""Actions that could not even be written to, and until when this process leaves them alone."""


def told(fault: Exception) -> str:
    return f"Internal error: {type(fault).__name__}"


def tries_of(action: Action) -> int:
    """How often our own mistake was the end before anything was sent."""
    return action.attempts.filter(error_class=INTERNAL).count()


def wait_after(tries: int) -> float:
    return float(AGAIN * 2.0 ** (tries - 1))


def before_sending(attempt: Attempt, fault: Exception, *, by: Actor) -> None:
    """Back into the queue, or failed for good. Raises LeaseLost and IllegalMove."""
    if is_outage(fault):
        return
    error, tries = told(fault), tries_of(attempt.action) + 1
    if tries < TRIES:
        attempting.requeue(attempt, after=wait_after(tries), reason=error, error_class=INTERNAL, by=by)
        return
    left = attempt.targets.filter(state__in=attempting.OPEN).values_list("pk", flat=True)
    failed = [TargetResult(pk, TargetState.FAILED, error=error, error_class=INTERNAL) for pk in left]
    attempting.finish(attempt, failed, by=by, error=error, error_class=INTERNAL)


def is_hopeless(attempt: Attempt) -> bool:
    """After sending: the last try broke too, and there have been enough."""
    return attempt.token >= TRIES and attempt.error.startswith("Internal error")


def at_the_gate(pk: int, runner: str, fault: Exception, *, by: Actor) -> None:
    """An action that can't be claimed. Never raises: the next one is looked at in any case."""
    logger.error("action %s could not be claimed", pk, exc_info=fault)
    try:
        _note(pk, runner, told(fault), by=by)
    except Exception:
        logger.exception("action %s is left alone for a while", pk)
        _aside[pk] = time.monotonic() + ASIDE


def forget() -> None:
    """Leave nothing alone any more."""
    _aside.clear()


def is_aside(pk: int) -> bool:
    until = _aside.get(pk)
    if until is None:
        return False
    if time.monotonic() >= until:
        del _aside[pk]
        return False
    return True


def _note(pk: int, runner: str, error: str, *, by: Actor) -> None:
    with transaction.atomic():
        row = settling.locked(Action(pk=pk))
        number = row.attempts.count() + 1
        Attempt.objects.create(
            action=row, number=number, runner=runner, state=AttemptState.FINISHED, error=error, error_class=INTERNAL,
            ended_at=Now(),
        )  # fmt: skip
        tries = tries_of(row)
        if tries < TRIES:
            row.targets.filter(state=TargetState.QUEUED).update(
                not_before=Now() + timedelta(seconds=wait_after(tries)), error=error, error_class=INTERNAL,
                changed_at=Now(),
            )  # fmt: skip
        else:
            settling.stop_queued(row, TargetState.FAILED, by=by, code=INTERNAL, detail=error)
