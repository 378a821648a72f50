"""Celery's part: a runner within each worker, and the message that wakes it.

Losing, doubling or forging a message changes nothing: the row decides, and the runner polls too.
"""

import threading
from collections.abc import Sequence
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from django.db import connection

from actioncenter.actions import housekeeping
from actioncenter.actions.execution.loop import Runner
from actioncenter.audit import triggers
from actioncenter.audit.actor import Actor


class Worker:
    """A runner with its beats and its housekeeping, in threads of a Celery worker."""

    def __init__(self, threads: int) -> None:
        self._bell = threading.Event()
        self._by = Actor.system("worker")
        self._runner = Runner(by=self._by, threads=threads, bell=self._bell)
        self._thread = threading.Thread(target=self._work, name="runner")

    def start(self) -> None:
        self._thread.start()

    def wake(self, ids: object) -> None:
        self._runner.hint(ids)
        self._bell.set()

    def stop(self) -> None:
        """Returns when what is under way has ended."""
        self._runner.stop()
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


@worker_ready.connect  # type: ignore[untyped-decorator]
def begin(sender: Any, **_more: object) -> None:
    triggers.require()
    worker = Worker(sender.controller.concurrency)
    _working.append(worker)
    worker.start()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def end(**_more: object) -> None:
    while _working:
        _working.pop().stop()
