"""Duties that no request waits for. Each is claimed by a lease row, so that two runners don't share it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import answers, mail, notices
from actioncenter.actions import escalation, planning, rails
from actioncenter.actions.enums import ALLOWED, RUNNING, Decision, Execution, JobKind, JobState
from actioncenter.actions.execution import (
    auditing,
    drifting,
    emptied,
    heartbeat,
    snapshots,
    streaming,
    timers,
    watching,
)
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.models import Action, ConnectorJob, Duty, MailSearch, following, tally
from actioncenter.audit import indexing, log, sealing
from actioncenter.audit.actor import Actor
from actioncenter.auditor import purging
from actioncenter.auditor.verification import running
from actioncenter.settings import checkpoints
from actioncenter.settings.models import (
    ConnectorInstance,
    FolderExclusion,
    Indicator,
    LevelRaise,
    Safeguards,
    renewing,
)
from actioncenter.web.outage import is_passing
from investigations import lifecycle, membership
from investigations.models import Binding, Device, Investigation, Mark

logger = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
LOOKS_EVERY: Final = 0.5
"""Seconds between two looks at what is due."""
SEALED_WITHIN: Final = 1.0
"""Seconds that an event is in no seal at most, as docs/auditor.md promises: until then it could be dropped unseen."""
SEALS_EVERY: Final = 0.25
"""After this comes the next look; what is left of the promise is for the sealing itself."""
AT_ONCE = 200
CHECKED_EVERY = timedelta(minutes=5)
FAILED = [Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED, Execution.CANCELLED]


@dataclass(frozen=True, slots=True)
class Chore:
    """`every` is in seconds. `waiting` is a cheap read: an idle runner writes nothing.

    Where that isn't so cheap, `look` seconds pass between two reads.
    """

    name: str
    every: float
    waiting: Callable[[], bool]
    do: Callable[[Actor], int]
    look: float = 0.0


def expire(by: Actor) -> int:
    return Action.objects.expire_due(by=by)


def plan_left_over(by: Actor) -> int:
    return len(planning.plan_unplanned(by=Actor.automation()))


def raise_levels(by: Actor) -> int:
    return sum(waiting.apply_when_due(by=by) for waiting in LevelRaise.to_end())


def advance_investigations(by: Actor) -> int:
    """Bring dirty investigations in line with their actions (domain §5.1)."""
    oldest = Mark.objects.values("investigation").annotate(first=Min("pk")).order_by("first")[:AT_ONCE]
    rows = Investigation.objects.in_bulk([mark["investigation"] for mark in oldest])
    return sum(_advance_alone(rows[pk], by=by) for pk in rows)


def _advance_alone(investigation: Investigation, *, by: Actor) -> bool:
    """One that can't be advanced must not hold up the others; it keeps its mark."""
    try:
        return advance(investigation, by=by)
    except Exception:
        logger.exception("%s could not be advanced", investigation)
        return False


def advance(investigation: Investigation, *, by: Actor) -> bool:
    """Clear the marks first: what changes later sets another, what changed before is counted."""
    with transaction.atomic():
        lifecycle.locked(investigation.pk)
        Mark.objects.filter(investigation=investigation).delete()
        following.bring_in_line(investigation)
        return lifecycle.advance(investigation, counts_of(investigation), by=by)


def counts_of(investigation: Investigation) -> lifecycle.Counts:
    """How an investigation's actions stand. What is past expiry counts as expired already."""
    waiting = Q(decision=Decision.PENDING)
    rows = Action.objects.filter(investigation=investigation, undo_of__isnull=True)
    counted = rows.exclude(_asked_again()).aggregate(
        total=Count("pk"),
        undecided=Count("pk", filter=waiting & Q(expires_at__gt=Now())),
        running=Count("pk", filter=Q(execution__in=sorted(RUNNING))),
        failed=Count("pk", filter=Q(execution__in=FAILED)),
        succeeded=Count("pk", filter=Q(execution=Execution.SUCCEEDED)),
        approved=Count("pk", filter=Q(decision__in=sorted(ALLOWED))),
        rejected=Count("pk", filter=Q(decision=Decision.REJECTED)),
        last_expiry=Max("decided_at", filter=Q(decision=Decision.EXPIRED)),
        last_decision=Max("decided_at", filter=~Q(decision__in=[Decision.EXPIRED, Decision.PENDING])),
    )
    expired, decided = counted.pop("last_expiry"), counted.pop("last_decision")
    expired_last = bool(expired and (decided is None or expired >= decided))
    return lifecycle.Counts(**counted, unreachable=_unreachable(investigation), expired_last=expired_last)


def _asked_again() -> Q:
    """What the runner refused and a later round stands for now: neither failed nor approved."""
    later = Action.objects.filter(
        investigation=OuterRef("investigation"),
        proposal_key=OuterRef("proposal_key"),
        round__gt=OuterRef("round"),
    )
    return Q(Exists(later), execution=Execution.CANCELLED)


def _unreachable(investigation: Investigation) -> int:
    """Actions that wait for a device that was offline when last tried."""
    waiting = Action.objects.filter(
        investigation=investigation, execution=Execution.QUEUED, undo_of__isnull=True
    )
    return waiting.filter(targets__error_class="device_offline").distinct().count()


