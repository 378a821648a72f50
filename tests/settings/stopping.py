"""What tests of stops share: the stop file, which must not outlive a test, and short names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import stop_file as path_of_stop_file
from tests import factories

STOP, PAUSE = StopKind.STOP, StopKind.PAUSE
ALL, CONNECTOR, GROUP, TYPE, INVESTIGATION = StopScope


def pull(
    kind: StopKind = STOP, scope: StopScope = ALL, value: int | None = None, *, who: str = "noa"
) -> Stop:
    return Stop.pull(kind, scope, value, by=factories.person(who).actor(), reason="Looking into it")


@pytest.fixture
def stop_file() -> Iterator[Path]:
    """Where the stop file would be; there is none before and after."""
    path = path_of_stop_file()
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)
