"""Django's SQLite, but for how a locked database is waited for.

SQLite lets whoever has waited longest sleep longest, up to a tenth of a second, and gives its lock to whoever asks at
the right moment: beside the sixteen threads of a runner somebody else waited in vain for twenty seconds. Here
everybody asks again every two milliseconds, and of a process only one thread at a time, so that many threads
have no more turns than one.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.db.backends.sqlite3 import base

ASKS_EVERY: Final = 0.002
"""Seconds."""

_gates: dict[str, threading.Lock] = {}
"""By file. One thread of this process asks for the lock at a time; the others wait for that one."""
# A child must not inherit a gate that some other thread of its parent was in.
os.register_at_fork(after_in_child=_gates.clear)


class Connection(sqlite3.Connection):
    patience: float = 0.0
    """Seconds that a locked database is waited for."""
    name: str = ""


class Cursor(base.SQLiteCursorWrapper):
    connection: Connection

    def execute(self, query: str, params: Any = None) -> Any:
        """Raises sqlite3.OperationalError, *database is locked*, when patience is over."""
        # Whoever wants to write goes behind those of this process who wait for that already.
        if not (query.startswith("BEGIN") and self._gate().locked()):
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                if not self._may_ask_again(error):
                    raise
        return self._ask_again(lambda: super(Cursor, self).execute(query, params))

    def _may_ask_again(self, error: sqlite3.OperationalError) -> bool:
        # Within a transaction the lock is ours; whatever is busy then won't be helped by waiting.
        # What Python itself complains of has no code.
        is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        return is_busy and not self.connection.in_transaction

    def _gate(self) -> threading.Lock:
        return _gates.setdefault(self.connection.name, threading.Lock())

    def _ask_again(self, ask: Callable[[], Any]) -> Any:
        over = time.monotonic() + self.connection.patience
        gate = self._gate()
        is_first = gate.acquire(timeout=self.connection.patience)
        try:
            while True:
                try:
                    return ask()
                except sqlite3.OperationalError as error:
                    if time.monotonic() > over or not self._may_ask_again(error):
                        raise
                time.sleep(ASKS_EVERY)
        finally:
            if is_first:
                gate.release()


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "factory": Connection}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        made: Connection = super().get_new_connection(conn_params)
        made.patience, made.name = conn_params["timeout"], str(conn_params["database"])
        # What comes to a cursor is waited for there.
        made.execute("PRAGMA busy_timeout = 0")
        return made

    def create_cursor(self, name: str | None = None) -> Cursor:
        made: Cursor = self.connection.cursor(factory=Cursor)
        return made
