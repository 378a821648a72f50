"""Wake a runner after commit. Only a hint: the row is the queue, and losing this loses nothing."""

import logging
import socket
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
        _datagram(ids)


def named_in(datagram: bytes) -> list[int]:
    """The ids that it names; none where it is nonsense."""
    return [int(word) for word in datagram.split() if word.isdigit()]


def _datagram(ids: Sequence[int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        try:
            wire.sendto(" ".join(["wake", *map(str, ids[:CHUNK])]).encode(), str(socket_path()))
        except OSError:
            logger.debug("no runner is listening; it will find the row when it polls")


def _send(ids: Sequence[int]) -> None:
    for start in range(0, len(ids), CHUNK):
        try:
            app.send_task("actions.wake", kwargs={"ids": list(ids[start : start + CHUNK])}, retry=False)
        except Exception:
            logger.warning("the broker did not take a wake-up", exc_info=True)