def recompute_membership(by: Actor) -> int:
    return int(membership.recompute(limit=500) or 0)


def unread() -> "QuerySet[Binding]":
    return Binding.objects.filter(read_at__isnull=True, instance__enabled=True)


def read_capabilities(by: Actor) -> int:
    """Ask for what was never read, once per instance at a time."""
    with transaction.atomic():
        _hold_connectors()
        instances = set(unread().values_list("instance_id", flat=True).distinct())
        asked = ConnectorJob.objects.filter(kind=JobKind.CAPABILITIES, state__lte=JobState.RUNNING)
        instances -= set(asked.values_list("instance_id", flat=True))
        ConnectorJob.objects.bulk_create(
            ConnectorJob(kind=JobKind.CAPABILITIES, instance_id=pk, requested_by_name=by.name)
            for pk in instances
        )
    return len(instances)


def _hold_connectors() -> None:
    """Whoever asks them something looks under this lock whether it was asked already."""
    list(ConnectorInstance.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))


def unchecked() -> "QuerySet[ConnectorInstance]":
    """Whose health was last looked at a while ago, or never."""
    old = Q(health_at__isnull=True) | Q(health_at__lte=Now() - CHECKED_EVERY)
    asked = ConnectorJob.objects.filter(
        kind=JobKind.CHECK, instance=OuterRef("pk"), state__lte=JobState.RUNNING
    )
    return ConnectorInstance.objects.filter(~Exists(asked), old, enabled=True)


def check_connectors(by: Actor) -> int:
    """Ask how they are; what the last check said stands in the instance, so its row is needed no longer."""
    with transaction.atomic():
        _hold_connectors()
        due = list(unchecked())
        over = ConnectorJob.objects.filter(kind=JobKind.CHECK, instance__in=due, state__gt=JobState.RUNNING)
        over.delete()
        ConnectorJob.objects.bulk_create(
            ConnectorJob(kind=JobKind.CHECK, instance=row, requested_by_name=by.name) for row in due
        )
    return len(due)


def purge_notices(by: Actor) -> int:
    return notices.purge(by=by)


def forget_answers(by: Actor) -> int:
    return answers.purge()


def dirty() -> "QuerySet[Investigation]":
    return Investigation.objects.filter(pk__in=Mark.objects.values("investigation"))


REVIEWED = (FolderExclusion, Indicator)


def reviews_to_tell() -> bool:
    figures = Safeguards.current()
    return any(any(kind.to_tell(figures)) for kind in REVIEWED)


def tell_of_reviews(by: Actor) -> int:
    """Remind admins of suppressions that will lapse, and say which have."""
    figures = Safeguards.current()
    return sum(kind.tell(figures, by=by) for kind in REVIEWED)


def tell_of_levels(by: Actor) -> int:
    return renewing.tell()


CHORES: Sequence[Chore] = (
    Chore("breakers", 1.0, rails.to_watch, rails.watch, look=1.0),
    Chore("snapshots", 1.0, snapshots.is_due, snapshots.tend, look=1.0),
    Chore("audit", 30.0, auditing.is_broken, auditing.stop_everything, look=60.0),
    Chore("suppressions", 60.0, reviews_to_tell, tell_of_reviews, look=60.0),
    Chore("levels", 60.0, lambda: renewing.to_tell().exists(), tell_of_levels, look=600.0),
    Chore("timers", 1.0, timers.waiting, timers.mind, look=1.0),
    Chore("drift", 5.0, drifting.waiting, drifting.ask, look=5.0),
    Chore("expire", 1.0, lambda: Action.objects.past_expiry().exists(), expire),
    Chore("advance_investigations", 0.5, lambda: Mark.objects.exists(), advance_investigations),
    Chore("plan_left_over", 10.0, lambda: planning.unplanned().exists(), plan_left_over),
    Chore("raise_levels", 5.0, lambda: LevelRaise.to_end().exists(), raise_levels),
    Chore(
        "membership", 5.0, lambda: Device.objects.filter(membership_stale=True).exists(), recompute_membership
    ),
    Chore("capabilities", 5.0, lambda: unread().exists(), read_capabilities),
    Chore("checks", 30.0, lambda: unchecked().exists(), check_connectors, look=30.0),
    Chore("stops", 0.5, watching.stops_waiting, watching.mind_stops),
    Chore("emptied", 5.0, lambda: emptied.emptied().exists(), emptied.refuse, look=5.0),
    Chore("silent_runners", 1.0, lambda: watching.unalarmed().exists(), watching.raise_alarms),
    Chore("escalate", 1.0, lambda: escalation.due().exists(), escalation.escalate, look=2.0),
    Chore("left", 60.0, lambda: escalation.left().exists(), escalation.free_what_was_left, look=60.0),
    Chore(
        "reviews",
        30.0,
        lambda: escalation.overdue_reviews().exists(),
        escalation.remind_of_reviews,
        look=30.0,
    ),
    Chore("notices", 60.0, lambda: notices.past_keeping().exists(), purge_notices, look=600.0),
    Chore("retention", 60.0, purging.is_due, lambda by: purging.step(by=by), look=600.0),
    Chore("words", 0.5, indexing.is_waiting, lambda by: indexing.fill()),
    Chore("tallies", 2.0, tally.is_waiting, lambda by: tally.count(), look=2.0),
    Chore(
        "searches", 5.0, lambda: MailSearch.past_keeping().exists(), lambda by: MailSearch.forget(), look=60.0
    ),
    Chore("answers", 60.0, lambda: answers.past_keeping().exists(), forget_answers),
)


