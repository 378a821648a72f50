"""The simulated estate of a test, and the runner's hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models.functions import Now

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import AttemptState
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Attempt
from actioncenter.audit.actor import Actor
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Device
from tests import factories
from tests.actions.real_processes import migrated_file, shared_database
from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_file", "migrated_template", "on_postgres", "shared_database"]

RUNNER = Actor.system("runner")
LONGEST_JOB = 200
"""Polls after which a job that doesn't end is a fault."""


@pytest.fixture
def estate(db: None) -> Iterator[Estate]:
    with simulated() as estate:
        yield estate


@contextmanager
def simulated() -> Iterator[Estate]:
    """An empty estate without its simulated delays; what an action names is made on first contact."""
    forget_estate()
    ConnectorInstance.objects.update(settings={"pace": 0})
    yield Estate(Path(settings.DATA_DIR) / "simulator.sqlite3")
    forget_estate()


def forget_estate() -> None:
    """Also what another test has left behind: the file outlives a test's database."""
    for file in Path(settings.DATA_DIR).glob("simulator.sqlite3*"):
        file.unlink()


@pytest.fixture
def machine() -> Device:
    return factories.device(in_group=factories.group())


@pytest.fixture
def run(estate: Estate) -> Callable[..., None]:
    return carry_out


def carry_out(*actions: Action) -> None:
    """Do what a runner would do, without its waits between polls, then refresh the actions given."""
    for _ in range(LONGEST_JOB):
        loop.drain(by=RUNNER)
        polling = Attempt.objects.filter(ended_at=None, state=AttemptState.POLLING)
        if not polling.update(next_poll_at=Now()):
            break
    housekeeping.tidy(by=RUNNER)
    loop.drain(by=RUNNER)
    for action in actions:
        action.refresh_from_db()
