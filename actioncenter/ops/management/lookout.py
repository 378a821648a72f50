"""Who looks after the only runner: one that is frozen can't say so itself."""

import time
from collections.abc import Callable
from typing import Final

from django.db import Error, connection

from actioncenter.actions.execution import beating, watching
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.queries import runners
from actioncenter.audit.actor import Actor

EVERY: Final = 5.0
"""Seconds between two looks."""


class Lookout:
    """Called often; tells the admins of a runner that is silent at two looks in a row.

    At one look alone every runner seems silent on a machine that has just woken up.
    """

    def __init__(self, say: Callable[[str], None], every: float = EVERY) -> None:
        self.say, self.every = say, every
        self.next_look = 0.0
        self.suspects: set[str] = set()

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + self.every
        try:
            self._look()
        except Error as error:
            self.say(f"Whether the runner is silent could not be read: {error}")
        finally:
            connection.close()

    def _look(self) -> None:
        if watching.unalarmed().exists():
            beating.bury_the_dead(runner_name(), unheard_for=runners.SILENT_AFTER)
        silent = set(watching.unalarmed().values_list("name", flat=True))
        if silent & self.suspects:
            watching.raise_alarms(Actor.system("up"))
        self.suspects = silent
