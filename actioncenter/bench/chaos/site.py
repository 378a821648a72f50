"""A scaled installation on this machine: two web servers and two workers, each restarted when it ends."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from django.conf import settings

from actioncenter.estate.services import free_port
from actioncenter.ops.supervisor import GRACE, Child

INTO_LOG: Final = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1']
PATIENCE: Final = 60.0
"""Seconds until everything must answer."""


class Site:
    """`ports` are those of its web servers."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "site.log"
        self.ports = [free_port(), free_port()]
        self.webs = [self._child(f"web {at}", web_command(port)) for at, port in enumerate(self.ports)]
        self.workers = [self._child(f"worker {at}", worker_command()) for at in range(2)]
        self._stopping = threading.Event()

    @property
    def children(self) -> Sequence[Child]:
        return [*self.webs, *self.workers]

    def processes(self) -> Mapping[str, int]:
        """By name; what is being restarted is left out."""
        running = ((child.name, child.process) for child in self.children)
        return {name: process.pid for name, process in running if process is not None}

    def kill_worker(self, at: int) -> None:
        """As a machine does that runs out of memory: at once, with everything it started."""
        self.workers[at % len(self.workers)].signal_group(signal.SIGKILL)

    @contextmanager
    def running(self) -> Iterator[None]:
        keeper = threading.Thread(target=self._keep, name="keeper")
        keeper.start()
        try:
            self._wait_for_pages()
            yield
        finally:
            self._stopping.set()
            keeper.join()

    def _child(self, name: str, command: Sequence[str]) -> Child:
        return Child(name, [*INTO_LOG, str(self.log), *command])

    def _keep(self) -> None:
        # The thread that starts them stays as long as they live: Linux ends them with it.
        while not self._stopping.wait(0.2):
            for child in self.children:
                child.tend(_nobody)
        for child in self.children:
            child.signal_group(signal.SIGTERM)
        over = time.monotonic() + GRACE
        while any(child.is_running() for child in self.children) and time.monotonic() < over:
            time.sleep(0.05)
        for child in self.children:
            child.signal_group(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()

    def _wait_for_pages(self) -> None:
        over = time.monotonic() + PATIENCE
        while not all(map(_answers, self.ports)):
            if time.monotonic() > over:
                raise RuntimeError(f"The web servers don't answer:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)


def web_command(port: int) -> list[str]:
    flags = {
        "--interface": "wsgi", "--host": "127.0.0.1", "--port": str(port), "--workers": "1",
        "--blocking-threads": "4", "--log-level": "warning", "--working-dir": str(settings.BASE_DIR),
    }  # fmt: skip
    pairs = [part for pair in flags.items() for part in pair]
    return [*_in_product(), "-m", "granian", "--no-ws", *pairs, "actioncenter.wsgi:application"]


def worker_command() -> list[str]:
    return [*_in_product(), "-m", "celery", "-A", "actioncenter", "worker", "-c", "8", "-l", "WARNING"]


def _in_product() -> list[str]:
    """Not the settings of the benchmark: no peers stand beside it here."""
    return ["/usr/bin/env", "DJANGO_SETTINGS_MODULE=actioncenter.conf", sys.executable]


def _answers(port: int) -> bool:
    line = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", "/")
        return line.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def _nobody(said: str) -> None:
    return None
