"""One attempt, from the intent mark to the read-back.

What follows a lost answer depends on what the far side does with a repeated call: a keyed one
gets the same id again, a queryable one is asked first, and for a blind one a person looks.
Nothing is ever sent a second time blindly, and once something may have been touched the attempt
keeps its id until the outcome is known, whatever the far side answers meanwhile.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from actioncenter import logs
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, AttemptState, SurpriseKind, TargetState
from actioncenter.actions.execution import (
    anchoring,
    artefacts,
    binding,
    detecting,
    failpoints,
    faring,
    gates,
    outside,
    rehearsing,
    stumbling,
    surprising,
)
from actioncenter.actions.execution.binding import Refusal
from actioncenter.actions.execution.claiming import LEASE
from actioncenter.actions.execution.failpoints import Point
from actioncenter.actions.execution.journal import Port
from actioncenter.actions.models import ActionTarget, Attempt, LeaseLost, TargetResult, attempting, pacing
from actioncenter.actions.models.conflicts import IllegalMove
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base, registry
from actioncenter.settings.models import Installation
from actioncenter.web.clock import database_now

logger = logging.getLogger(__name__)

ASK_AGAIN = 2.0
"""Seconds before the far side is asked what became of a request; doubled each time."""
ASK_AT_LEAST_EVERY = 60.0
TRY_AT_LEAST_EVERY = 1800.0
"""Seconds between tries of a target that is offline; doubled each time up to here."""
GO_ON_WITHIN = 10.0
"""As above, of what we hold back ourselves."""
TRY_CONNECTOR_AGAIN = 30.0
"""Seconds until a connector that isn't let in is tried again; soon its circuit opens anyway."""
LONGEST_PATIENCE = pacing.HELD_AT_MOST.total_seconds()
REFUSED = frozenset({binding.TAMPERED, binding.PLAN_CHANGED, *surprising.BY_CODE})
"""Codes with which a step ends before it touches anything, because this isn't what was decided on."""


def work(attempt: Attempt, *, by: Actor) -> None:
    """Carry an attempt as far as it goes now. Whatever happens, the row says so."""
    with logs.bound(action=attempt.action_id, attempt=str(attempt.public_id)):
        _guarded(attempt, by=by)


def _guarded(attempt: Attempt, *, by: Actor) -> None:
    try:
        _work(attempt, by=by)
    except (LeaseLost, base.LeaseLost):
        logger.warning("%s was taken over by another runner", attempt)
    except Exception as fault:
        # Our own mistake, not the far side's: what was sent stays unknown rather than failed.
        logger.exception("%s broke", attempt)
        _after_fault(attempt, fault, by=by)


def leave(attempt: Attempt, *, by: Actor) -> bool:
    """Wait no longer for its call, which hangs; returns False while that still has time.

    It isn't called failed: what was sent is asked for later, and by then the far side may answer.
    """
    now = Attempt.objects.select_related("action").get(pk=attempt.pk)
    if now.token != attempt.token or now.ended_at is not None:
        return True
    first = now.token == 1
    try:
        if not attempting.leave(now, margin=LEASE / 12, error=faring.HUNG, look_again_in=_gap(now), by=by):
            return False
    except IllegalMove as wrong:
        attempting.abandon(attempt, error=str(wrong), by=by)
    faring.hung(attempt.instance_id, first=first, by=by)
    return True


def _after_fault(attempt: Attempt, fault: Exception, *, by: Actor) -> None:
    error = stumbling.told(fault)
    # Not the whole row: its token may be another runner's by now, and that is what fences us.
    attempt.refresh_from_db(fields=["sent_at"])
    try:
        try:
            if attempt.sent_at is None:
                stumbling.before_sending(attempt, fault, by=by)
            else:
                gap = None if stumbling.is_hopeless(attempt) else _gap(attempt)
                attempting.keep_unknown(attempt, error=error, look_again_in=gap, by=by)
        except IllegalMove as wrong:
            # It would be raised again by whoever takes the attempt over, for ever.
            attempting.abandon(attempt, error=str(wrong), by=by)
    except LeaseLost:
        logger.warning("%s was taken over by another runner", attempt)


