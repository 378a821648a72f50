"""A Celery worker is a runner like any other: it polls, is heard of, hears of stops, and keeps house."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db.models.functions import Now
from kombu import Connection

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming
from actioncenter.actions.models import Action, Attempt, RunnerBeat
from actioncenter.actions.queries import runners
from actioncenter.estate.services import Service
from actioncenter.settings.enums import StopKind
from tests import factories
from tests.actions.conftest import RUNNER, migrated_file, shared_database
from tests.actions.stopping import (
    PATIENCE,
    acknowledged,
    beat_of,
    decided,
    environment,
    moments,
    simulated,
    until,
)
from tests.actions.test_stops_running import one_round
from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_file", "migrated_template", "on_postgres", "shared_database"]
BROKERS = [
    pytest.param("redis_service", marks=pytest.mark.redis),
    pytest.param("rabbitmq_service", marks=pytest.mark.rabbitmq),
]
POSTGRES = pytest.mark.parametrize(
    "shared_database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


START = """
import sys, django
django.setup()
from actioncenter.actions.execution import loop
loop.POLL_SECONDS = float(sys.argv.pop(1))
from celery.__main__ import main
main()
"""
WORKER = ["-A", "actioncenter", "worker", "-c", "4", "-l", "ERROR"]


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    service: Service = request.getfixturevalue(request.param)
    return service.url


@contextmanager
def worker(url: str, broker: str, *, polls_every: float = 1.0) -> "Iterator[subprocess.Popen[bytes]]":
    """As the operator's guide starts it; heard of once, ended in good order unless it is gone already."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(polls_every), *WORKER],
        env=environment(url, ACTIONCENTER_BROKER_URL=broker),
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: beat_of(process) or process.poll() is not None, "the worker was never heard of")
        assert process.returncode is None, "the worker broke"
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def over(action: Action) -> Action | None:
    return Action.objects.filter(pk=action.pk, history_at__isnull=False).first()


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_a_worker_does_what_no_message_told_it_of(shared_database: str, broker: str, tmp_path: Path) -> None:
    """Nothing in this process knows of a broker, so every message is lost."""
    estate = simulated(tmp_path)
    (before,) = decided(1)
    with worker(shared_database, broker) as process:
        until(lambda: over(before), "what was decided before it came was not done")
        (after,) = decided(1)
        done = until(lambda: over(after), "it does not poll")
        assert (done.execution, len(moments(estate))) == (Execution.SUCCEEDED, 2)
        name = until(lambda: beat_of(process)).name
    assert process.returncode == 0
    assert RunnerBeat.objects.get(name=name).ended_at is not None, "it says goodbye"


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
@POSTGRES
def test_a_message_wakes_it_and_nonsense_does_no_harm(
    shared_database: str, broker: str, tmp_path: Path
) -> None:
    """It polls once an hour, so it learns of new work by the message only."""
    estate = simulated(tmp_path)
    (before,) = decided(1)
    with worker(shared_database, broker, polls_every=3600), Celery(broker=broker) as app:
        until(lambda: over(before))
        (action,) = decided(1)
        for given in ({"ids": "nonsense", "later": {}}, {"ids": [10**12]}):
            app.send_task("actions.wake", kwargs=given)
        assert until(lambda: over(action), "the message did not wake it").execution == Execution.SUCCEEDED
    assert len(moments(estate)) == 2


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_what_a_web_server_sends_reaches_the_broker(broker: str, tmp_path: Path) -> None:
    """A process of its own, because here everything is imported already."""
    send = "import actioncenter.wsgi; from actioncenter.actions import dispatch; dispatch.wake([7])"
    here = environment(f"sqlite:///{tmp_path / 'unused'}", ACTIONCENTER_BROKER_URL=broker)
    # The broker is the whole run's: what other tests sent to nobody still waits there.
    with Connection(broker) as line, line.SimpleQueue("celery") as queue:
        queue.clear()
    start = "from actioncenter.audit import triggers; triggers.require = lambda: None; "
    subprocess.run([sys.executable, "-c", start + send], env=here, cwd=settings.BASE_DIR, check=True)
    with Connection(broker) as line, line.SimpleQueue("celery") as queue:
        message = queue.get(timeout=PATIENCE)
        message.ack()
    assert message.payload[1] == {"ids": [7]}


@pytest.mark.redis
@pytest.mark.parametrize("broker", ["redis_service"], indirect=True)
@POSTGRES
def test_a_worker_polls_long_work_and_takes_over_what_was_lost(
    shared_database: str, broker: str, tmp_path: Path
) -> None:
    estate = simulated(tmp_path, slow=1)
    lost, long = decided(2)
    assert claiming.claim_one(lost.pk, "dead:1", by=RUNNER)
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    with worker(shared_database, broker):
        for action in (lost, long):
            assert until(lambda row=action: over(row)).execution == Execution.SUCCEEDED
    assert len(moments(estate)) == 2


@pytest.mark.oversight("HO-002")
@pytest.mark.parametrize("broker", BROKERS, indirect=True)
@POSTGRES
def test_workers_acknowledge_a_stop_and_send_nothing_after_two_seconds(
    shared_database: str, broker: str, tmp_path: Path
) -> None:
    estate = simulated(tmp_path, slow=0.1)
    with worker(shared_database, broker) as one, worker(shared_database, broker) as two:
        names = {until(lambda each=each: beat_of(each)).name for each in (one, two)}
        assert {row.name for row in runners.known()} == names
        assert [one_round(estate, kind) for kind in StopKind] == [[], []]
        assert all(acknowledged(each, 1) for each in (one, two))
        until(lambda: not Action.objects.running().exists(), "what waited was lost")
    assert len(moments(estate)) == 24


@pytest.mark.oversight("HO-008")
@pytest.mark.redis
@pytest.mark.parametrize("broker", ["redis_service"], indirect=True)
@POSTGRES
def test_a_worker_that_falls_silent_is_told_of_by_another(
    shared_database: str, broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.person("noa")
    with worker(shared_database, broker), worker(shared_database, broker) as frozen:
        name = until(lambda: beat_of(frozen)).name
        frozen.send_signal(signal.SIGSTOP)
        try:
            notice = until(lambda: Notice.objects.filter(kind="runner.silent").first(), "nobody was told")
            assert name in notice.title
        finally:
            frozen.send_signal(signal.SIGCONT)
