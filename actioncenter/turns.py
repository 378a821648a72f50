"""Whose turn it is where one may write at a time.

SQLite gives its only write lock to whoever happens to ask, and lets those who have waited sleep longest: beside
a few who write all the time somebody who writes once waits for seconds. PostgreSQL has queues and needs none of this.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from django.db import OperationalError, connection, transaction

ASKS_EVERY: Final = 0.002
PATIENCE: Final = 20.0
"""Seconds. Whoever waits longer goes on: the turnstile is a courtesy, the database's lock is what holds."""


@contextmanager
def soon() -> Iterator[None]:
    """A transaction, begun within milliseconds of its turn. Raises OperationalError when that never comes."""
    with ExitStack() as begun:
        if _one_at_a_time():
            _begin(begun)
        else:
            begun.enter_context(transaction.atomic())
        yield


@contextmanager
def ahead() -> Iterator[None]:
    """Whoever comes to `give_way` meanwhile waits until this is over; those who are past it are few."""
    with _turnstile(fcntl.LOCK_EX):
        yield


def give_way() -> None:
    with _turnstile(fcntl.LOCK_SH):
        pass


@contextmanager
def _turnstile(how: int) -> Iterator[None]:
    with ExitStack() as held:
        # Inside a transaction we have the lock already: whoever is ahead waits for us.
        name = str(connection.settings_dict["NAME"])
        if _one_at_a_time() and Path(name).is_absolute():
            with suppress(OSError):
                _take(held, Path(f"{name}-turn"), how)
        yield


def _take(held: ExitStack, path: Path, how: int) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    held.callback(os.close, handle)
    over = time.monotonic() + PATIENCE
    while time.monotonic() < over:
        with suppress(BlockingIOError):
            fcntl.flock(handle, how | fcntl.LOCK_NB)
            return
        time.sleep(ASKS_EVERY)


def _one_at_a_time() -> bool:
    return connection.vendor == "sqlite" and not connection.in_atomic_block


def _begin(begun: ExitStack) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        [patience] = cursor.fetchone()
        over = time.monotonic() + patience / 1000
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    begun.enter_context(transaction.atomic())
                    return
                except OperationalError:
                    if time.monotonic() > over:
                        raise
                    time.sleep(ASKS_EVERY)
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")
