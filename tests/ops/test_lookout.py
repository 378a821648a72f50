"""The admins hear of a frozen runner also where no other runner is left to tell them."""

import os
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions.execution import watching
from actioncenter.actions.execution.beating import host_of
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.models import RunnerBeat
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
