"""What a process may not do to its own SQLite file: there are no roles, so each connection holds itself back.

Only for processes that begin with it: web server, runner, worker; there retention lets go for itself. It stops what a hole in them could send
to the database, not other code and not other programs over the same file; seals and copies answer those.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from actioncenter.audit import triggers

REFUSED: Final = frozenset(
    getattr(sqlite3, f"SQLITE_{name}")
    for name in (
        "CREATE_INDEX", "CREATE_TABLE", "CREATE_TEMP_INDEX", "CREATE_TEMP_TABLE", "CREATE_TEMP_TRIGGER",
        "CREATE_TEMP_VIEW", "CREATE_TRIGGER", "CREATE_VIEW", "CREATE_VTABLE", "DROP_INDEX", "DROP_TABLE",
        "DROP_TEMP_INDEX", "DROP_TEMP_TABLE", "DROP_TEMP_TRIGGER", "DROP_TEMP_VIEW", "DROP_TRIGGER", "DROP_VIEW",
        "DROP_VTABLE", "ALTER_TABLE", "ATTACH", "DETACH", "REINDEX",
    )
)  # fmt: skip
PRAGMAS: Final = frozenset(
    {
        "busy_timeout", "foreign_key_check", "foreign_key_list", "foreign_keys", "index_info", "index_list",
        "index_xinfo", "synchronous", "table_info", "table_list", "table_xinfo",
    }
)  # fmt: skip
"""Those that Django and the product use. Others can make the tables' definitions writable."""
_CHANGES: Final = frozenset({sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})

_BEGUN: Final = threading.Event()


def begin() -> None:
    """From now on every connection of this process to SQLite refuses to touch definitions and guarded rows."""
    _BEGUN.set()
    connection_created.connect(_on_connection, dispatch_uid=__name__)
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            hold_back(connection)


@contextmanager
def let_go(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Until the end this one connection may change guarded rows, as far as their triggers let it: for retention."""
    if connection.vendor != "sqlite" or not _BEGUN.is_set():
        yield
        return
    connection.ensure_connection()
    connection.connection.set_authorizer(None)
    try:
        yield
    finally:
        hold_back(connection)


def _on_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A signal, because only Django knows when a thread makes a connection."""
    hold_back(connection)


def hold_back(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "sqlite":
        # Not the tables of definitions: SQLite itself asks for them when a connection first uses json_each, and
        # for anybody else they are read-only without a pragma.
        guarded = triggers.guarded()

        def judge(code: int, subject: str | None, *_: str | None) -> int:
            """Asked once for every table and column of a statement that is new to the connection."""
            if code in _CHANGES:
                refused = subject in guarded
            elif code == sqlite3.SQLITE_PRAGMA:
                refused = subject not in PRAGMAS
            else:
                refused = code in REFUSED
            return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

        connection.connection.set_authorizer(judge)
