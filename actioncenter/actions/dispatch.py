"""Wake a runner after commit. Only a hint: the row is the queue, and losing this loses nothing."""

import logging
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from actioncenter.celery import app

logger = logging.getLogger(__name__)
CHUNK = 100


def socket_path() -> Path:
    """Where the embedded runner listens for datagrams."""
    return Path(settings.DATA_DIR) / "runner.sock"


def wake(ids: Sequence[int] = ()) -> None:
    """Tell a runner that there is work; never raises, never waits."""
    if settings.CELERY_BROKER_URL:
        _send(ids)
    else:
        _datagram()


def _datagram() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        try:
            wire.sendto(b"wake", str(socket_path()))
        except OSError:
            logger.debug("no runner is listening; it will find the row when it polls")


def _send(ids: Sequence[int]) -> None:
    for start in range(0, len(ids), CHUNK):
        try:
            app.send_task("actions.wake", kwargs={"ids": list(ids[start : start + CHUNK])}, retry=False)
        except Exception:
            give_back(1)
            logger.warning("the broker did not take a wake-up", exc_info=True)


_lost = 0
_counting = threading.Lock()


def take_lost() -> int:
    """How many wake-ups the broker didn't take since the last time somebody asked."""
    global _lost
    with _counting:
        number, _lost = _lost, 0
    return number


def give_back(number: int) -> None:
    """Count them (again)."""
    global _lost
    with _counting:
        _lost += number
