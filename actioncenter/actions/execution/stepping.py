"""One attempt, from the intent mark to the read-back.

What follows a lost answer depends on what the far side does with a repeated call: a keyed one
gets the same id again, a queryable one is asked first, and for a blind one a person looks.
Nothing is ever sent a second time blindly.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, AttemptState, TargetState
from actioncenter.actions.execution import effects, outside
from actioncenter.actions.execution.claiming import LEASE
from actioncenter.actions.models import ActionTarget, Attempt, LeaseLost, TargetResult, running
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base, registry

logger = logging.getLogger(__name__)

OPEN = [TargetState.IN_PROGRESS, TargetState.UNKNOWN]
ASK_AGAIN = 2.0
"""Seconds before a queryable far side is asked what became of a request."""


class Port:
    """The journal that a connector writes to: our rows, fenced by the attempt's token."""

    def __init__(self, attempt: Attempt, deadline: float) -> None:
        self.attempt = attempt
        self.deadline = deadline

    def intent(self, keys: Sequence[str]) -> None:
        """The runner tests its own deadline too: a frozen one must not wake up and send."""
        if time.monotonic() > self.deadline:
            raise base.LeaseLost("the lease is over")
        try:
            running.extend_lease(self.attempt, LEASE)
        except LeaseLost as lost:
            raise base.LeaseLost(str(lost)) from lost

    def result(self, results: Sequence[base.Result]) -> None:
        try:
            running.note(self.attempt, outside.results(results))
        except LeaseLost as lost:
            raise base.LeaseLost(str(lost)) from lost


def work(attempt: Attempt, *, by: Actor) -> None:
    """Carry an attempt as far as it goes now. Whatever happens, the row says so."""
    try:
        _work(attempt, by=by)
    except (LeaseLost, base.LeaseLost):
        logger.warning("%s was taken over by another runner", attempt)
        return
    except Exception as fault:
        # Our own mistake, not the far side's: what was sent stays unknown rather than failed.
        logger.exception("%s broke", attempt)
        _after_fault(attempt, f"Internal error: {type(fault).__name__}")
    running.settle(attempt.action, by=by, **_why(attempt))
    effects.apply(attempt.action, by=by)


def _why(attempt: Attempt) -> dict[str, str]:
    attempt.refresh_from_db(fields=["error", "error_class"])
    return {"code": attempt.error_class, "detail": attempt.error}


def _after_fault(attempt: Attempt, error: str) -> None:
    attempt.refresh_from_db()
    if attempt.sent_at is None:
        running.requeue(attempt, after=30, reason=error, error_class="internal")
    else:
        running.keep_unknown(attempt, error=error, look_again_in=None)


def _work(attempt: Attempt, *, by: Actor) -> None:
    # Always the whole attempt in one order: a cursor may count positions in it.
    targets = list(attempt.targets.order_by("pk"))
    if not any(target.state in OPEN for target in targets):
        running.close(attempt, AttemptState.FINISHED)
        return
    if attempt.instance is None:
        _without_connector(attempt, targets)
        return
    deadline = time.time() + CATALOGUE[ActionType(attempt.action.type)].deadline
    request = outside.request_for(attempt, targets, deadline=deadline)
    try:
        connector = outside.connect(attempt.instance)
        answer = _ask(attempt, connector, request, targets)
    except (base.ConnectorError, registry.UnknownKind) as error:
        _failed(attempt, error)
        return
    if answer is not None:
        _take(attempt, connector, request, answer)


def _ask(
    attempt: Attempt, connector: base.Connector, request: base.Request, targets: Sequence[ActionTarget]
) -> base.Done | base.Continue | None:
    """The next answer of the far side; None when a person has to look."""
    port = Port(attempt, time.monotonic() + 0.6 * LEASE.total_seconds())
    if attempt.action.cancel_requested_at and attempt.sent_at and connector.cancel(request, attempt.cursor):
        attempt.cursor = attempt.cursor or {}
    if attempt.sent_at is None:
        running.mark_sent(attempt)
        return connector.step(request, None, port)
    if attempt.cursor is not None:
        return connector.step(request, attempt.cursor or None, port)
    match outside.delivery(connector, attempt, targets[0]):
        case base.Delivery.KEYED:
            return connector.step(request, None, port)
        case base.Delivery.QUERYABLE:
            return connector.lookup(request) or connector.step(request, None, port)
    running.keep_unknown(attempt, error=attempt.error or "No answer came.", look_again_in=None)
    return None


