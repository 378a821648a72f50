"""Whose turn it is where one may write at a time.

On SQLite everybody has the same chance at the only write lock (`actioncenter.sqlite`). Whoever changes policy must not
wait for all who want to decide, so they give way. PostgreSQL has queues and needs none of this.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from django.db import Error, connection

from actioncenter.sqlite.base import ASKS_EVERY, Connection

PATIENCE: Final = 20.0
"""Seconds. Whoever waits longer goes on: the turnstile is a courtesy, the database's lock is what holds."""


@contextmanager
def impatient(seconds: float) -> Iterator[None]:
    """Wait so long at most for whoever holds what is wanted; after it as before. Raises OperationalError."""
    before = _patience()
    be_patient(seconds)
    try:
        yield
    finally:
        # A connection that was lost meanwhile is replaced by one with its own patience.
        with suppress(Error):
            be_patient(before)


def be_patient(seconds: float) -> None:
    """From now on, for this connection."""
    if connection.vendor == "sqlite":
        _raw().patience = seconds
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])


def _patience() -> float:
    if connection.vendor == "sqlite":
        return _raw().patience
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'")
        return int(cursor.fetchone()[0]) / 1000


def _raw() -> Connection:
    connection.ensure_connection()
    raw: Connection = connection.connection
    return raw


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