def _work(attempt: Attempt, *, by: Actor) -> None:
    if attempt.sent_at is None and attempt.token > 1:
        # Its runner died before anything was sent, and since then a switch may have been pulled.
        attempting.requeue(attempt, after=0, reason="", error_class="", by=by)
        return
    # Always the whole attempt in one order: a cursor may count positions in it.
    targets = list(attempt.targets.order_by("pk"))
    if not any(target.state in attempting.OPEN for target in targets):
        attempting.finish(attempt, [], by=by)
        return
    if attempt.sent_at is None and (refusal := _refusal(attempt, targets)):
        gates.refuse_attempt(attempt, refusal, by=by)
        return
    request = outside.request_for(attempt, targets, deadline=_deadline(attempt))
    port = Port(attempt, request, by=by)
    try:
        if attempt.instance is None:
            raise base.Permanent("no_route", "No connector carries this out.")
        connector = outside.connect(attempt.instance)
        if attempt.sent_at is None and rehearsing.is_on(attempt.instance_id):
            rehearsing.rehearse(attempt, connector, request, by=by)
            faring.note(attempt.instance_id, None, by=by)
            return
        answer = _ask(attempt, connector, request, targets, port)
        if answer is not None:
            failpoints.reach(Point.ANSWERED)
    except (base.ConnectorError, registry.UnknownKind) as error:
        faring.note(attempt.instance_id, error, first=attempt.sent_at is None, by=by)
        _failed(attempt, error, port, by=by)
        return
    if answer is None:
        attempting.keep_unknown(attempt, error=attempt.error or "No answer came.", look_again_in=None, by=by)
    else:
        _take(attempt, connector, port, answer, by=by)
        failpoints.reach(Point.RECORDED)
        faring.note(attempt.instance_id, None, by=by)


def _refusal(attempt: Attempt, targets: Sequence[ActionTarget]) -> Refusal | None:
    """Judged are the very rows that the request is made of, so nothing can change in between."""
    others = attempt.action.targets.exclude(attempt=attempt)
    return binding.deviation(attempt.action, sorted([*targets, *others], key=lambda target: target.pk))


def _deadline(attempt: Attempt) -> float:
    """From the attempt's beginning, by this host's clock: work that is polled must end one day."""
    return time.time() + CATALOGUE[ActionType(attempt.action.type)].deadline - _age(attempt)


def _age(attempt: Attempt) -> float:
    """Seconds since it began, by the database's clock: that of this host may be wrong."""
    return (database_now() - attempt.started_at).total_seconds()


def _ask(
    attempt: Attempt,
    connector: base.Connector,
    request: base.Request,
    targets: Sequence[ActionTarget],
    port: Port,
) -> base.Done | base.Continue | None:
    """The next answer of the far side; None when a person has to look."""
    home = Installation.current()
    if anchoring.is_doubtful(attempt, home):
        return _ask_after_restore(attempt, connector, request, targets, port)
    if attempt.sent_at is None:
        return _send(attempt, connector, request, port, home)
    # In the middle of a step a cursor is true only where the far side itself knows what it has done.
    polling = attempt.state == AttemptState.POLLING
    delivery = base.Delivery.KEYED if polling else outside.delivery(connector, attempt, targets[0])
    if delivery is base.Delivery.BLIND:
        return None
    cursor = attempt.cursor if delivery is base.Delivery.KEYED else None
    cancelled = attempt.action.cancel_requested_at and connector.cancel(request, cursor)
    if delivery is base.Delivery.QUERYABLE and not cancelled:
        return connector.lookup(request) or connector.step(request, None, port)
    return connector.step(request, cursor, port)


def _send(
    attempt: Attempt, connector: base.Connector, request: base.Request, port: Port, home: Installation
) -> base.Done | base.Continue:
    failpoints.reach(Point.UNMARKED)
    attempting.mark_sent(attempt)
    anchoring.cover(attempt, home)
    return connector.step(request, None, port)


def _ask_after_restore(
    attempt: Attempt,
    connector: base.Connector,
    request: base.Request,
    targets: Sequence[ActionTarget],
    port: Port,
) -> base.Done | base.Continue | None:
    """It may have been sent before the database was restored: nothing is sent that could be asked about."""
    home = Installation.current()
    if outside.delivery(connector, attempt, targets[0]) is base.Delivery.BLIND:
        if anchoring.has_been_looked_at(attempt, home):
            return _send(attempt, connector, request, port, home)
        attempt.error = anchoring.FORGOTTEN
        return None
    answer = anchoring.ask_about(attempt, connector, request)
    return answer or _send(attempt, connector, request, port, home)


def _take(
    attempt: Attempt,
    connector: base.Connector,
    port: Port,
    answer: base.Done | base.Continue,
    *,
    by: Actor,
) -> None:
    # The answer may have taken half of the lease, and reading it back may take as long again.
    attempting.renew(attempt, LEASE)
    results, read = _confirmed(connector, port, answer)
    gap = _gap(attempt)
    detecting.hand_over(attempt, results, by=by)
    with artefacts.stored(attempt.action, answer.artefacts) as files:
        if isinstance(answer, base.Continue) and gap is not None:
            attempting.park(
                attempt,
                results,
                read,
                cursor=answer.cursor,
                wait=answer.wait,
                done=answer.done,
                total=answer.total,
                message=outside.cleaned(answer.message),
                artefacts=files,
                by=by,
            )
        else:
            attempting.finish(attempt, results, read, artefacts=files, look_again_in=gap, by=by)


