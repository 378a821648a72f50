"""Something to do for every duty, and what it has come to."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core import mail as sent
from django.db import connection
from django.db.models import F, Max, Sum
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Answer, Notice, User
from actioncenter.accounts.notices import notify
from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import auditing, claiming, loop, snapshots
from actioncenter.actions.models import (
    Action,
    Artefact,
    ConnectorJob,
    Duty,
    MailSearch,
    Review,
    RunnerBeat,
    Tally,
    tally,
)
from actioncenter.audit import sealing, triggers
from actioncenter.audit.models import Event
from actioncenter.auditor.models import PageView
from actioncenter.feeds.enums import ClickResult
from actioncenter.feeds.models import Click
from actioncenter.settings.enums import AutomationLevel, StopKind
from actioncenter.settings.models import ConnectorInstance, Destination, DeviceGroup, Safeguards, Stop
from investigations.enums import InvestigationState
from investigations.models import Device, Investigation, Mark
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken
from tests.actions.in_force import time_passes
from tests.actions.stopping import decided
from tests.actions.test_breakers import gone_wrong
from tests.actions.test_escalation import late
from tests.settings.stopping import pull
from tests.settings.test_suppressions import reviewed

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WITHOUT_WEIGHT: Final = (Duty, Mark)
"""Rows that do nothing by being more: a mark says that an investigation is to be looked at again."""
OUTSIDE: Final[list[int]] = []
"""Streams that were begun, which no row tells of."""


def breakers() -> None:
    gone_wrong(factories.group("Kiosks", AutomationLevel.FULL))


def everything_stopped() -> None:
    factories.waiting_actions(2)
    pull()
    Stop.objects.update(pulled_at=F("pulled_at") - timedelta(minutes=1))


def old_snapshot() -> None:
    snapshots.take(pull(), by=RUNNER)
    snapshots.KEPT = -DAY  # type: ignore[misc]


def log_meddled_with() -> None:
    factories.waiting_action()
    triggers.remove(connection)
    Event.objects.filter(stream__startswith="action:").update(actor_name="Nobody at all")
    triggers.install(connection)
    assert auditing.is_broken()


def reviews_of_suppressions() -> None:
    Safeguards(pk=1, suppression_days=30).save()
    exclusion, _ = reviewed(31 * DAY)
    type(exclusion).objects.update(reviewed_at=Now() - 28 * DAY)


def unconfirmed_level() -> None:
    made = factories.group("Kiosks", AutomationLevel.FULL)
    DeviceGroup.objects.filter(pk=made.pk).update(created_at=Now() - 400 * DAY)


def isolated(**more: Any) -> Action:
    ConnectorInstance.objects.update(settings={"pace": 0})
    action = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group()), by="noa", **more)
    loop.drain(by=RUNNER)
    return action


def timer_over() -> None:
    Action.objects.filter(pk=isolated(hours=4).pk).update(ends_at=Now() - HOUR)


def not_read_back() -> None:
    isolated()
    time_passes(24 * 4)


def without_targets() -> None:
    factories.waiting_action().approve(by=factories.person("mira").actor()).targets.all().delete()


def old_search() -> None:
    MailSearch.objects.create(
        criteria={"sender": ["a@b.example"]}, asked_by_name="Aiko", asked_at=Now() - 8 * DAY
    )


def past_expiry() -> None:
    factories.waiting_actions(2)
    Action.objects.update(expires_at=Now() - HOUR)


def finding_left_unplanned() -> None:
    factories.file_evidence(factories.device(in_group=factories.group()))


def raise_due() -> None:
    noa = factories.person("noa").actor(proved_at=time.time())
    waits = factories.group().change_level(AutomationLevel.FULL, by=noa)
    assert waits is not None
    type(waits).objects.update(effective_at=F("requested_at") - HOUR)


def stale_membership() -> None:
    factories.device(in_group=factories.group())
    Device.objects.update(membership_stale=True)


def unread_device() -> None:
    factories.device()


def pause_over() -> None:
    pull(StopKind.PAUSE)
    Stop.objects.update(until=Now() - HOUR)


def forgotten_stop() -> None:
    pull()
    Stop.objects.update(pulled_at=Now() - 2 * DAY, quiet_at=Now())


def pause_that_stays_loud() -> None:
    (action,) = decided(1)
    assert claiming.claim_one(action.pk, "somebody:1", by=RUNNER)
    pull(StopKind.PAUSE)
    Stop.objects.update(pulled_at=Now() - 5 * HOUR)


def silent_runner() -> None:
    RunnerBeat.objects.create(name="gone:1", host="gone", seen_at=Now() - HOUR)


def left_by_somebody() -> None:
    factories.waiting_action()
    mira = factories.person("mira")
    Action.objects.update(assigned_to=mira, assigned_to_name=mira.shown_name, assigned_at=Now() - 5 * HOUR)


def review_overdue() -> None:
    mira = factories.person("mira")
    Review.objects.create(
        action=factories.waiting_action(), made_by_ref=mira.ref, made_by_name=mira.shown_name, reason="fire",
        due_at=timezone.now() - HOUR,
    )  # fmt: skip


def old_notices() -> None:
    notify([factories.person("noa")], "x", title="x")
    Notice.objects.update(read_at=Now() - 100 * DAY)


def old_views() -> None:
    PageView.objects.create(at=timezone.now() - 900 * DAY, actor="user:1", actor_name="Mira", page="home")


def old_clicks() -> None:
    Click.objects.create(at=timezone.now() - 900 * DAY, url="http://x.example/", result=ClickResult.STOPPED)


def old_artefact() -> None:
    made = Artefact.objects.create(
        action=factories.waiting_action(), name="a", media_type="x", size=1, sha256=""
    )
    made.keep(b"brought back")
    Artefact.objects.update(created_at=Now() - 900 * DAY)


def old_investigation() -> None:
    """The log knows nothing of its beginning any more."""
    factories.investigation()
    Investigation.objects.update(ended_at=Now() - 900 * DAY, state=InvestigationState.REMEDIATED)
    # Too little by itself for the cheap look.
    old_clicks()


def old_answer() -> None:
    Answer.objects.create(actor="user:1", key="k", request_hash="x")
    Answer.objects.update(created_at=Now() - 8 * DAY)


def sealed_events() -> None:
    factories.person("mira")
    sealing.seal()


def sealed_proposal() -> None:
    """Not the first one: then nobody has anything to read that another changes."""
    for _ in range(2):
        tally.count()
        factories.waiting_action()
        sealing.seal()


def mail_due() -> None:
    settings.MAIL_ON = True
    User.objects.filter(pk=factories.person("noa").pk).update(email="noa@halden.example")
    notify(User.objects.all(), "x", title="x", severity=Severity.URGENT)


def destination_due() -> None:
    sealed_events()
    Destination.objects.create(name="far", address="syslog+tls://far.example:6514", what="seals")


def watcher_to_tell() -> None:
    settings.WATCHER_URL = urlsplit(f"file://{settings.SNAPSHOTS_DIR.parent / 'alive'}")
    RunnerBeat.objects.create(name="here:1", host="here")


WORK: Final[dict[str, Callable[[], Any]]] = {
    "breakers": breakers,
    "snapshots": everything_stopped,
    "snapshots: past keeping": old_snapshot,
    "audit": log_meddled_with,
    "suppressions": reviews_of_suppressions,
    "levels": unconfirmed_level,
    "timers": timer_over,
    "drift": not_read_back,
    "expire": past_expiry,
    "advance_investigations": factories.waiting_action,
    "plan_left_over": finding_left_unplanned,
    "raise_levels": raise_due,
    "membership": stale_membership,
    "capabilities": unread_device,
    "checks": unread_device,
    "stops": pause_over,
    "stops: forgotten": forgotten_stop,
    "stops: loud": pause_that_stays_loud,
    "emptied": without_targets,
    "searches": old_search,
    "silent_runners": silent_runner,
    "escalate": late,
    "left": left_by_somebody,
    "reviews": review_overdue,
    "notices": old_notices,
    "retention": old_views,
    "retention: clicks": old_clicks,
    "retention: artefacts": old_artefact,
    "retention: investigations": old_investigation,
    "words": sealed_events,
    "tallies": sealed_proposal,
    "answers": old_answer,
    "seal": lambda: factories.person("mira"),
    "checkpoints": sealed_events,
    "mail": mail_due,
    "streams": destination_due,
    "heartbeat": watcher_to_tell,
}
"""By duty, and after a colon another part of it."""


def happened(folder: Path) -> Counter[str]:
    """Rows of every table, what was told to whom, what was written where, and what went out."""
    found: Counter[str] = Counter()
    for model in apps.get_models():
        if model not in WITHOUT_WEIGHT:
            found[model._meta.label] = model._default_manager.count()
    found.update(f"{kind} of {stream}" for kind, stream in Event.objects.values_list("kind", "stream"))
    found.update(f"{kind} to {name}" for kind, name in Notice.objects.values_list("kind", "user__username"))
    found.update(f"stream {pk}" for pk in OUTSIDE)
    # One that was dropped and asked for anew is another, too.
    found["last job"] = ConnectorJob.objects.aggregate(last=Max("pk"))["last"] or 0
    found["tallied"] = Tally.objects.aggregate(total=Sum("number"))["total"] or 0
    found["mails"] = len(sent.outbox)
    for path in folder.rglob("*.*"):
        if path.suffix in {".jsonl", ".sealed", ".draft"}:
            found[f"lines of {path.suffix}"] += path.read_bytes().count(b"\n")
    return found
