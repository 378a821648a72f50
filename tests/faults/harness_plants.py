"""Mistakes that look right, planted into runners. The suite must see each of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actioncenter.actions.execution import outside, stepping
from actioncenter.actions.models import Attempt, attempting


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

    stepping.Port._renew = renew  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "no intent mark": no_intent_mark,
    "key of the try": key_of_the_try,
    "no fence": no_fence,
    "no deadline": no_deadline,
}
