"""How the runners treat each connector instance: how many calls at once, how fast, and whether at all.

A claim books its call on the locked row of the instance, so that a limit holds over all runners.
Locks are taken in one order: action, devices, connector, attempt, targets.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, models, transaction
from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.enums import JobState
from actioncenter.actions.models.jobs import ConnectorJob
from actioncenter.actions.models.target import Attempt
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ConnectorInstance, PaceError
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of

PAGE: Final = "/settings/connectors"
FAILURES = 5
"""Failures of the connector itself in a row that open its circuit."""
PROBE_AFTER: Final = timedelta(seconds=30)
PROBE_AT_LEAST_EVERY: Final = timedelta(minutes=10)
HELD_AT_MOST: Final = timedelta(hours=1)
"""However long the far side asks for: then it is asked once more."""
NOTED_EVERY: Final = timedelta(minutes=1)
WORTH_TELLING: Final = timedelta(minutes=10)
"""A hold as long as this is told to the admins."""


class ConnectorState(models.Model):
    """How one connector instance fares: its pace, who is asked to wait, whether its circuit is open.

    Apart from the settings of the instance: it changes with every call and is nobody's decision.
    """

    instance = models.OneToOneField(
        ConnectorInstance, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    paced_until = models.DateTimeField(null=True)
    """When the next call is due under the limit per minute (generic cell rate algorithm)."""
    held_until = models.DateTimeField(null=True)
    """The far side asked for patience until then."""
    held_reason = models.CharField(max_length=255, blank=True)
    failures = models.PositiveIntegerField(default=0)
    """Failures of the connector itself in a row; a success sets it back."""
    opened_at = models.DateTimeField(null=True)
    """Since when nothing new is sent because calls kept failing; null while the circuit is closed."""
    probe_at = models.DateTimeField(null=True)
    """When one call may try again."""
    error = models.CharField(max_length=500, blank=True, default="", db_default="")
    """What the last failure of the connector itself said."""
    error_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    """When a call last succeeded, or failed by its target alone; to the minute."""
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"state of {self.instance_id}"

    def reset(self, *, by: Actor, comment: str) -> None:
        """Close the circuit by hand: what waits is sent. Raises PaceError."""
        if not comment.strip() or len(comment) > 2000:
            raise PaceError("comment", "Say why it may be called again, in at most 2,000 characters.")
        with fence.exclusive():
            if by.user_id is None or not may_change(by):
                raise PaceError("role", "Only a person who is an admin resets a circuit.")
            if not has_proved(by):
                raise PaceError("reauthenticate", PROOF_NEEDED)
            row = _locked(self.instance_id)
            if row.opened_at is None:
                raise PaceError("changed", "The circuit is closed already.")
            _close(row, by=by, comment=comment)


HELD: Final = Q(state__held_until__gt=Now())
PACED: Final = Q(per_minute__gt=0, state__paced_until__gt=Now())
BROKEN: Final = Q(state__opened_at__isnull=False)
FULL: Final = Q(under_way__gte=F("max_parallel"))


def closed() -> "QuerySet[ConnectorInstance]":
    """Instances to which no call may begin now."""
    return with_calls().filter(HELD | PACED | FULL | (BROKEN & Q(state__probe_at__gt=Now())))


def troubled() -> "QuerySet[ConnectorInstance]":
    """These, and those of whose circuit a probe is due."""
    return with_calls().filter(HELD | PACED | FULL | BROKEN)


def closed_ids(besides: Collection[int] = ()) -> frozenset[int]:
    return frozenset(besides).union(pk for (pk,) in rows_of(_closed()))


@kept
def _closed() -> Compiled | None:
    return compiled(closed().order_by().values_list("pk"))


@kept
def _pace_if_free() -> Compiled | None:
    """Of the given instance, if a call may begin there now."""
    shut = closed().order_by().filter(pk=given(0)).values("pk")
    return compiled(
        ConnectorInstance.objects.filter(pk=given(0)).exclude(pk__in=shut).values_list("per_minute")
    )


def with_calls() -> "QuerySet[ConnectorInstance]":
    """Every instance with the number of its calls that are under way now, as `under_way`."""
    attempts = Attempt.objects.filter(ended_at__isnull=True, lease_until__gt=Now())
    reads = ConnectorJob.objects.filter(state=JobState.RUNNING, lease_until__gt=Now())
    return ConnectorInstance.objects.annotate(under_way=_counted(attempts) + _counted(reads))


def _counted(calls: "QuerySet[Any]") -> Coalesce:
    mine = calls.filter(instance=OuterRef("pk")).order_by().values("instance")
    return Coalesce(
        Subquery(mine.annotate(number=Count("pk")).values("number")), 0, output_field=IntegerField()
    )


def book(instance_id: int, *, lease: timedelta) -> bool:
    """Take the place of one call if one may begin now; it is taken from when the caller commits.

    The caller is in a transaction and waits until others that book there have ended theirs. Of an
    open circuit the call is the probe: nobody else calls until that should long have ended.
    """
    row = _locked(instance_id)
    free = rows_of(_pace_if_free(), [instance_id])
    if not free:
        return False
    ((per_minute,),) = free
    changes: dict[str, Any] = {}
    if per_minute:
        changes["paced_until"] = Now() + timedelta(minutes=1) / per_minute
    if row.opened_at is not None:
        changes["probe_at"] = Now() + 2 * lease
    _change(row, **changes)
    return True


def answered(instance_id: int, *, by: Actor) -> None:
    """The connector itself works: whatever counted against it is over."""
    counted = Q(failures__gt=0) | Q(opened_at__isnull=False)
    stale = Q(answered_at__isnull=True) | Q(answered_at__lte=Now() - NOTED_EVERY)
    if not ConnectorState.objects.filter(counted | stale, pk=instance_id).exists():
        return
    with transaction.atomic():
        row = _locked(instance_id)
        _change(row, answered_at=Now())
        _close(row, by=by)


def failed(instance_id: int, error: str, *, by: Actor) -> None:
    """The connector itself failed, not one of its targets; too often in a row opens its circuit."""
    with transaction.atomic():
        row = _locked(instance_id)
        number = row.failures + 1
        changes: dict[str, Any] = {"failures": number, "error": error[:500], "error_at": Now()}
        opens = row.opened_at is None and number >= FAILURES
        if opens:
            changes |= {"opened_at": Now(), "probe_at": Now() + PROBE_AFTER}
        elif row.opened_at is not None:
            # As long again as it has been open: the waits double.
            wait = min(max(row.now - row.opened_at, PROBE_AFTER), PROBE_AT_LEAST_EVERY)
            changes["probe_at"] = Now() + wait
        _change(row, **changes)
        if opens:
            _tell_of_opening(row, number, error, by=by)


def hold(instance_id: int, seconds: float, reason: str, *, by: Actor) -> None:
    """The far side asked for patience (429): nothing more is sent to it until then."""
    span = min(timedelta(seconds=max(seconds, 1.0)), HELD_AT_MOST)
    with transaction.atomic():
        row = _locked(instance_id)
        until = row.now + span
        if row.held_until is not None and row.held_until >= until:
            return
        _change(row, held_until=until, held_reason=reason[:255])
        if row.held_until is None or row.held_until <= row.now:
            _tell_of_hold(row, until, span, reason, by=by)


def _locked(instance_id: int) -> Any:
    """The row, made on first use, with the database's time as `now`."""
    rows = ConnectorState.objects.filter(pk=instance_id)
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True)
    found = rows.annotate(now=Now()).first()
    if found is None:
        ConnectorState.objects.bulk_create([ConnectorState(instance_id=instance_id)], ignore_conflicts=True)
        found = rows.annotate(now=Now()).get()
    return found


