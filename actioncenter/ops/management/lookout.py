"""Who looks after the only runner: one that is frozen can't say so itself, nor mail that somebody else did."""

import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import Error, connection

from actioncenter.actions import housekeeping
from actioncenter.actions.execution import beating, watching
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.queries import runners
from actioncenter.audit.actor import Actor

BY: Final = Actor.system("up")
EVERY: Final = 5.0
"""Seconds between two looks."""


class Lookout:
    """Called often; tells the admins of a runner that is silent at two looks in a row, and mails what no runner does.

    At one look alone every runner seems silent on a machine that has just woken up.
    """

    def __init__(self, say: Callable[[str], None], every: float = EVERY) -> None:
        self.say, self.every = say, every
        self.next_look = 0.0
        self.suspects: set[str] = set()
        self.was_alone = False
        self.mailing: threading.Thread | None = None

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
            watching.raise_alarms(BY)
        self.suspects = silent
        alone = not runners.heard().exists()
        if alone and self.was_alone:
            self._mail()
        self.was_alone = alone

    def _mail(self) -> None:
        """In a thread: a slow mail server must hold up neither the looks nor a restart."""
        if self.mailing is None or not self.mailing.is_alive():
            self.mailing = threading.Thread(target=self._deliver, name="mail", daemon=True)
            self.mailing.start()

    def _deliver(self) -> None:
        """As a runner does, under the same duty: whichever has it, nobody else sends."""
        try:
            housekeeping.run_due(by=BY, chores=housekeeping.OUTWARD)
        except Error as error:
            self.say(f"Mail could not be sent: {error}")
        finally:
            connection.close()
