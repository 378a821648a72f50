"""Housekeeping of stops and runners: what ends by itself, what has become quiet, who has fallen silent."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.models import RunnerBeat, running
from actioncenter.actions.queries import runners, stopped
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import StopKind, StopScope, StopSource
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import PAGE, StopError, stop_file_reason

logger = logging.getLogger(__name__)
REMIND_EVERY: Final = timedelta(days=1)
CLOSES_AFTER: Final = timedelta(hours=4)
"""How long what is under way may keep a pause from becoming quiet; then it is asked to stop."""
MILESTONES: Final = (0.75 * CLOSES_AFTER, 0.95 * CLOSES_AFTER, CLOSES_AFTER)


def stops_waiting() -> bool:
    """Whether `mind_stops` has anything to do; cheap while nothing is stopped."""
    if _unrecorded_file() is not None:
        return True
    return any(rows.exists() for rows in (_over(), _loud(), _forgotten(), _lingering()))


def mind_stops(by: Actor) -> int:
    done = _record_file()
    for stop in _over():
        done += _end(stop, by=by)
    done += sum(_grow_quiet(stop) for stop in _loud())
    done += sum(_remind(stop, _forgotten) for stop in _forgotten())
    return done + sum(_press(stop, by=by) for stop in _lingering())


def _over() -> "QuerySet[Stop]":
    return Stop.objects.in_force().filter(kind=StopKind.PAUSE, until__lte=Now())


def _loud() -> "QuerySet[Stop]":
    return Stop.objects.in_force().filter(quiet_at__isnull=True)


def _lingering() -> "QuerySet[Stop]":
    """Pauses that something keeps from becoming quiet, past a milestone that nobody was told of."""
    due = Q(pk__in=[])
    for milestone in MILESTONES:
        untold = Q(reminded_at__isnull=True) | Q(reminded_at__lt=F("pulled_at") + milestone)
        due |= Q(pulled_at__lt=Now() - milestone) & untold
    return _loud().filter(due, kind=StopKind.PAUSE)


def _press(stop: Stop, *, by: Actor) -> int:
    """Say that what is under way will be cancelled, or do so: its connector is asked to, and tells how far it came.

    Under a stop nothing is asked of anyone, so it holds what is under way as it is.
    """
    number = stopped.in_flight(stop)
    over = Stop.objects.filter(pk=stop.pk, pulled_at__lt=Now() - CLOSES_AFTER).exists()
    if over:
        for action in stopped.actions_in_flight(stop):
            running.give_up(action, by=by, comment=f"{stop.title}, and it was still running after 4 hours.")
    at = f"{stop.pulled_at + CLOSES_AFTER:%H:%M} UTC"
    said = f"{number} in flight, {'asked to stop now' if over else f'cancelled at {at}'}"
    return _remind(stop, _lingering, said)


def _remind(stop: Stop, due: "Callable[[], QuerySet[Stop]]", said: str = "") -> bool:
    """False where another runner has said it meanwhile: then it is no longer due."""
    with transaction.atomic():
        list(Stop.objects.select_for_update().filter(pk=stop.pk).values_list("pk"))
        if not due().filter(pk=stop.pk).exists():
            return False
        stop.remind(said)
    return True


def _forgotten() -> "QuerySet[Stop]":
    old = Stop.objects.in_force().filter(until__isnull=True)
    return old.annotate(told_at=Coalesce("reminded_at", "pulled_at")).filter(told_at__lt=Now() - REMIND_EVERY)


def _unrecorded_file() -> str | None:
    """The text of a stop file that no row speaks of yet."""
    reason = stop_file_reason()
    if reason is None:
        return None
    everything = Stop.objects.in_force().filter(kind=StopKind.STOP, scope=StopScope.ALL)
    return None if everything.exists() else reason


def _record_file() -> int:
    reason = _unrecorded_file()
    if reason is None:
        return 0
    Stop.pull(
        StopKind.STOP, StopScope.ALL, by=Actor.system("stop file"), reason=reason or "A stop file was found.",
        source=StopSource.FILE,
    )  # fmt: skip
    return 1


def _end(stop: Stop, *, by: Actor) -> int:
    try:
        return int(stop.lift(by=by, comment="Its time is over."))
    except StopError as error:
        logger.info("%s stays in force: %s", stop, error)
        return 0


def _grow_quiet(stop: Stop) -> int:
    """Nothing begins under it any more, so what isn't under way now never will be."""
    if stopped.in_flight(stop):
        return 0
    return Stop.objects.in_force().filter(pk=stop.pk, quiet_at__isnull=True).update(quiet_at=Now())


def unalarmed() -> "QuerySet[RunnerBeat]":
    return runners.silent().filter(alarmed_at__isnull=True)


def raise_alarms(by: Actor) -> int:
    """Tell the admins, once, of every runner that has fallen silent; returns of how many."""
    return sum(_alarm(beat, by=by) for beat in unalarmed())


def _alarm(beat: RunnerBeat, *, by: Actor) -> int:
    with transaction.atomic():
        first = runners.silent().filter(pk=beat.pk, alarmed_at__isnull=True).update(alarmed_at=Now())
        if first:
            last = {"seen_at": beat.seen_at.isoformat(), "in_flight": beat.in_flight}
            log.record(
                Kind.RUNNER_SILENT, by=by, subject=f"runner:{beat.name}", subject_name=beat.name,
                detail={**last, "acknowledged": beat.acknowledged},
            )  # fmt: skip
            title = f"Runner {beat.name} has not been heard of since {beat.seen_at:%H:%M:%S} UTC"
            notify_admins("runner.silent", title=title, url=PAGE, severity=Severity.URGENT)
    return first
