"""The migrations of this release and those of the later one behind them. Its `migrate` freezes where it is told to."""

import os
import pkgutil
import signal
from enum import StrEnum

from actioncenter.actions import migrations

__path__ = [*migrations.__path__, *__path__]
LAST = max(module.name for module in pkgutil.iter_modules(migrations.__path__))
VARIABLE = "ACTIONCENTER_TEST_FREEZES"


class Moment(StrEnum):
    UNCOMMITTED = "uncommitted"
    """The tables are changed in a transaction that is still open."""
    HALF_FILLED = "half filled"
    """One migration is through, the next has filled in some rows, the last isn't begun."""


def reach(moment: Moment) -> None:
    if os.environ.get(VARIABLE) == moment:
        os.kill(os.getpid(), signal.SIGSTOP)