SEALS: Sequence[Chore] = (
    Chore("seal", SEALS_EVERY, sealing.is_waiting, lambda by: sealing.seal()),
    Chore("checkpoints", 0.5, lambda: checkpoints.missing().exists(), lambda by: checkpoints.keep()),
)
"""In a thread of their own too: what isn't sealed yet could be dropped unseen."""
OUTWARD: Sequence[Chore] = (Chore("mail", 5.0, mail.is_due, mail.deliver),)
"""What waits for servers of others, in a thread of its own: a slow one must hold up nothing."""
STREAMS: Sequence[Chore] = (Chore("streams", 0.5, streaming.waiting, streaming.send, look=1.0),)
"""Only begins; each destination has a thread and a lease of its own."""
# A little earlier than it is looked at, or every second look would come just too soon.
_BEAT: Final = float(settings.WATCHER_SECONDS)
HEARTBEAT: Sequence[Chore] = (Chore("heartbeat", 0.7 * _BEAT, heartbeat.is_on, heartbeat.send, look=_BEAT),)
"""In another: a slow mail server is no reason to be taken for dead."""
THREADS: Final = {
    "housekeeping": CHORES,
    "seals": SEALS,
    "outward": OUTWARD,
    "streams": STREAMS,
    "heartbeat": HEARTBEAT,
}


def tidy(*, by: Actor, chores: Sequence[Chore] = CHORES) -> int:
    """Do every chore once, due or not; returns how much was done. For tests and commands."""
    return sum(chore.do(by) for chore in chores)


def run_due(*, by: Actor, chores: Sequence[Chore] = CHORES) -> None:
    """Do the chores that are due and that nobody else holds. Raises django.db.Error in an outage or update."""
    for chore in chores:
        try:
            token = _take(chore) if chore.waiting() else None
        except Exception as error:
            if is_passing(error):
                raise
            # The others are as due as ever.
            logger.exception("the chore %s can't tell whether it is due", chore.name)
            continue
        if token is not None:
            _do(chore, token, by=by)


def _do(chore: Chore, token: int, *, by: Actor) -> None:
    try:
        chore.do(by)
    except Exception:
        logger.exception("the chore %s broke", chore.name)
    # Whoever took it meanwhile holds it under another token.
    Duty.objects.filter(name=chore.name, token=token).update(
        lease_until=None, done_at=Now(), next_at=Now() + timedelta(seconds=chore.every)
    )


def _take(chore: Chore) -> int | None:
    """The token under which the duty is ours; None when it isn't due or somebody else has it.

    A moment further away than any we write means that the clock was put back.
    """
    every = timedelta(seconds=chore.every)
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=Now()) | Q(lease_until__gt=Now() + 2 * LEASE)
    due = Q(next_at__lte=Now()) | Q(next_at__gt=Now() + 2 * every + LEASE)
    with transaction.atomic():
        Duty.objects.get_or_create(name=chore.name)
        mine = Duty.objects.filter(name=chore.name)
        taken = mine.filter(free, due).update(
            holder=runner_name(), token=F("token") + 1, lease_until=Now() + LEASE
        )
        return mine.values_list("token", flat=True).get() if taken else None


def run_until(stopping: threading.Event, *, by: Actor, chores: Sequence[Chore] = CHORES) -> None:
    """A housekeeping thread of a runner."""
    looked: dict[str, float] = {}
    while not stopping.wait(LOOKS_EVERY):
        # One that broke would stay broken.
        close_old_connections()
        if log.is_held_back():
            continue
        now = time.monotonic()
        asked = [chore for chore in chores if now - looked.get(chore.name, -math.inf) >= chore.look]
        looked.update({chore.name: now for chore in asked})
        try:
            run_due(by=by, chores=asked)
        except (OperationalError, InterfaceError) as error:
            logger.warning("housekeeping waits for the database: %s", error)
        except Exception:
            logger.exception("housekeeping broke")
    connection.close()


@contextmanager
def beside(stopping: threading.Event, *, by: Actor) -> Iterator[None]:
    """Keep house in threads of its own as long as the block lasts, which sets `stopping` at its end."""
    threads = [
        threading.Thread(target=run_until, args=(stopping,), kwargs={"by": by, "chores": chores}, name=name)
        for name, chores in THREADS.items()
    ]
    # Of its own, too: it takes minutes, and keeps a lease of its own meanwhile.
    verifier = {"by": Actor.system("verifier"), "holder": runner_name()}
    threads.append(threading.Thread(target=running.work, args=(stopping,), kwargs=verifier, name="verifier"))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
