"""The admins hear of a frozen runner also where no other runner is left to tell them."""

import os
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import OperationalError, connection
from django.db.models.functions import Now

from actioncenter.accounts import mail as accounts_mail
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.accounts.notices import notify
from actioncenter.actions.execution import watching
from actioncenter.actions.execution.beating import host_of
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.models import Duty, RunnerBeat
from actioncenter.audit.actor import Actor
from actioncenter.ops.management.lookout import Lookout
from tests import factories

# Transactions of its own: each look closes its connection.
pytestmark = pytest.mark.django_db(transaction=True)


def beat(pid: int, *, seconds: int) -> RunnerBeat:
    """Of a runner on this machine, last heard of so long ago."""
    host = host_of(runner_name())
    row = RunnerBeat.objects.create(name=f"{host}:{pid}", host=host)
    RunnerBeat.objects.update(seen_at=Now() - timedelta(seconds=seconds))
    return row


def told() -> list[str]:
    return list(Notice.objects.filter(kind="runner.silent").values_list("user__username", flat=True))


@pytest.fixture
def look() -> Lookout:
    factories.person("noa")
    return Lookout(lambda _: None, every=0.0)


def test_a_frozen_runner_is_told_of_once(look: Lookout) -> None:
    beat(os.getppid(), seconds=60)
    look()
    assert told() == []
    for _ in range(3):
        look()
    assert told() == ["noa"]


@pytest.mark.parametrize("then", ["heard again", "killed"])
def test_who_comes_back_or_is_dead_is_not(look: Lookout, then: str) -> None:
    row = beat(os.getppid(), seconds=60)
    look()
    if then == "heard again":
        RunnerBeat.objects.update(seen_at=Now())
    else:
        # No process has a number as large as that.
        RunnerBeat.objects.filter(pk=row.pk).update(name=f"{row.host}:{2**30}")
    look()
    look()
    assert told() == []


@pytest.fixture
def mailed(settings: Any, look: Lookout) -> list[EmailMessage]:
    """What left the house. Noa has an address."""
    settings.MAIL_ON = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    User.objects.filter(username="noa").update(email="noa@halden.example")
    outbox: list[EmailMessage] = mail.outbox
    return outbox


def sent(look: Lookout) -> None:
    """Wait for the thread that it began, if it began one."""
    if look.mailing is not None:
        look.mailing.join()


def test_a_frozen_runner_is_mailed_about_once(look: Lookout, mailed: list[EmailMessage]) -> None:
    """The runner would mail it, and it is the one that is frozen."""
    beat(os.getppid(), seconds=60)
    for _ in range(4):
        look()
        sent(look)
        Duty.objects.update(next_at=Now())
    (message,) = mailed
    assert message.to == ["noa@halden.example"]
    assert "has not been heard of" in message.subject
    assert Notice.objects.get(kind="runner.silent").mailed_at is not None


def test_a_runner_that_is_heard_mails_by_itself(look: Lookout, mailed: list[EmailMessage]) -> None:
    silent = beat(os.getppid(), seconds=60)
    RunnerBeat.objects.create(name=f"{silent.host}:{os.getpid()}", host=silent.host)
    for _ in range(4):
        look()
    assert look.mailing is None
    assert told() == ["noa"]


def test_what_waits_is_mailed_also_where_no_runner_is_left(look: Lookout, mailed: list[EmailMessage]) -> None:
    """It ended, or never began: what pages told of would wait for it."""
    notify(User.objects.filter(username="noa"), "x", title="A level was raised", severity=Severity.WARNING)
    look()
    assert look.mailing is None
    look()
    sent(look)
    assert len(mailed) == 1


def test_several_at_once_send_a_mail_once(look: Lookout, mailed: list[EmailMessage]) -> None:
    """The runner that wakes up right then among them."""
    notify(User.objects.filter(username="noa"), "x", title="A level was raised", severity=Severity.WARNING)
    start = threading.Barrier(4)

    def deliver() -> None:
        start.wait()
        look._deliver()

    def wake_up() -> None:
        start.wait()
        try:
            accounts_mail.deliver(Actor.system("runner"))
        finally:
            connection.close()

    threads = [threading.Thread(target=each) for each in (deliver, deliver, wake_up, wake_up)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailed) == 1


def test_a_slow_mail_server_holds_up_no_look(
    look: Lookout, mailed: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, called = threading.Event(), list[int]()

    def wait(message: EmailMessage) -> None:
        called.append(1)
        answers.wait()

    monkeypatch.setattr(accounts_mail, "_send", wait)
    beat(os.getppid(), seconds=60)
    for _ in range(5):
        look()
    answers.set()
    sent(look)
    assert called == [1]
    assert told() == ["noa"]


def test_it_does_not_look_more_often_than_it_should(look: Lookout) -> None:
    beat(os.getppid(), seconds=60)
    look.every = 600.0
    for _ in range(3):
        look()
    assert told() == []


def test_a_database_that_can_not_be_read_ends_nothing(look: Lookout, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fail() -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(watching, "unalarmed", fail)
    look.say = said.append
    look()
    assert said == ["Whether the runner is silent could not be read: database is locked"]
