"""Two copies of every duty, one frozen past its lease and woken again: each is done once."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import Error, OperationalError, ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping
from actioncenter.actions.models import Action, Duty, RunnerBeat
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import PATIENCE, environment, until


def expired() -> Callable[[], int]:
    for action in factories.waiting_actions(2):
        Action.objects.filter(pk=action.pk).update(expires_at=Now() - timedelta(seconds=1))
    return lambda: Event.objects.filter(kind="action.expired").count()


def silent() -> Callable[[], int]:
    factories.person("noa")
    for name in ("gone:1", "gone:2"):
        RunnerBeat.objects.create(name=name, host="gone", seen_at=Now() - timedelta(minutes=1))
    return lambda: Notice.objects.filter(kind="runner.silent").count()


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["waiting", "do"])
def test_one_that_breaks_holds_up_no_other(place: str) -> None:
    done: list[str] = []

    def breaks(*_: object) -> Any:
        done.append("broke")
        raise ZeroDivisionError

    sound = housekeeping.Chore("sound", 0.0, lambda: True, lambda by: len(done.append("done") or []))
    housekeeping.run_due(by=RUNNER, chores=[replace(sound, name="broken", **{place: breaks}), sound])
    assert done == ["broke", "done"]


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
def test_without_its_database_the_first_one_has_said_enough(error: type[Error]) -> None:
    """Away, or of another release while an update is under way."""

    def away() -> bool:
        raise error("the server closed the connection, or a column is not there")

    MigrationRecorder(connection).record_applied("actions", "9999_from_the_future")
    with pytest.raises(error):
        housekeeping.run_due(by=RUNNER, chores=[housekeeping.Chore("trial", 0.0, away, lambda by: 0)])


WORK: dict[str, Callable[[], Callable[[], int]]] = {"expire": expired, "silent_runners": silent}


def frozen_copy(url: str, name: str, place: str) -> "subprocess.Popen[bytes]":
    """A process that takes the duty and freezes."""
    start = "import django; django.setup(); from tests.faults.frozen_duty import main; main()"
    spec = json.dumps([name, place, 0.5])
    return subprocess.Popen([sys.executable, "-c", start, spec], env=environment(url), cwd=settings.BASE_DIR)


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("place", ["taken", "about to write"])
@pytest.mark.parametrize("name", WORK)
@pytest.mark.sampled(3)
def test_it_is_done_once(shared_database: str, name: str, place: str) -> None:
    told = WORK[name]()
    chore = next(chore for chore in housekeeping.CHORES if chore.name == name)
    process = frozen_copy(shared_database, name, place)
    try:
        until(lambda: status_of(process.pid) == "T" or process.poll() is not None, "it never froze")
        assert process.returncode is None, "it ended before it froze"
        until(lambda: Duty.objects.filter(name=name, lease_until__lte=Now()).exists(), "its lease never ends")
        housekeeping.run_due(by=RUNNER, chores=[chore])
        assert told() == 2
        taken = Duty.objects.get(name=name)
        assert (taken.token, taken.lease_until) == (2, None)
        # As if it were held once more, by a third.
        Duty.objects.filter(name=name).update(token=3, lease_until=Now() + timedelta(hours=1))
    finally:
        process.send_signal(signal.SIGCONT)
        process.wait(PATIENCE)
    assert process.returncode == 0
    assert told() == 2
    after = Duty.objects.get(name=name)
    assert (after.token, after.done_at) == (3, taken.done_at)
    assert after.lease_until is not None, "the woken one gave away what it no longer held"
