"""The simulated estate of a test, and the runner's hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from actioncenter.actions import housekeeping
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.connectors.simulator.estate import Estate

RUNNER = Actor.system("runner")


@pytest.fixture
def estate() -> Iterator[Estate]:
    """An empty estate; what an action names is made on first contact."""
    path = Path(settings.DATA_DIR) / "simulator.sqlite3"
    yield Estate(path)
    for file in path.parent.glob("simulator.sqlite3*"):
        file.unlink()


@pytest.fixture
def run(estate: Estate) -> Callable[..., None]:
    """Do what a runner would do now, then refresh the actions given."""

    def once(*actions: Action) -> None:
        loop.drain(by=RUNNER)
        housekeeping.tidy(by=RUNNER)
        loop.drain(by=RUNNER)
        for action in actions:
            action.refresh_from_db()

    return once
