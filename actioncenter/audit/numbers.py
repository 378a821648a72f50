"""The numbers that tables give their rows, and how they jump over those that a restored database forgot."""

import re
from collections.abc import Mapping
from typing import Final

from django.db import connection

SLACK: Final = 1000
"""Left free above what is known: another host may have seen more."""
_TABLE: Final = re.compile(r"[a-z][a-z0-9_]*")
_READ: Final = {
    "sqlite": "SELECT name, seq FROM sqlite_sequence",
    "postgresql": (
        "SELECT regexp_replace(sequencename, '_id_seq$', ''), last_value FROM pg_sequences"
        " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
    ),
}


def given() -> dict[str, int]:
    """Table -> the highest number it has given. On PostgreSQL also to rows that were rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(_READ[connection.vendor])
        return {str(table): int(number) for table, number in cursor.fetchall() if _ours(table)}


def _ours(table: str) -> bool:
    return not table.startswith(("django_", "sqlite_"))


def floors(numbers: Mapping[str, int]) -> dict[str, int]:
    """Where each table goes on: in the next round thousand that leaves SLACK."""
    return {table: (number // SLACK + 2) * SLACK for table, number in numbers.items()}


def jump(to: Mapping[str, int]) -> None:
    """Give higher numbers from now on; never lower ones. In the caller's transaction on SQLite."""
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table, floor in sorted(to.items()):
            if not _TABLE.fullmatch(table) or table not in tables:
                continue
            if connection.vendor == "sqlite":
                cursor.execute(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT %s, 0"
                    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = %s)",
                    [table, table],
                )
                cursor.execute(
                    "UPDATE sqlite_sequence SET seq = %s WHERE name = %s AND seq < %s", [floor, table, floor]
                )
            else:
                cursor.execute(
                    "SELECT setval(%s, %s) FROM pg_sequences WHERE schemaname = current_schema()"
                    " AND sequencename = %s AND coalesce(last_value, 0) < %s",
                    [f"{table}_id_seq", floor, f"{table}_id_seq", floor],
                )
