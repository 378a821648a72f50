"""Places in a runner's work where a test lets it die or freeze. Off, and refused, outside tests.

The variable says what happens, where, and at which time of coming there: `kill:marked`, `freeze:answered:3`.
"""

import signal
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from actioncenter import environment

VARIABLE: Final = "ACTIONCENTER_FAILPOINT"
SIGNALS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


class Point(StrEnum):
    """In the order in which an attempt comes to them; the last three again at each poll."""

    CLAIMED = "claimed"
    """The claim is committed."""
    UNMARKED = "unmarked"
    """Judged again, the intent mark is the next thing."""
    MARKED = "marked"
    """The intent is written down, nothing is sent yet."""
    ANSWERED = "answered"
    """The far side has answered, nothing is recorded yet."""
    RECORDED = "recorded"


@dataclass
class Order:
    point: Point
    number: signal.Signals
    countdown: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        with self.lock:
            self.countdown -= 1
            is_now = self.countdown == 0
        if is_now:
            # To this very thread: one sent to the process is taken by the main thread, and this one runs on.
            signal.pthread_kill(threading.get_ident(), self.number)


_order: Order | None = None


def reach(point: Point) -> None:
    if _order is not None and _order.point is point:
        _order.strike()


def arm(text: str) -> None:
    """Raises ImproperlyConfigured where this is no test."""
    global _order
    if not getattr(settings, "FAILPOINTS", False):
        raise ImproperlyConfigured(f"{VARIABLE} would kill this runner. It is for tests only: unset it.")
    what, point, *count = text.split(":")
    _order = Order(Point(point), SIGNALS[what], int(count[0]) if count else 1)


if told := environment.text(VARIABLE):
    arm(told)
