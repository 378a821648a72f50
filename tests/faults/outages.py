"""What the suites of outages share: workers, brokers that are no help, and the count that must come out."""

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.estate.services import free_port
from tests.actions.stopping import PATIENCE, beat_of, environment, until
from tests.faults.harness import effects

BROKERS = [
    pytest.param("redis_service", marks=pytest.mark.redis, id="redis"),
    pytest.param("rabbitmq_service", marks=pytest.mark.rabbitmq, id="rabbitmq"),
]
START = """
import sys, django
django.setup()
from actioncenter.actions.execution import loop
loop.POLL_SECONDS = float(sys.argv.pop(1))
from celery.__main__ import main
main()
"""
WORKER = ("-A", "actioncenter", "worker", "-c", "4", "-l", "ERROR")


@contextmanager
def worker(
    url: str, broker: str, *, polls_every: float = 0.2, more: Sequence[str] = (), **env: str
) -> "Iterator[subprocess.Popen[bytes]]":
    """A real worker that has been heard of once; ended in good order unless it is gone already."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(polls_every), *WORKER, *more],
        env=environment(url, ACTIONCENTER_BROKER_URL=broker, **env),
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: beat_of(process) or process.poll() is not None, "the worker was never heard of")
        assert process.returncode is None, "the worker broke"
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def all_over() -> bool:
    open_ones = [Execution.QUEUED, Execution.IN_PROGRESS]
    return not (
        Action.objects.filter(execution__in=open_ones).exists()
        or Attempt.objects.filter(ended_at__isnull=True).exists()
    )


def counted(estate: Estate, actions: Sequence[Action]) -> Counter[str]:
    """How the actions ended and how often their targets were acted on: what an outage must not change."""
    done = effects(estate)
    found: Counter[str] = Counter()
    for action in Action.objects.filter(pk__in=[action.pk for action in actions]):
        times = sum(done[str(target.pk)] for target in action.targets.all())
        found[f"{Execution(action.execution).name} {times}"] += 1
    return found


def nobody(scheme: str) -> str:
    """The address of a broker that isn't there."""
    return f"{scheme}://127.0.0.1:{free_port()}/"


class Deaf:
    """Takes connections and never says a word, as a machine does whose broker hangs."""

    def __init__(self) -> None:
        self.wire = socket.create_server(("127.0.0.1", 0))
        self.called = threading.Event()
        self.held: list[socket.socket] = []
        self.thread = threading.Thread(target=self._take, daemon=True)

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.wire.getsockname()[1]}/"

    def _take(self) -> None:
        while True:
            try:
                caller, _ = self.wire.accept()
            except OSError:
                return
            self.held.append(caller)
            self.called.set()

    def __enter__(self) -> "Deaf":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.wire.shutdown(socket.SHUT_RDWR)
        self.wire.close()
        self.thread.join()
        for caller in self.held:
            caller.close()


def forge(broker: str, body: Any, **properties: Any) -> None:
    """Put anything into the workers' queue."""
    with Connection(broker) as connection:
        producer = connection.Producer()
        producer.publish(body, routing_key="celery", exchange="", **properties)