def _confirmed(
    connector: base.Connector, port: Port, answer: base.Done | base.Continue
) -> tuple[list[TargetResult], set[int]]:
    """Results after reading back, and which of them were seen in force.

    A connector that says "done" is not believed: what reads back as not in force has failed, and
    what can't be read back is unknown.
    """
    port.named(result.key for result in answer.results)
    results, request = outside.results(answer.results), port.request
    claimed = {str(result.target_id) for result in results if result.state in outside.CLAIMED}
    if not claimed:
        return results, set()
    targets = [target for target in request.targets if target.key in claimed]
    try:
        in_force = connector.verify(replace(request, targets=targets)).in_force
    except base.ConnectorError as error:
        faring.note(port.attempt.instance_id, error, first=False, by=port.by)
        return [_unconfirmed(result, outside.cleaned(str(error))) for result in results], set()
    port.named(in_force)
    if any(in_force.get(key) is False for key in claimed):
        port.surprise(SurpriseKind.READ_BACK, "")
    read = {int(key) for key in claimed if in_force.get(key)}
    return [_judged(result, in_force.get(str(result.target_id))) for result in results], read


def _judged(result: TargetResult, holds: bool | None) -> TargetResult:
    if holds is None:
        return _unconfirmed(result, "the connector can't tell.")
    if holds or result.state not in outside.CLAIMED:
        return result
    error = "Reported as done, but reading it back doesn't show it."
    return replace(result, state=TargetState.FAILED, error=error, error_class="not_in_force")


def _unconfirmed(result: TargetResult, why: str) -> TargetResult:
    if result.state not in outside.CLAIMED:
        return result
    return replace(
        result,
        state=TargetState.UNKNOWN,
        error=f"Reported as done, but it could not be read back: {why}",
        error_class="not_read_back",
    )


def _failed(attempt: Attempt, error: Exception, port: Port, *, by: Actor) -> None:
    """One connector error, by its class and by what may have been touched before it."""
    text = outside.cleaned(str(error))
    first, gap = attempt.sent_at is None, _gap(attempt)
    in_vain = not port.touched and (isinstance(error, base.Transient) or faring.is_own_fault(error))
    if in_vain and first:
        code, wait = _again(attempt, error)
        attempting.requeue(attempt, after=wait, reason=text, error_class=code, by=by)
    elif in_vain and attempt.state == AttemptState.POLLING and gap is not None:
        wait = min(max(getattr(error, "retry_after", ASK_AGAIN), 1.0), LONGEST_PATIENCE)
        attempting.postpone(attempt, wait=wait, reason=text)
    elif (code := getattr(error, "code", "")) in REFUSED:
        _not_as_decided(attempt, code, text, untouched=first and not port.touched, by=by)
    elif first and not isinstance(error, base.Transient | base.Unknown):
        _fail_all(attempt, text, code or type(error).__name__.lower(), by=by)
    else:
        attempting.keep_unknown(attempt, error=text, look_again_in=gap, by=by)


def _again(attempt: Attempt, error: Exception) -> tuple[str, float]:
    """Why nothing was sent, and the seconds until it is tried again. When the far side says, it is believed."""
    if not isinstance(error, base.Transient):
        return "connector", TRY_CONNECTOR_AGAIN
    if error.throttled:
        return "throttled", min(max(error.retry_after, 1.0), LONGEST_PATIENCE)
    # Our own doing is over from one moment to the next; the far side is spared nothing by waiting longer.
    longest = GO_ON_WITHIN if isinstance(error, faring.Stopped) else TRY_AT_LEAST_EVERY
    wait = min(error.retry_after * 2.0 ** min(attempt.number - 1, 10), longest)
    return "device_offline" if error.offline else "transient", wait


def _not_as_decided(attempt: Attempt, code: str, text: str, *, untouched: bool, by: Actor) -> None:
    """Refused where nothing was touched; otherwise a person has to look at what was."""
    agreed = attempt.action.approved_plan_digest or attempt.action.fingerprint
    refusal = Refusal(code, agreed=agreed, forged=code == binding.TAMPERED)
    if untouched:
        gates.refuse_attempt(attempt, refusal, by=by)
    else:
        attempting.keep_unknown(attempt, error=text, look_again_in=None, by=by)
        gates.raise_alarm(attempt.action, refusal, by=by)


def _gap(attempt: Attempt) -> float | None:
    """Seconds until the far side is asked again; None when patience is over and a person has to look."""
    entry = CATALOGUE[ActionType(attempt.action.type)]
    if _age(attempt) > entry.deadline + entry.patience:
        return None
    return min(ASK_AGAIN * 2.0 ** min(attempt.token - 1, 10), ASK_AT_LEAST_EVERY)


def _fail_all(attempt: Attempt, text: str, code: str, *, by: Actor) -> None:
    open_targets = attempt.targets.filter(state__in=attempting.OPEN).values_list("pk", flat=True)
    failed = [TargetResult(pk, TargetState.FAILED, error=text, error_class=code) for pk in open_targets]
    attempting.finish(attempt, failed, by=by, error=text, error_class=code)
