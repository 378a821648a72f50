"""Mistakes that look right, planted into runners. The suite must see each of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from actioncenter.actions import tasks
from actioncenter.actions.enums import Execution, TargetState
from actioncenter.actions.execution import failpoints, journal, outside
from actioncenter.actions.models import Action, Attempt, TargetResult, attempting
from actioncenter.audit.actor import Actor


def no_intent_mark() -> None:
    """Send first, write down afterwards that something was sent."""
    attempting.mark_sent = lambda attempt: None
    attempting.intend = lambda attempt, lease: None


def key_of_the_try() -> None:
    """A new id for every try, instead of the one in the row."""
    real = outside.request_for

    def request_for(attempt: Any, targets: Any, **more: Any) -> Any:
        request = real(attempt, targets, **more)
        return replace(request, id=f"{request.id}-{attempt.token}")

    outside.request_for = request_for


def no_fence() -> None:
    """Write down what came of it, whoever holds the attempt by now."""

    def fenced(attempt: Any, **changes: Any) -> None:
        Attempt.objects.filter(pk=attempt.pk).update(**changes)

    attempting._fenced = fenced


def no_deadline() -> None:
    """Send without asking the own clock whether the lease can still be ours."""

    def renew(port: Any) -> None:
        port.deadline = math.inf

    journal.Port._renew = renew  # type: ignore[method-assign]


def broker_is_truth() -> None:
    """Carry out what each message names, acknowledged late, and write it down afterwards: no row is claimed."""
    tasks.Worker._work = lambda worker: None  # type: ignore[method-assign]
    tasks.wake.run = _carry_out


def _carry_out(*, ids: Any = (), **_later: object) -> None:
    for action in Action.objects.filter(pk__in=ids, execution=Execution.QUEUED):
        target = action.targets.get()
        assert target.instance is not None
        connector = outside.connect(target.instance)
        connector.step(outside.preview_request(action, [target], deadline=0.0), None, Anything())
        failpoints.reach(failpoints.Point.ANSWERED)
        attempt = attempting.claim(
            action, runner="broker", lease=timedelta(hours=1), by=Actor.system("worker")
        )
        assert attempt is not None
        result = TargetResult(target.pk, TargetState.SUCCEEDED)
        attempting.finish(attempt, [result], {target.pk}, by=Actor.system("worker"))


def takes_its_time() -> None:
    """Leave what a dead runner held until three leases are over."""
    real = attempting.take_over

    def take_over(runner: str, *, lease: timedelta, **more: Any) -> Attempt | None:
        over = Attempt.objects.filter(ended_at=None, lease_until__lte=Now())
        if over.filter(lease_until__gt=Now() - 2 * lease).exists():
            return None
        return real(runner, lease=lease, **more)

    attempting.take_over = take_over


class Anything:
    """A journal that lets everything pass."""

    def intent(self, keys: Any) -> None:
        pass

    def touching(self) -> None:
        pass

    def result(self, results: Any) -> None:
        pass


PLANTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "no intent mark": no_intent_mark,
    "key of the try": key_of_the_try,
    "no fence": no_fence,
    "no deadline": no_deadline,
    "broker is truth": broker_is_truth,
    "takes its time": takes_its_time,
}
