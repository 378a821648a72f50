"""A broker that is away, forgets, hangs or lies: everything decided is done once, and no request notices."""

import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import DisabledBackend
from celery.worker import consumer
from django.conf import settings
from django.test import Client
from kombu import Connection

from actioncenter.actions import dispatch, tasks
from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.celery import app
from actioncenter.estate.services import Service
from tests import factories
from tests.actions.stopping import decided, environment, simulated, until
from tests.faults.outages import BROKERS, WORKER, Deaf, all_over, counted, forge, nobody, worker

SCHEMES = ["redis", "amqp"]
POSTGRES = pytest.mark.parametrize(
    "shared_database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
HOURLY = 3600.0
"""So seldom does a worker poll that only a message can have told it."""


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def courier(monkeypatch: pytest.MonkeyPatch) -> Iterator[dispatch.Courier]:
    fresh = dispatch.Courier()
    monkeypatch.setattr(dispatch, "courier", fresh)
    monkeypatch.setattr(dispatch, "ANSWERS_WITHIN", 0.5)
    yield fresh
    assert fresh.rest(30)


# Requests


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.django_db(transaction=True)
def test_a_request_does_not_wait_for_a_broker_that_hangs(
    scheme: str, courier: dispatch.Courier, settings: Any
) -> None:
    """It is answered while the broker still says nothing."""
    mira, action = Client(), factories.waiting_action()
    mira.force_login(factories.person("mira"))
    with Deaf() as broker:
        settings.CELERY_BROKER_URL = broker.url(scheme)
        answer = mira.post(f"/action-center/actions/{action.pk}/approve")
        assert answer.status_code == 302
        assert not courier.rest(0)
        assert broker.called.wait(30)
        assert courier.rest(30)
    action.refresh_from_db()
    assert (action.decision, courier.lost) == (Decision.APPROVED, 1)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.django_db(transaction=True)
def test_no_request_fails_because_a_broker_is_away(
    scheme: str, courier: dispatch.Courier, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mira, actions = Client(), factories.waiting_actions(3)
    mira.force_login(factories.person("mira"))
    settings.CELERY_BROKER_URL = nobody(scheme)
    answers = [mira.post(f"/action-center/actions/{action.pk}/approve") for action in actions]
    assert [answer.status_code for answer in answers] == [302] * 3
    assert courier.rest(30)
    assert (dispatch.take_lost(), dispatch.take_lost()) == (3, 0)
    dispatch.give_back(2)
    assert courier.lost == 2
    assert caplog.text.count("the broker took no wake-up") == 1


def test_what_piles_up_is_lost_and_counted(courier: dispatch.Courier, settings: Any) -> None:
    with Deaf() as broker:
        settings.CELERY_BROKER_URL = broker.url("amqp")
        courier.take(range(1))
        assert broker.called.wait(30)
        courier.take(range((dispatch.KEPT + 7) * dispatch.CHUNK))
        assert courier.lost == 7
        assert courier.rest(30)
    assert courier.lost == dispatch.KEPT + 8


def test_nothing_is_answered_through_the_broker() -> None:
    """Whoever waited for an answer there would wait for a message that may be lost."""
    assert isinstance(app.backend, DisabledBackend)
    assert tasks.wake.ignore_result


@pytest.mark.parametrize("service", BROKERS, indirect=True)
def test_ids_go_out_in_chunks_and_none_is_a_message_too(
    service: Service, courier: dispatch.Courier, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = service.url
    with Connection(service.url) as connection, connection.SimpleQueue("celery") as queue:
        queue.clear()
        dispatch.wake(range(250))
        dispatch.wake()
        assert courier.rest(30)
        bodies = []
        for _ in range(4):
            message = queue.get(timeout=10)
            message.ack()
            bodies.append(message.payload[1]["ids"])
    assert (courier.lost, [len(ids) for ids in bodies]) == (0, [100, 100, 50, 0])


# Workers


@pytest.mark.parametrize(
    ("scheme", "shared_database"),
    [("amqp", "sqlite"), pytest.param("redis", "postgres", marks=pytest.mark.postgres)],
    indirect=["shared_database"],
)
def test_without_a_broker_from_the_start_everything_is_done_once(
    scheme: str, shared_database: str, tmp_path: Path
) -> None:
    estate = simulated(tmp_path)
    with worker(shared_database, nobody(scheme)):
        actions = decided(4)
        until(all_over, "nobody does what was decided")
    assert counted(estate, actions) == {"SUCCEEDED 1": 4}


@pytest.mark.long
@pytest.mark.parametrize("service", BROKERS, indirect=True)
@POSTGRES
def test_two_workers_repeated_and_shuffled_messages(
    service: Service, shared_database: str, tmp_path: Path
) -> None:
    estate = simulated(tmp_path)
    with worker(shared_database, service.url), worker(shared_database, service.url):
        actions = decided(60)
        repeat(service.url, actions)
        until(all_over)
    assert counted(estate, actions) == {"SUCCEEDED 1": 60}


def repeat(broker: str, actions: list[Action]) -> None:
    numbers = [action.pk for action in actions] * 10
    random.shuffle(numbers)
    with Celery(broker=broker) as app:
        for number in numbers:
            app.send_task("actions.wake", kwargs={"ids": [number]})


def lies(broker: str) -> None:
    """Everything that isn't the one message, in the shapes that whoever reaches the broker could send."""
    with Celery(broker=broker) as app:
        for kwargs in (
            {"ids": "nonsense", "later": {}}, {"ids": [10**30, -1, None, {"a": []}]}, {"ids": ["x" * 5_000_000]}, {},
        ):  # fmt: skip
            app.send_task("actions.wake", kwargs=kwargs)
        app.send_task("actions.wake", args=[1, 2])
        for name in (
            "actions.run",
            "os.system",
            "celery.chord_unlock",
            "celery.map",
            "celery.backend_cleanup",
        ):
            app.send_task(name, args=["id", {}], kwargs={"result": ["touch /tmp/owned"]})
    headers = {"task": "actions.wake", "id": "1"}
    forge(broker, pickle.dumps(Exploit()), content_type="application/x-python-serialize", headers=headers)
    forge(broker, b"\xff\xfe not json", content_type="application/json", headers=headers)
    forge(broker, [[], {"ids": []}, {"chain": 7}], headers=headers, serializer="json")
    forge(broker, "a word", serializer="json")
    forge(broker, {"task": ["actions.wake"], "id": {}}, serializer="json")
    # Celery's own consumer dies of this one, and so does each that it is given to after that.
    forge(broker, [[], {}, {}], headers={"task": ["actions.wake"], "id": {}}, serializer="json")


class Exploit:
    """Unpickled, it would end the worker."""

    def __reduce__(self) -> Any:
        return exit, (3,)


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("service", BROKERS, indirect=True)
def test_a_broker_may_lie_repeat_forget_and_restart(
    service: Service, shared_database: str, tmp_path: Path
) -> None:
    """One worker lives through all of it. It polls once an hour, so it must hear the true messages."""
    estate = simulated(tmp_path)
    waiting = factories.waiting_action()
    with worker(shared_database, service.url, polls_every=HOURLY) as process:
        lies(service.url)
        forge_ids(service.url, [waiting.pk])
        actions = decided(3)
        repeat(service.url, actions)
        # Again and again: whoever is told while it looks elsewhere looks once more only when it polls.
        until(lambda: forge_ids(service.url, [0]) or all_over(), "a lie has silenced the worker")

        with Celery(broker=service.url) as app:
            app.control.purge()
        service.halt(signal.SIGKILL)
        forgotten = decided(2)
        service.resume()
        until(lambda: forge_ids(service.url, [0]) or all_over(), "it doesn't hear the broker that came back")
        assert process.poll() is None
    waiting.refresh_from_db()
    assert waiting.decision == Decision.PENDING
    assert counted(estate, [*actions, *forgotten]) == {"SUCCEEDED 1": 5}


class Torn(Connection):
    """What is left of a line to Redis that was lost while several channels read and one held a message."""

    def close(self) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")


def test_a_worker_outlives_a_lost_line_that_does_not_close() -> None:
    """Celery's own consumer ends with it: kombu asks the line that is gone to take the message back."""
    with pytest.raises(AttributeError):
        lose(Torn("memory://"), consumer.Consumer)
    assert lose(Torn("memory://"), tasks.Consumer).connection is None


def lose(line: Connection, kind: type[consumer.Consumer]) -> consumer.Consumer:
    consuming = kind.__new__(kind)
    consuming.app, consuming.connection, consuming.qos_global = app, line, False
    consuming.pool, consuming.prefetch_multiplier = SimpleNamespace(num_processes=1), 1
    consuming.on_connection_error_after_connected(ConnectionResetError())
    return consuming


def forge_ids(broker: str, ids: list[int]) -> None:
    with Celery(broker=broker) as app:
        app.send_task("actions.wake", kwargs={"ids": ids})


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("pool", ["processes", pytest.param("solo", marks=pytest.mark.long)])
def test_only_pools_of_threads_are_taken(pool: str, shared_database: str, tmp_path: Path) -> None:
    estate = simulated(tmp_path)
    if pool == "solo":
        with worker(shared_database, nobody("redis"), more=["-P", pool]):
            actions = decided(1)
            until(all_over)
        assert counted(estate, actions) == {"SUCCEEDED 1": 1}
        return
    ended = subprocess.run(
        [sys.executable, "-m", "celery", *WORKER, "-P", pool],
        env=environment(shared_database, ACTIONCENTER_BROKER_URL=nobody("redis")),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "start the worker without --pool" in ended.stderr
    assert not Action.objects.exists()
