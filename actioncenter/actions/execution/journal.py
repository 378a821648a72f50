"""What a connector tells while it works, and what it is told: our rows, fenced by the attempt's token."""

import time
from collections.abc import Iterable, Sequence

from actioncenter.actions.enums import SurpriseKind
from actioncenter.actions.execution import (
    binding,
    claiming,
    failpoints,
    faring,
    gates,
    holding,
    outside,
    rehearsing,
    surprising,
)
from actioncenter.actions.execution.failpoints import Point
from actioncenter.actions.models import Attempt, LeaseLost, attempting
from actioncenter.audit import sealing
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base

STOP_POLL = 5.0
SEAL_POLL, SEAL_PATIENCE = 0.5, 1.0
"""Seconds: until it is tried again, and how long it is waited for, which others' short transactions take."""
STALE = 1.0
"""Seconds after which it is looked again whether anything is stopped."""


class Port:
    """The journal that a connector writes to: our rows, fenced by the attempt's token."""

    def __init__(self, attempt: Attempt, request: base.Request, *, by: Actor) -> None:
        self.attempt = attempt
        self.request = request
        self.by = by
        self.touched = False
        """Whether this call may have changed anything: from then on no error proves the contrary."""
        self._touched_before = False
        self._cleared_at = time.monotonic()
        self._renew()

    def intent(self, keys: Sequence[str]) -> None:
        """The runner tests its own deadline too: a frozen one must not wake up and send."""
        if odd := surprising.strangers(self.request, keys):
            raise base.Permanent(surprising.REACH_EXCEEDED, f"It would touch {', '.join(odd)} too.")
        self._cleared_at = self._cleared()
        if not gates.still_agreed(self.attempt.action):
            raise base.Permanent(binding.TAMPERED, "The action is no longer what was decided on.")
        self._sealed()
        try:
            attempting.intend(self.attempt, claiming.LEASE)
        except LeaseLost as lost:
            raise base.LeaseLost(str(lost)) from lost
        failpoints.reach(Point.MARKED)
        self.touching()
        self._touched_before, self.touched = self.touched, True
        self._renew()

    def _sealed(self) -> None:
        """Nobody may be able to drop, unseen, who wanted something dangerous. Raises Transient."""
        action = self.attempt.action
        if action.entry.dangerous and not sealing.seal_stream(f"action:{action.pk}", patience=SEAL_PATIENCE):
            raise faring.Stopped("Its decision waits for its seal.", retry_after=SEAL_POLL)

    def touching(self) -> None:
        """Frozen or starved since it was asked: meanwhile a switch may have been pulled."""
        try:
            while time.monotonic() - self._cleared_at > STALE:
                self._cleared_at = self._cleared()
        except (base.LeaseLost, base.Transient):
            self.touched = self._touched_before
            raise

    def _cleared(self) -> float:
        """The moment before which nothing spoke against sending. Raises LeaseLost and Transient."""
        now = time.monotonic()
        if now > self.deadline:
            raise base.LeaseLost("the lease is over")
        if holding.stopped(self.attempt.action, sending=True):
            raise faring.Stopped("A switch was pulled.", retry_after=STOP_POLL)
        if rehearsing.is_on(self.attempt.instance_id):
            raise faring.Stopped("Its connector was set to dry run.", retry_after=STOP_POLL)
        return now

    def result(self, results: Sequence[base.Result]) -> None:
        self.named(result.key for result in results)
        try:
            attempting.note(self.attempt, outside.results(results))
        except LeaseLost as lost:
            raise base.LeaseLost(str(lost)) from lost

    def named(self, keys: Iterable[str]) -> None:
        """Targets that an answer speaks of."""
        if odd := surprising.strangers(self.request, keys):
            self.surprise(SurpriseKind.FOREIGN, f"It names {', '.join(odd[:5])}.")

    def surprise(self, kind: SurpriseKind, said: str) -> None:
        action, instance_id = self.attempt.action, self.attempt.instance_id
        surprising.found(action, kind, by=self.by, said=said, instance_id=instance_id)

    def _renew(self) -> None:
        self.deadline = self._cleared_at + 0.6 * claiming.LEASE.total_seconds()
