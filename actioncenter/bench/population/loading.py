"""Many rows into one table at once. Indexes and foreign keys are taken off meanwhile and put back."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Field, JSONField, Model

LOADING_PRAGMAS: Final = (
    "foreign_keys = OFF", "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE",
    "cache_size = -400000", "temp_store = MEMORY",
)  # fmt: skip
"""Nothing is worth saving in a file that is thrown away when anything goes wrong."""

Rows = Iterator[Sequence[dict[str, Any]]]

_SQLITE_INDEXES: Final = """
    SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql IS NOT NULL ORDER BY name"""
_POSTGRES_INDEXES: Final = """
    SELECT format('%%I', indexrelid::regclass::text), pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = %s::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid
      AND contype <> 'f')
    ORDER BY 1"""
_POSTGRES_KEYS: Final = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype = 'f' ORDER BY 1"""


def load(model: type[Model], chunks: Rows, say: Callable[[int], None]) -> None:
    """Insert every dictionary; columns that they lack get the model's default. `say` hears the rows so far."""
    insert = _copy_into if connection.vendor == "postgresql" else _insert_into
    with _unguarded(model), transaction.atomic():
        insert(model, chunks, say)


def analyse() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Also marks pages as all-visible, as autovacuum would have done in time.
            cursor.execute("VACUUM (ANALYZE)")
        else:
            cursor.execute("ANALYZE")


def _insert_into(model: type[Model], chunks: Rows, say: Callable[[int], None]) -> None:
    done = 0
    with connection.cursor() as cursor:
        for chunk in chunks:
            if not done:
                names = list(chunk[0])
                sql = _insert(model, names)
                values = itemgetter(*names)
            cursor.executemany(sql, [values(row) for row in chunk])
            done += len(chunk)
            say(done)


def _insert(model: type[Model], names: Sequence[str]) -> str:
    constants = _constants(model, names)
    columns = ", ".join([*names, *(f'"{name}"' for name in constants)])
    values = ", ".join([*("%s" for _ in names), *constants.values()])
    return f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({values})"


def _copy_into(model: type[Model], chunks: Rows, say: Callable[[int], None]) -> None:
    table, done = model._meta.db_table, 0
    first = next(chunks)
    names = list(first[0])
    values = itemgetter(*names)
    constants = _constants(model, names)
    with connection.cursor() as cursor:
        # COPY takes no constants, so they are the columns' defaults as long as it lasts.
        for name, value in constants.items():
            cursor.execute(f'ALTER TABLE {table} ALTER "{name}" SET DEFAULT {value}')
        with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
            for chunk in _with_first(first, chunks):
                for row in chunk:
                    copy.write_row(values(row))
                done += len(chunk)
                say(done)
        for name in constants:
            cursor.execute(f'ALTER TABLE {table} ALTER "{name}" DROP DEFAULT')
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence(%s, 'id'), (SELECT max(id) FROM {table}))",
            [table],
        )


def _with_first(first: Sequence[dict[str, Any]], rest: Rows) -> Rows:
    yield first
    yield from rest


def _constants(model: type[Model], given: Sequence[str]) -> dict[str, str]:
    """SQL literals for the columns that no row brings."""
    return {
        field.attname: _literal(field)
        for field in model._meta.concrete_fields
        if field.attname not in given
        and not field.null
        and not field.has_db_default()
        and not field.primary_key
    }


def _literal(field: "Field[Any, Any]") -> str:
    value = field.get_default()
    if isinstance(field, JSONField):
        value = json.dumps(value)
    if isinstance(value, bool):
        return str(value).upper()
    return str(int(value)) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


@contextmanager
def _unguarded(model: type[Model]) -> Iterator[None]:
    guard = _without_postgres_guards if connection.vendor == "postgresql" else _without_sqlite_guards
    with guard(model._meta.db_table):
        yield


@contextmanager
def _without_sqlite_guards(table: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_SQLITE_INDEXES, [table])
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for pragma in LOADING_PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        yield
        for _, sql in indexes:
            cursor.execute(sql)
        cursor.execute("PRAGMA locking_mode = NORMAL")
    # The product's own pragmas, WAL among them, come back with a new connection.
    connection.close()


@contextmanager
def _without_postgres_guards(table: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRES_INDEXES, [table])
        indexes = cursor.fetchall()
        cursor.execute(_POSTGRES_KEYS, [table])
        keys = cursor.fetchall()
        for name, _ in keys:
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        yield
        for _, sql in indexes:
            cursor.execute(sql)
        for name, definition in keys:
            cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        cursor.execute("RESET maintenance_work_mem")
