"""Two copies of every duty, one frozen past its lease and woken again: each is done once."""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping
from actioncenter.actions.models import Action, Duty, RunnerBeat
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import until


def expired() -> Callable[[], int]:
    for action in factories.waiting_actions(2):
        Action.objects.filter(pk=action.pk).update(expires_at=Now() - timedelta(seconds=1))
    return lambda: Event.objects.filter(kind="action.expired").count()


def silent() -> Callable[[], int]:
    factories.person("noa")
    for name in ("gone:1", "gone:2"):
        RunnerBeat.objects.create(name=name, host="gone", seen_at=Now() - timedelta(minutes=1))
    return lambda: Notice.objects.filter(kind="runner.silent").count()


WORK: dict[str, Callable[[], Callable[[], int]]] = {"expire": expired, "silent_runners": silent}


def frozen_copy(chore: housekeeping.Chore, place: str) -> int:
    """A process that takes the duty and freezes; returns its number."""
    connection.close()
    pid = os.fork()
    if pid:
        return pid
    try:
        housekeeping.LEASE = timedelta(seconds=0.5)
        begin = chore.do

        def do(by: Actor) -> int:
            if place == "taken":
                os.kill(os.getpid(), signal.SIGSTOP)
            else:
                freeze_before_writing()
            return begin(by)

        housekeeping.run_due(by=Actor.system("frozen"), chores=[replace(chore, do=do)])
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


def freeze_before_writing() -> None:
    """It has read what there is to do. Inside a transaction it would hold locks, which is another matter."""
    enter = transaction.Atomic.__enter__
    frozen: list[bool] = []

    def entering(atomic: Any) -> Any:
        if not frozen and not connection.in_atomic_block:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return enter(atomic)

    transaction.Atomic.__enter__ = entering  # type: ignore[method-assign]


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("place", ["taken", "about to write"])
@pytest.mark.parametrize("name", WORK)
def test_it_is_done_once(shared_database: str, name: str, place: str) -> None:
    told = WORK[name]()
    chore = next(chore for chore in housekeeping.CHORES if chore.name == name)
    pid = frozen_copy(chore, place)
    try:
        until(lambda: status_of(pid) == "T", "it never froze")
        until(lambda: Duty.objects.filter(name=name, lease_until__lte=Now()).exists(), "its lease never ends")
        housekeeping.run_due(by=RUNNER, chores=[chore])
        assert told() == 2
        taken = Duty.objects.get(name=name)
        assert (taken.token, taken.lease_until) == (2, None)
        # As if it were held once more, by a third.
        Duty.objects.filter(name=name).update(token=3, lease_until=Now() + timedelta(hours=1))
    finally:
        os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert told() == 2
    after = Duty.objects.get(name=name)
    assert (after.token, after.done_at) == (3, taken.done_at)
    assert after.lease_until is not None, "the woken one gave away what it no longer held"
