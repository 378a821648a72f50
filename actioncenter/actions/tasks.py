"""Celery's part: a runner within each worker, and the message that wakes it.

Losing, doubling or forging a message changes nothing: the row decides, and the runner polls too. So
the runner starts beside the pool and not behind the broker's connection, which may never come.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from celery import bootsteps, shared_task
from celery.worker import consumer
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection

from actioncenter.actions import housekeeping
from actioncenter.actions.execution.loop import Runner
from actioncenter.audit import authorizer, roles
from actioncenter.audit.actor import Actor
from actioncenter.celery import app

logger = logging.getLogger(__name__)
POOLS: Final = frozenset({"celery.concurrency.thread", "celery.concurrency.solo"})


class Worker:
    """A runner with its beats and its housekeeping, in threads of a Celery worker."""

    def __init__(self, threads: int) -> None:
        self._bell = threading.Event()
        self._by = Actor.system("worker")
        self._runner = Runner(by=self._by, threads=threads, bell=self._bell)
        self._thread = threading.Thread(target=self._work, name="runner")

    def start(self) -> None:
        _working.append(self)
        self._thread.start()

    def wake(self, ids: object) -> None:
        self._runner.hint(ids)
        self._bell.set()

    def stop(self) -> None:
        """Returns when what is under way has ended."""
        self._runner.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        try:
            with housekeeping.beside(self._runner.stopping, by=self._by):
                self._runner.run()
        finally:
            connection.close()


_working: list[Worker] = []
"""The one of this process, if it is a worker."""


@shared_task(name="actions.wake", ignore_result=True)  # type: ignore[untyped-decorator]
def wake(*, ids: Sequence[int] = (), **_later: object) -> None:
    """`ids` only says where somebody thinks that there is work."""
    for worker in _working:
        worker.wake(ids)


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's own one dies of some messages, and gives them to the next worker that comes."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Kombu can break on closing a line to Redis that is gone with a message, and the worker would end."""
        try:
            super().on_connection_error_after_connected(exc)
        except Exception as error:  # noqa: BLE001 - the line is given up whatever it says
            logger.warning("the lost line to the broker didn't close: %r", error)
        self.connection = None

    def create_task_handler(self, *args: Any, **more: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **more)

        def on_task_received(message: Any) -> None:
            if not _is_ours(message):
                self._refuse(message, "it is no wake-up")
                return
            try:
                handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a lie leads to
                self._refuse(message, error)

        return on_task_received

    def _refuse(self, message: Any, why: object) -> None:
        logger.warning("a message was refused: %s", why)
        message.reject_log_error(logger, self.connection_errors)


def _is_ours(message: Any) -> bool:
    """What waits for a moment would pile up in memory; ours never do."""
    headers = message.headers
    return isinstance(headers, dict) and headers.get("task") == wake.name and not headers.get("eta")


class Step(bootsteps.StartStopStep):  # type: ignore[misc]
    """Begins with the worker and ends with it, whether or not a broker can be reached."""

    label = "Runner"
    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        if parent.pool_cls.__module__ not in POOLS:
            raise SystemExit(
                "Actions are carried out in threads: start the worker without --pool, or with --pool threads."
            )
        _refuse_a_role_that_could_rewrite()
        authorizer.begin()
        _know_one_task_only()

    def create(self, parent: Any) -> Worker:
        return Worker(parent.concurrency)


def _refuse_a_role_that_could_rewrite() -> None:
    """While the database is away nobody can tell; the runner asks again before it begins anything."""
    try:
        roles.require()
    except ImproperlyConfigured as refused:
        raise SystemExit(str(refused)) from refused
    except Error as away:
        logger.warning("the database can't be asked yet: %s", away)
    finally:
        connection.close()


def _know_one_task_only() -> None:
    """Whoever can write to the broker gets nothing to play with but the bell."""
    for name in set(app.tasks) - {wake.name}:
        app.tasks.unregister(name)


app.steps["worker"].add(Step)
