"""Wake a runner after commit. Only a hint: the row is the queue, and losing this loses nothing.

A broker that is away, slow or frozen must cost a request nothing, so a thread of its own talks to it.
"""

import atexit
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from actioncenter.celery import app

logger = logging.getLogger(__name__)
CHUNK: Final = 100
KEPT: Final = 200
"""Messages that wait for the broker; what comes on top is lost, and found by polling."""
ANSWERS_WITHIN: Final = 3.0
LAST_WORDS: Final = 2.0
"""Seconds that a process which ends gives what it still has to say."""
TOLD_EVERY: Final = 60.0


def socket_path() -> Path:
    """Where the embedded runner listens for datagrams."""
    return Path(settings.DATA_DIR) / "runner.sock"


def wake(ids: Sequence[int] = ()) -> None:
    """Tell a runner that there is work; never raises, never waits."""
    if settings.CELERY_BROKER_URL:
        courier.take(ids)
    else:
        ring(ids)


def named_in(datagram: bytes) -> list[int]:
    """The ids that it names; none where it is nonsense."""
    return [int(word) for word in datagram.split() if word.isdigit()]


def ring(ids: Sequence[int] = ()) -> None:
    """Wake the runner of this data folder, which knows of no broker."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        try:
            wire.sendto(" ".join(["wake", *map(str, ids[:CHUNK])]).encode(), str(socket_path()))
        except OSError:
            logger.debug("no runner is listening; it will find the row when it polls")


class Courier:
    """Takes wake-ups to the broker in a thread that the first one starts. Safe over threads and forks."""

    def __init__(self) -> None:
        self.lost = 0
        """Messages that no broker took and nobody has counted yet."""
        self._told = -TOLD_EVERY
        self._begin()

    def _begin(self) -> None:
        self._waiting: deque[list[int]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._producer: Any = None

    def take(self, ids: Sequence[int] = ()) -> None:
        """Without ids it is one message too: there is work, whatever it is."""
        chunks = [list(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)] or [[]]
        with self._changed:
            free = KEPT - len(self._waiting)
            self._waiting.extend(chunks[:free])
            self.lost += max(len(chunks) - free, 0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def rest(self, seconds: float) -> bool:
        """Wait until everything is said or lost; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def count(self, more: int | None) -> int:
        """Add to what was lost; without a number take it all."""
        with self._changed:
            before, self.lost = self.lost, 0 if more is None else self.lost + more
        return before

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                ids, self._busy = self._waiting.popleft(), True
            try:
                self._send(ids)
            except Exception as error:  # noqa: BLE001 - any of three libraries; it must go on
                self._lose(error)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _send(self, ids: list[int]) -> None:
        """Once more on a fresh line: the old one may have been broken for hours."""
        fresh = self._producer is None
        try:
            self._publish(ids)
        except Exception:
            self._hang_up()
            if fresh:
                raise
            self._publish(ids)

    def _publish(self, ids: list[int]) -> None:
        if self._producer is None:
            self._producer = app.amqp.Producer(_line())
        app.send_task("actions.wake", kwargs={"ids": ids}, producer=self._producer, retry=False)

    def _hang_up(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.connection.release()

    def _lose(self, error: Exception) -> None:
        """Whatever waits would fare no better: say so once a minute, and don't keep it."""
        self._hang_up()
        with self._changed:
            self.lost += 1 + len(self._waiting)
            self._waiting.clear()
        if time.monotonic() - self._told >= TOLD_EVERY:
            self._told = time.monotonic()
            logger.warning(
                "the broker took no wake-up (%d lost so far); runners find the rows when they poll: %r",
                self.lost, error,
            )  # fmt: skip


def _line() -> Any:
    """A connection that gives up on a broker which doesn't answer."""
    url = settings.CELERY_BROKER_URL or ""
    redis = url.startswith("redis")
    names = ("socket_connect_timeout", "socket_timeout") if redis else ("read_timeout", "write_timeout")
    return app.connection_for_write(
        url,
        connect_timeout=ANSWERS_WITHIN,
        # Without a number it would try for ever.
        transport_options={**dict.fromkeys(names, ANSWERS_WITHIN), "max_retries": 0},
    )


courier = Courier()
os.register_at_fork(after_in_child=courier._begin)
atexit.register(courier.rest, LAST_WORDS)


def take_lost() -> int:
    """How many wake-ups no broker took since the last time somebody asked."""
    return courier.count(None)


def give_back(number: int) -> None:
    """Count them (again)."""
    courier.count(number)


@contextmanager
def losses() -> Iterator[int]:
    """What was lost since somebody asked last; counted again where whoever writes it down fails."""
    number = take_lost()
    try:
        yield number
    except Exception:
        give_back(number)
        raise
