"""Workers and runners in processes of their own, ended when they aren't needed any more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from django.conf import settings

from actioncenter.actions.models import RunnerBeat
from actioncenter.bench import ordinary as peer
from actioncenter.bench import stamps
from actioncenter.bench.processes import family, memory_of

RUNNER: Final = """
import django; django.setup()
import actioncenter.bench.watched
from django.core.management import call_command
call_command("runner")
"""
GRACE: Final = 30


class Process:
    """Its memory is measured while it works."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self.popen = popen

    def memory(self) -> int:
        return memory_of(list(family(self.popen.pid)))


@contextmanager
def worker(threads: int) -> Iterator[Process]:
    """The product's: a runner with so many threads."""
    with _running(_celery("actioncenter", threads, "threads")) as process:
        _until_heard(process)
        yield process


@contextmanager
def ordinary(number: int, pool: str) -> Iterator[Process]:
    """The peer's, of Celery's pools `threads` and `prefork`."""
    with _running(_celery("actioncenter.bench.ordinary", number, pool)) as process:
        peer.told.delay(ids=[0])
        stamps.wait_for(lambda found: any(each.what == "heard" for each in found))
        stamps.forget()
        yield process


@contextmanager
def runner() -> Iterator[Process]:
    """The embedded one, as `manage.py up` starts it."""
    with _running([sys.executable, "-c", RUNNER]) as process:
        _until_heard(process)
        yield process


def _celery(app: str, number: int, pool: str) -> list[str]:
    arguments = ["-A", app, "worker", "-c", str(number), "-P", pool, "-l", "ERROR"]
    return [sys.executable, "-m", "celery", *arguments]


@contextmanager
def _running(command: Sequence[str]) -> Iterator[Process]:
    with _log().open("ab") as log:
        popen = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=settings.BASE_DIR,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        yield Process(popen)
    finally:
        popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            popen.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def _until_heard(process: Process) -> None:
    def heard(_: object) -> bool:
        if process.popen.poll() is not None:
            raise RuntimeError(f"A worker broke:\n{_log().read_text()[-2000:]}")
        return RunnerBeat.objects.filter(name__endswith=f":{process.popen.pid}").exists()

    stamps.wait_for(heard, every=0.1)


def _log() -> Path:
    return Path(settings.DATA_DIR) / "processes.log"
