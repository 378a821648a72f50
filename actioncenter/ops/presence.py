"""A web server describes itself as the runners do: from a thread that no request waits for."""

import logging
import threading
import time
from typing import Final

from django.db import connection

from actioncenter.actions import dispatch
from actioncenter.audit.actor import Actor
from actioncenter.settings import describing

logger = logging.getLogger(__name__)
EVERY: Final = 30.0
"""Seconds."""


def begin(part: str = "web") -> None:
    threading.Thread(target=_go_on, args=(part,), name="presence", daemon=True).start()


def _go_on(part: str) -> None:
    while True:
        say(part)
        time.sleep(EVERY)


def say(part: str) -> None:
    """Never raises: a web server must answer also while its database doesn't."""
    try:
        with dispatch.losses() as lost:
            describing.describe(part, by=Actor.system(part), wakes_lost=lost)
    except Exception:
        logger.warning("the %s could not describe itself", part, exc_info=True)
    finally:
        connection.close()
