"""Checks of the work: runners, stuck rows, the queue, stops, mail."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import AttemptState, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt
from actioncenter.actions.queries import runners
from actioncenter.ops.doctor.finding import Finding, error, info, warning
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import stop_file, stop_file_reason

QUEUED_LONG: Final = timedelta(minutes=5)
MAIL_SINCE: Final = timedelta(days=7)


def alive() -> Iterator[Finding]:
    known = runners.known()
    for row in known:
        if row.silent:
            yield error(
                "runner.silent", f"Runner {row.name} has not been heard of since {row.seen_at:%Y-%m-%d %H:%M:%S} UTC",
                "It hangs, or its host is gone. What it was at is taken over when its lease ends.", "Look at that host and restart the runner.",
            )  # fmt: skip
        elif row.unfit:
            yield error(
                "runner.unfit", f"Runner {row.name} begins nothing: {row.unfit}",
                "It lives, and leaves to others what waits.", "Mend that; it goes on by itself within seconds.",
            )  # fmt: skip
    if all(row.silent for row in known):
        yield error(
            "runner.none", "No runner is working", "Decisions are taken and wait; nothing is sent, no mail, no notices.",
            "Start `manage.py runner` or a worker.",
        )  # fmt: skip


def stuck() -> Iterator[Finding]:
    number = stuck_attempts()
    if number:
        yield error(
            "work.stuck", f"{number} attempts are in nobody's hands for more than two leases",
            "Every runner should have taken them over.", "See whether runners work and dispatch isn't held; then their logs.",
        )  # fmt: skip


def stuck_attempts() -> int:
    # One more lease after the one that has ended.
    late = Now() - timedelta(seconds=settings.LEASE_SECONDS)
    left = Q(lease_until__lt=late) | Q(next_poll_at__lt=late)
    open_ = Attempt.objects.filter(left, ended_at__isnull=True)
    return 0 if Stop.objects.in_force().exists() else open_.exclude(state=AttemptState.FINISHED).count()


def unknown() -> Iterator[Finding]:
    number = Action.objects.needs_a_look().count()
    if number:
        lanes = ActionTarget.objects.filter(state=TargetState.UNKNOWN).values("lane").distinct().count()
        yield warning(
            "work.unknown", f"{number} actions need a look; {lanes} targets have an unknown outcome",
            "Nothing else begins on those targets before somebody has looked.", "Open Pending, *Needs a look*.",
        )  # fmt: skip


def queue() -> Iterator[Finding]:
    oldest = ready_for_long().order_by("queued_at").first()
    if oldest is not None and not Stop.objects.in_force().exists():
        yield warning(
            "queue.old", f"{oldest.label} is queued since {oldest.queued_at:%Y-%m-%d %H:%M} UTC",
            "Nothing of its own keeps it: runners are too few, hang, or something holds its target.", "Look at runners and at what runs on its target.",
        )  # fmt: skip


def ready_for_long() -> "QuerySet[Action]":
    ready = ActionTarget.objects.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=Now()), action=OuterRef("pk"), state=TargetState.QUEUED
    )
    return Action.objects.running().filter(
        Exists(ready), execution=Execution.QUEUED, queued_at__lt=Now() - QUEUED_LONG
    )


def stops() -> Iterator[Finding]:
    for stop in Stop.objects.in_force().order_by("pk"):
        yield info(
            "stop.in_force", f"{stop.title} since {stop.pulled_at:%Y-%m-%d %H:%M} UTC by {stop.pulled_by_name}",
            stop.reason or "Nobody said why.", "Resume it on *Settings → Stops and pauses* when it has served.",
        )  # fmt: skip
    reason = stop_file_reason()
    if reason is not None:
        yield info("stop.file", f"{stop_file()} exists", reason, "Remove it, then `manage.py resume`.")


def mail() -> Iterator[Finding]:
    if not settings.MAIL_ON:
        yield info(
            "mail.off",
            "No mail server is set",
            "Notices reach only people who look.",
            "Set ACTIONCENTER_SMTP_URL.",
        )
    number = Notice.objects.undelivered().filter(created_at__gt=Now() - MAIL_SINCE).count()
    if number:
        yield warning(
            "mail.undelivered", f"{number} notices of the last 7 days could not be mailed",
            "Somebody may not know what they should.", "See the notices page for why.",
        )  # fmt: skip
