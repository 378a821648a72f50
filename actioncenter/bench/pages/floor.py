"""The least a page of rows can cost: one prepared statement, text put together in Python, no framework."""

import sqlite3
from collections.abc import Sequence
from html import escape
from typing import Any, Final, Protocol, Self

import psycopg
from django.conf import settings
from django.db import connection

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.queries import PAGE_SIZE, Tab

COLUMNS: Final = """id, type, target_name, on_name, decision, execution, decided_by_name, source, reason_code,
    verdict, group_name, CAST(created_at AS text), CAST(expires_at AS text), CAST(history_at AS text),
    CAST(read_back_at AS text), undo_of_id, undone_by_id"""
STATEMENTS: Final = {
    Tab.PENDING: f"""SELECT {COLUMNS} FROM actions_action AS a
        WHERE decision = {Decision.PENDING.value} AND history_at IS NULL AND expires_at > {{now}}
        ORDER BY a.expires_at, id LIMIT {PAGE_SIZE + 1}""",
    Tab.HISTORY: f"""SELECT {COLUMNS} FROM actions_action AS a
        WHERE history_at IS NOT NULL ORDER BY a.history_at DESC, id DESC LIMIT {PAGE_SIZE + 1}""",
}  # fmt: skip
ROW: Final = "<tr id=%s>" + "<td>%s</td>" * 16 + "</tr>"


class RawConnection(Protocol):
    def execute(self, query: Any) -> Any: ...

    def close(self) -> None: ...


class Floor:
    def __init__(self, raw: RawConnection, now: str, backend: Sequence[int]) -> None:
        self.raw, self.backend = raw, backend
        self.statements = {tab: statement.format(now=now) for tab, statement in STATEMENTS.items()}

    @classmethod
    def connect(cls) -> Self:
        """A connection of its own beside Django's; `backend` holds the process id on PostgreSQL."""
        if connection.vendor == "sqlite":
            now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
            return cls(sqlite3.connect(settings.DATABASES["default"]["NAME"]), now, [])
        # The second execution of a statement and all later ones are prepared.
        raw: psycopg.Connection[Any] = psycopg.connect(
            **{**connection.get_connection_params(), "cursor_factory": psycopg.Cursor, "autocommit": True,
               "prepare_threshold": 1, "context": None}
        )  # fmt: skip
        return cls(raw, "now()", [raw.info.backend_pid])

    def page(self, tab: Tab) -> str:
        rows = self.raw.execute(self.statements[tab]).fetchall()
        return "".join([ROW % tuple(_cell(value) for value in _shown(row)) for row in rows])


def _shown(row: Sequence[Any]) -> Sequence[Any]:
    return row[0], CATALOGUE[ActionType(row[1])].short, *row[2:]


def _cell(value: Any) -> str:
    return escape(value) if isinstance(value, str) else "" if value is None else str(value)
