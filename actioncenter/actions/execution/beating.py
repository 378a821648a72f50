"""A runner's sign of life, and how it acknowledges what was stopped: from a thread of its own.

Nothing that a runner works on may keep it from being heard, and an idle one must not keep the
database busy: it looks twice a second and writes one row once a second.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from django.db import Error, connection, transaction
from django.db.models.functions import Now

from actioncenter import schema
from actioncenter.actions.execution.holding import Pulse
from actioncenter.actions.models import RunnerBeat
from actioncenter.audit import log, roles, triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import Stop

logger = logging.getLogger(__name__)
LOOK_EVERY: Final = 0.5
WRITE_EVERY: Final = 1.0
EXAMINE_EVERY: Final = 3.0


class Beats:
    """The beats of one runner. `in_flight` tells how much it is working on."""

    def __init__(self, name: str, pulse: Pulse, in_flight: Callable[[], int]) -> None:
        self.name = name
        self.pulse = pulse
        self.in_flight = in_flight
        self.acknowledged = -1
        self.said = ""
        self.written = 0.0
        self.examined = -EXAMINE_EVERY

    def examine(self) -> None:
        """Now and then: does it know this database, and can't the log be rewritten? Raises django.db.Error."""
        if time.monotonic() - self.examined < EXAMINE_EVERY:
            return
        self.examined = time.monotonic()
        absent = triggers.missing(connection)
        rewritable = f"Missing in the database: {', '.join(absent)}." if absent else roles.trouble()
        found = schema.unknown() or rewritable
        if found != self.pulse.unfit:
            logger.log(
                logging.ERROR if found else logging.WARNING,
                "%s begins nothing: %s" if found else "%s goes on%s", self.name, found,
            )  # fmt: skip
            self.pulse.unfit = found

    def beat(self) -> None:
        """Look what is stopped; write when that has changed or the last beat is old. Raises django.db.Error."""
        now = time.monotonic()
        stops = list(Stop.objects.in_force().order_by("pk").values_list("pk", flat=True))
        newest, unfit = max(stops, default=0), self.pulse.unfit
        unchanged = (newest, unfit) == (self.acknowledged, self.said)
        if unchanged and now - self.written < WRITE_EVERY:
            return
        with transaction.atomic():
            self._write(newest, unfit)
            for number in stops:
                if number > self.acknowledged >= 0:
                    self._note(number)
        self.acknowledged, self.said, self.written = newest, unfit, now
        self.pulse.heard(now)

    def _write(self, newest: int, unfit: str) -> None:
        state: dict[str, object] = {
            "seen_at": Now(), "in_flight": self.in_flight(), "acknowledged": newest,
            "alarmed_at": None, "ended_at": None, "unfit": unfit[:500],
        }  # fmt: skip
        if newest != self.acknowledged:
            state["acknowledged_at"] = Now()
        row = RunnerBeat.objects.filter(name=self.name)
        if self.acknowledged < 0:
            # A runner of an earlier life had the same name, where numbers of processes come again.
            state["started_at"] = Now()
        if not row.update(**state):
            RunnerBeat.objects.create(name=self.name, host=host_of(self.name), acknowledged=newest)

    def _note(self, number: int) -> None:
        log.record(
            Kind.SWITCH_ACKNOWLEDGED, by=Actor.system("runner"), subject=f"stop:{number}",
            detail={"runner": self.name, "in_flight": self.in_flight()},
        )  # fmt: skip

    def run_until(self, ended: threading.Event) -> None:
        """Beat; while the database can't be written, keep trying."""
        try:
            while True:
                try:
                    self.examine()
                    self.beat()
                except Error as error:
                    logger.warning("the beat of %s could not be written: %s", self.name, error)
                    connection.close()
                if ended.wait(LOOK_EVERY):
                    break
            self._say_goodbye()
        finally:
            connection.close()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(Error):
            RunnerBeat.objects.filter(name=self.name).update(ended_at=Now(), in_flight=0)


@contextlib.contextmanager
def beats(name: str, pulse: Pulse, in_flight: Callable[[], int]) -> Iterator[None]:
    """Let a runner be heard as long as the block lasts."""
    ended = threading.Event()
    ours = Beats(name, pulse, in_flight)
    with contextlib.suppress(Error):
        # Before anything is begun.
        ours.examine()
        bury_the_dead(name)
    thread = threading.Thread(target=ours.run_until, args=(ended,), name="beats")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bury_the_dead(name: str, *, unheard_for: timedelta = timedelta()) -> None:
    """Runners that were killed on this machine say no goodbye; somebody else there says it for them.

    If one lives after all, in a container of its own, its next beat takes this back.
    """
    present = RunnerBeat.objects.filter(ended_at__isnull=True, seen_at__lte=Now() - unheard_for)
    same_host = present.filter(host=host_of(name)).exclude(name=name)
    dead = [other for other in same_host.values_list("name", flat=True) if not _is_alive(other)]
    RunnerBeat.objects.filter(name__in=dead).update(ended_at=Now(), in_flight=0)


def host_of(name: str) -> str:
    return name.rpartition(":")[0]


def _is_alive(name: str) -> bool:
    try:
        os.kill(int(name.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True