def _take(
    attempt: Attempt, connector: base.Connector, request: base.Request, answer: base.Done | base.Continue
) -> None:
    results, read = _confirmed(connector, request, answer)
    running.record(attempt, [r for r in results if r.target_id in read], read_back=True)
    running.record(attempt, [r for r in results if r.target_id not in read])
    if isinstance(answer, base.Continue):
        running.park(
            attempt,
            cursor=answer.cursor,
            wait=answer.wait,
            done=answer.done,
            total=answer.total,
            message=answer.message,
        )
        return
    effects.keep_artefacts(attempt.action, answer.artefacts)
    left = attempt.targets.filter(state=TargetState.IN_PROGRESS)
    if left.exists():
        # An answer that leaves targets out is no answer about them.
        running.keep_unknown(attempt, error="The answer left this target out.", look_again_in=None)
    else:
        running.close(attempt, AttemptState.FINISHED)


def _confirmed(
    connector: base.Connector, request: base.Request, answer: base.Done | base.Continue
) -> tuple[list[TargetResult], set[int]]:
    """Results after reading back, and which of them were seen in force.

    A connector that says "done" is not believed: what reads back as not in force has failed.
    """
    results = outside.results(answer.results)
    claimed = {str(r.target_id) for r in results if r.state in (TargetState.SUCCEEDED, TargetState.ALREADY)}
    if not claimed:
        return results, set()
    targets = [target for target in request.targets if target.key in claimed]
    try:
        observed = connector.verify(replace(request, targets=targets))
    except base.ConnectorError as error:
        return [_unconfirmed(result, claimed, str(error)) for result in results], set()
    read = {int(key) for key, holds in observed.in_force.items() if holds}
    refuted = {int(key) for key, holds in observed.in_force.items() if holds is False}
    return [_refuted(result) if result.target_id in refuted else result for result in results], read


def _refuted(result: TargetResult) -> TargetResult:
    error = "Reported as done, but reading it back doesn't show it."
    return replace(result, state=TargetState.FAILED, error=error, error_class="not_in_force")


def _unconfirmed(result: TargetResult, claimed: set[str], error: str) -> TargetResult:
    if str(result.target_id) not in claimed:
        return result
    return replace(
        result,
        state=TargetState.UNKNOWN,
        error=f"Reported as done, but it could not be read back: {error}",
        error_class="not_read_back",
    )


def _failed(attempt: Attempt, error: Exception) -> None:
    """One connector error, by its class."""
    text = str(error)
    if isinstance(error, base.Transient):
        code = "device_offline" if error.offline else "transient"
        running.requeue(attempt, after=error.retry_after, reason=text, error_class=code)
    elif isinstance(error, base.Unknown):
        running.keep_unknown(attempt, error=text, look_again_in=ASK_AGAIN)
    else:
        code = getattr(error, "code", type(error).__name__.lower())
        _fail_all(attempt, text, code)


def _fail_all(attempt: Attempt, text: str, code: str) -> None:
    open_targets = attempt.targets.filter(state__in=OPEN)
    running.record(
        attempt,
        [TargetResult(t.pk, TargetState.FAILED, error=text, error_class=code) for t in open_targets],
    )
    running.close(attempt, AttemptState.FINISHED, error=text, error_class=code)


def _without_connector(attempt: Attempt, targets: Sequence[ActionTarget]) -> None:
    """Expand pivot needs none; anything else lost its connector after it was approved."""
    running.mark_sent(attempt)
    if attempt.action.type == ActionType.EXPAND_PIVOT:
        running.record(attempt, [TargetResult(t.pk, TargetState.SUCCEEDED) for t in targets], read_back=True)
        running.close(attempt, AttemptState.FINISHED)
    else:
        _fail_all(attempt, "Its connector no longer exists.", "no_route")
