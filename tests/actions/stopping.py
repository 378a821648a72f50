"""Starting real runners and commands, and waiting for what they do."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from actioncenter.actions.execution import jobs
from actioncenter.actions.models import Action, RunnerBeat
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER
from tests.impatience import TookTooLong
from tests.services.database import owner_of

PATIENCE = 60.0
"""Seconds after which a machine, however busy, has failed."""


def until(true: Callable[[], Any], what: str = "it never came true", *, patience: float = PATIENCE) -> Any:
    """Its first true value; looked at again and again, because it happens in another process."""
    over = time.monotonic() + patience
    while not (value := true()):
        if time.monotonic() >= over:
            raise TookTooLong(what)
        time.sleep(0.02)
    return value


def environment(url: str, **more: str) -> dict[str, str]:
    ours = {
        "ACTIONCENTER_DATABASE_URL": url,
        "ACTIONCENTER_DATABASE_OWNER_URL": owner_of(url),
        "ACTIONCENTER_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "tests.conf",
    }
    return {**os.environ, **ours, **more}


@contextmanager
def runner(
    url: str, *, freeze: str = "", tidy: bool = True, plant: str = ""
) -> "Iterator[subprocess.Popen[bytes]]":
    """A runner in a process of its own, heard of once; ended in good order unless it is gone already."""
    start = "import django; django.setup(); from tests.actions.stop_runners import main; main()"
    spec = json.dumps({"freeze": freeze, "tidy": tidy, "plant": plant})
    process = subprocess.Popen(
        [sys.executable, "-c", start, spec], env=environment(url), cwd=settings.BASE_DIR
    )
    try:
        until(lambda: freeze or beat_of(process) or process.poll() is not None)
        assert process.returncode is None, "the runner broke"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.wait(PATIENCE)


@contextmanager
def worker(url: str, **more: str) -> "Iterator[subprocess.Popen[bytes]]":
    """`manage.py runner` as it is started for real, with all its threads."""
    start = "from actioncenter.ops import commandline; commandline.run(['manage.py', 'runner'])"
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        env=environment(url, **more),
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.wait(PATIENCE)


def beat_of(process: "subprocess.Popen[bytes]") -> RunnerBeat | None:
    return RunnerBeat.objects.filter(name__endswith=f":{process.pid}").first()


def is_frozen(process: "subprocess.Popen[bytes]") -> bool:
    """Once it is; False when it has ended instead."""
    now = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return now is not None and now.si_code == os.CLD_STOPPED


def acknowledged(process: "subprocess.Popen[bytes]", stop: int) -> bool:
    beat = beat_of(process)
    return beat is not None and beat.acknowledged >= stop and beat.alarmed_at is None


def command(url: str, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """`manage.py` with these words, in a process of its own."""
    start = f"from actioncenter.ops import commandline; commandline.run(['manage.py', *{list(words)!r}])"
    return subprocess.run(
        [sys.executable, "-c", start],
        env=environment(url, **more),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def simulated(folder: Path, *, slow: float = 0.0, **options: Any) -> Estate:
    """An estate in a file of its own, which runners in other processes use too."""
    path = folder / "estate.sqlite3"
    ConnectorInstance.objects.update(settings={"path": str(path), "pace": 0, **options})
    estate = Estate(path)
    if slow:
        estate.behave("slow", slow)
    return estate


def decided(number: int) -> list[Action]:
    """Approved quarantines of as many files."""
    mira = factories.person("mira").actor()
    return [action.approve(by=mira) for action in factories.waiting_actions(number)]


def decided_cluster(messages: int) -> Action:
    """An approved clean-up of as many messages, its plan read."""
    action = factories.waiting_mail_action(messages=messages)
    while job := jobs.claim_next():
        jobs.work(job, by=RUNNER)
    action.refresh_from_db()
    return action.approve(by=factories.person("aiko").actor())


def moments(estate: Estate) -> list[float]:
    """When something was really done, in seconds since the epoch."""
    with sqlite3.connect(estate.path, timeout=30) as sql:
        has_any = sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'effects'").fetchone()
        found = [row[0] for row in sql.execute("SELECT at FROM effects ORDER BY id")] if has_any else []
    sql.close()
    return found
