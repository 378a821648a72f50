"""What the product stops by itself: a broken log, a licence that was given back too early, what won't end."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping, rails
from actioncenter.actions.enums import Execution, SurpriseKind
from actioncenter.actions.execution import auditing, loop, watching
from actioncenter.actions.models import Action, Attempt, Surprise
from actioncenter.audit import triggers
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind, StopScope, StopSource
from actioncenter.settings.models import Breaker, ConnectorInstance, Stop
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import decided_cluster
from tests.settings.stopping import PAUSE, STOP, pull, stop_file

__all__ = ["stop_file"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stop_file")]
Run = Callable[..., None]


def meddle(event: Event) -> None:
    triggers.remove(connection)
    try:
        Event.objects.filter(pk=event.pk).update(actor_name="Nobody at all")
    finally:
        triggers.install(connection)


# A broken log


@pytest.mark.oversight("HO-008")
@pytest.mark.parametrize("stream", ["action:", "user:"])
def test_a_broken_log_stops_everything(stream: str, run: Run, estate: Estate) -> None:
    action = factories.waiting_action().approve(by=factories.person("mira").actor())
    assert not auditing.is_broken()
    spoilt = Event.objects.filter(stream__startswith=stream).first()
    assert spoilt is not None
    meddle(spoilt)
    while not auditing.is_broken():
        """Which part is read is left to chance."""
    housekeeping.tidy(by=RUNNER)

    stop = Stop.objects.in_force().get()
    assert (stop.kind, stop.scope, stop.source) == (StopKind.STOP, StopScope.ALL, StopSource.SYSTEM)
    assert f"{spoilt.stream} number {spoilt.seq}" in stop.reason
    run(action)
    assert estate.effects() == {}


def test_one_that_is_known_does_not_stop_again() -> None:
    """Nothing puts an append-only log right, so somebody has to be able to go on."""
    factories.waiting_action()
    meddle(Event.objects.filter(stream__startswith="action:").first())  # type: ignore[arg-type]
    assert auditing.stop_everything(RUNNER) == 1
    Stop.objects.get().lift(by=factories.actor(factories.person("noa")))
    assert auditing.stop_everything(RUNNER) == 0
    assert Surprise.objects.filter(kind=SurpriseKind.AUDIT).count() == 1


# A licence that was given back too early


@pytest.mark.oversight("HO-008")
def test_a_breaker_that_opens_again_stops_the_type_until_somebody_else_looks() -> None:
    noa, home = factories.person("noa"), factories.group()
    kind = factories.waiting_action(home).type
    opened = Breaker.objects.create(group=home, action_type=kind, bad=4, of=20, cool_until=Now())
    assert not rails.to_watch()
    Breaker.objects.filter(pk=opened.pk).update(restored_at=Now(), restored_by=noa)
    rails.watch(RUNNER)

    stop = Stop.objects.in_force().get()
    assert (stop.kind, stop.scope, stop.value) == (StopKind.STOP, StopScope.TYPE, kind)
    assert stop.not_by == [noa.ref]
    assert not rails.to_watch()
    Stop.objects.update(lifted_at=Now())
    assert not rails.to_watch(), "once each time it opens"
    Breaker.objects.update(opened_at=Now() + timedelta(seconds=1))
    assert rails.to_watch()


# What keeps a pause from becoming quiet


@pytest.fixture
def long_job(estate: Estate) -> Action:
    """A clean-up of many messages whose first chunk is done, so that it is polled again."""
    ConnectorInstance.objects.update(settings={"pace": 0, "chunk": 5})
    action = decided_cluster(40)
    task = loop.next_task("somebody:1", by=RUNNER)
    assert task is not None
    task()
    assert Attempt.objects.filter(ended_at=None, next_poll_at__isnull=False).exists()
    return action


def hours_ago(hours: float) -> None:
    moved = timedelta(hours=hours)
    told = Stop.objects.get().reminded_at
    Stop.objects.update(pulled_at=Now() - moved)
    if told is not None:
        Stop.objects.update(reminded_at=Now() - timedelta(minutes=1))


def reminders() -> list[str]:
    rows = Notice.objects.filter(kind="switch.reminder", user__username="noa").order_by("pk")
    return list(rows.values_list("title", flat=True))


@pytest.mark.oversight("HO-006")
def test_what_won_t_end_is_cancelled_after_four_hours(long_job: Action, estate: Estate) -> None:
    """With a warning at 75 and at 95 per cent of the time."""
    factories.person("noa")
    pull(PAUSE)
    for hours, told in ((2.9, 0), (3.01, 1), (3.5, 1), (3.81, 2), (3.9, 2)):
        hours_ago(hours)
        watching.mind_stops(RUNNER)
        watching.mind_stops(RUNNER)
        assert len(reminders()) == told, hours
        long_job.refresh_from_db()
        assert long_job.cancel_requested_at is None
    assert "1 in flight, cancelled at" in reminders()[0]
    hours_ago(4.01)
    watching.mind_stops(RUNNER)
    long_job.refresh_from_db()
    assert long_job.cancel_requested_by_name == RUNNER.name
    Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=Now())
    loop.drain(by=RUNNER)
    long_job.refresh_from_db()
    assert long_job.execution == Execution.PARTLY_SUCCEEDED
    assert len(estate.effects()) < 40
    watching.mind_stops(RUNNER)
    assert Stop.objects.get().quiet_at is not None
    assert len(reminders()) == 3


def test_a_stop_holds_what_is_under_way_and_asks_nothing_of_it(long_job: Action) -> None:
    pull(STOP)
    Stop.objects.update(pulled_at=F("pulled_at") - timedelta(hours=5))
    watching.mind_stops(RUNNER)
    long_job.refresh_from_db()
    assert long_job.cancel_requested_at is None
