"""What a pulled switch holds back, and when a runner must hold back by itself.

A pause keeps new work from beginning; a stop also keeps what is under way from sending more. The
stop file works without the database. A runner that can't say that it lives may not have heard of a
stop, so after a while it begins nothing until it can.
"""

import threading
import time
from typing import Final

from actioncenter.actions.models import Action
from actioncenter.actions.queries.stopped import covered
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import stop_file_reason

CUT_OFF_AFTER: Final = 5.0
"""Seconds without a beat that was written."""


Reach = tuple[int, int | None, int | None]
"""Scope, value and connector of a stop."""


def reaches(*, sending: bool = False) -> frozenset[Reach]:
    """Of the stops in force; the stop file is one of everything. With `sending` without the pauses.

    Read it inside `fence.decider` to rely on it.
    """
    if stop_file_reason() is not None:
        return frozenset({(StopScope.ALL.value, None, None)})
    stops = Stop.objects.in_force()
    if sending:
        stops = stops.filter(kind=StopKind.STOP)
    return frozenset(stops.values_list("scope", "value", "on_connector"))


def stopped(action: Action, *, sending: bool = False) -> bool:
    """Whether this action may not begin; with `sending`, whether it may send nothing more."""
    found = reaches(sending=sending)
    return bool(found) and Action.objects.filter(covered(found), pk=action.pk).exists()


class Pulse:
    """When this runner was last heard, by its own monotonic clock. Safe over threads."""

    def __init__(self) -> None:
        self.unfit = ""
        """Why it may begin nothing, whoever hears it."""
        self._heard = time.monotonic()
        self._lock = threading.Lock()

    def heard(self, at: float) -> None:
        """A beat that began at this moment was written."""
        with self._lock:
            self._heard = max(self._heard, at)

    @property
    def cut_off(self) -> bool:
        with self._lock:
            return bool(self.unfit) or time.monotonic() - self._heard > CUT_OFF_AFTER