def _change(row: ConnectorState, **changes: Any) -> None:
    if changes:
        ConnectorState.objects.filter(pk=row.pk).update(**changes, changed_at=Now())


def _close(row: ConnectorState, *, by: Actor, comment: str = "") -> None:
    _change(row, failures=0, opened_at=None, probe_at=None)
    if row.opened_at is None:
        return
    name = str(row.instance)
    detail = {"since": row.opened_at.isoformat(), **({"comment": comment} if comment else {})}
    _record(Kind.CONNECTOR_CLOSED, row, by=by, before={"open": True}, after={"open": False}, detail=detail)
    notify_admins("connector_closed", title=f"Connector {name} is called again", url=PAGE)


def _tell_of_opening(row: ConnectorState, number: int, error: str, *, by: Actor) -> None:
    detail = {"failures": number, "error": error[:500]}
    _record(Kind.CONNECTOR_OPENED, row, by=by, before={"open": False}, after={"open": True}, detail=detail)
    notify_admins(
        "connector_opened",
        title=f"Connector {row.instance} failed {number} times in a row. Nothing but one probe at a time is sent to it",
        url=PAGE,
        severity=Severity.URGENT,
    )


def _tell_of_hold(row: ConnectorState, until: datetime, span: timedelta, reason: str, *, by: Actor) -> None:
    detail = {"until": until.isoformat(), "seconds": int(span.total_seconds()), "reason": reason[:255]}
    _record(Kind.CONNECTOR_HELD, row, by=by, detail=detail)
    if span >= WORTH_TELLING:
        title = f"Connector {row.instance} asked for patience until {until:%H:%M} UTC"
        notify_admins("connector_held", title=title, url=PAGE, severity=Severity.WARNING)


def _record(kind: Kind, row: ConnectorState, *, by: Actor, **more: Any) -> None:
    log.record(kind, by=by, subject=f"connector:{row.pk}", subject_name=str(row.instance)[:300], **more)
