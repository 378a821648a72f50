"""Statements that would rewrite what is append-only, as the process that runs the product might send them.

The study of threats that this follows counted 22 on PostgreSQL and 14 on SQLite and named some of them; the
lists are ours, and longer. Each is tried on each table; none may succeed but a plain insert.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from actioncenter.audit import authorizer, triggers
from actioncenter.estate.services import Postgres
from tests.services.database import connect

Statements = Mapping[str, Sequence[str]]


ID: Final = "id"


@dataclass(frozen=True)
class Table:
    name: str
    text: str
    """A column with a text in it."""
    key: str
    """What may be there once: in the log of views nothing but the id."""
    another: Mapping[str, str]
    """Column -> what makes a second row of the first."""


_TOLD: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "audit_event": ("actor_name", "stream, seq", {"seq": "seq + 1000"}),
    "audit_seal": ("signature", "number", {"number": "number + 1000"}),
    "audit_purge": ("signature", "number", {"number": "number + 1000"}),
    "audit_redaction": ("signature", "number", {"number": "number + 1000"}),
    "actions_vote": (
        "comment", "action_id, revision, user_ref, coalesce(plan_id, 0)", {"user_ref": "'user:' || id + 1000"},
    ),
    "auditor_pageview": ("actor_name", ID, {}),
}  # fmt: skip
TABLES: Final = tuple(Table(name, *_TOLD[name]) for name in sorted(triggers.guarded()))
"""All that the product guards: one that isn't told of above can't be forgotten."""
EVENT: Final = next(table for table in TABLES if table.name == triggers.TABLE)
REFUSED: Final = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.IntegrityConstraintViolation,  # by a trigger
    psycopg.errors.UndefinedObject,  # a trigger that a test has taken off
)
REFUSED_IN_WORDS: Final = ("not authorized", "append-only", "no such trigger")
"""Of SQLite, in the same order."""
PLAIN: Final = ["INSERT INTO {t} ({columns}) SELECT {another} FROM {t} ORDER BY id LIMIT 1"]
EVERYWHERE: Final[Statements] = {
    "UPDATE": ["UPDATE {t} SET {c} = 'x'"],
    "UPDATE that changes nothing": ["UPDATE {t} SET {c} = {c}"],
    "DELETE": ["DELETE FROM {t}"],
    "DELETE that says what it took": ["DELETE FROM {t} RETURNING *"],
    "upsert": [
        "INSERT INTO {t} ({keyed}) SELECT {keyed} FROM {t} WHERE true ON CONFLICT ({key}) DO UPDATE SET {c} = 'x'"
    ],
    "DROP TABLE": ["DROP TABLE {t}"],
    "RENAME": ["ALTER TABLE {t} RENAME TO gone"],
    "RENAME COLUMN": ["ALTER TABLE {t} RENAME COLUMN {c} TO gone"],
    "a temporary table in front": ["CREATE TEMP TABLE {t} AS SELECT * FROM {t}"],
}
ON_POSTGRESQL: Final[Statements] = {
    **EVERYWHERE,
    "UPDATE at a cursor": [
        "DECLARE here CURSOR FOR SELECT * FROM {t}",
        "FETCH here",
        "UPDATE {t} SET {c} = 'x' WHERE CURRENT OF here",
    ],
    "DELETE in a CTE": ["WITH gone AS (DELETE FROM {t} RETURNING 1) SELECT * FROM gone"],
    "DELETE in a block": ["DO $$ BEGIN EXECUTE 'DELETE FROM {t}'; END $$"],
    "MERGE": ["MERGE INTO {t} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE"],
    "TRUNCATE": ["TRUNCATE {t}"],
    "TRUNCATE CASCADE": ["TRUNCATE {t} RESTART IDENTITY CASCADE"],
    "INSERT of a chosen id": [
        "INSERT INTO {t} (id, {columns}) OVERRIDING SYSTEM VALUE SELECT 0, {another} FROM {t} LIMIT 1"
    ],
    "COPY FROM with chosen ids": ["COPY {t} (id, {columns}) FROM STDIN"],
    "COPY FROM a program": ["COPY {t} FROM PROGRAM 'true'"],
    "a file written by lo_export": ["SELECT lo_create(7)", "SELECT lo_export(7, 'exported')"],
    "DISABLE TRIGGER": ["ALTER TABLE {t} DISABLE TRIGGER ALL"],
    "DROP TRIGGER": ["DROP TRIGGER {t}_no_change ON {t}"],
    "CREATE TRIGGER": [
        "CREATE TRIGGER later AFTER INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_refuse()",
    ],
    "CREATE OR REPLACE FUNCTION": [
        "CREATE OR REPLACE FUNCTION {t}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    ],
    "DROP FUNCTION": ["DROP FUNCTION {t}_refuse CASCADE"],
    "CREATE RULE": ["CREATE RULE nothing AS ON INSERT TO {t} DO INSTEAD NOTHING"],
    "ALTER COLUMN with an expression": ["ALTER TABLE {t} ALTER COLUMN {c} TYPE text USING 'x'"],
    "rows from another table": ["CREATE TABLE forged () INHERITS ({t})"],
    "a foreign key that holds": ["CREATE TABLE other (row bigint REFERENCES {t} ON DELETE CASCADE)"],
    "rows hidden by a policy": ["ALTER TABLE {t} ENABLE ROW LEVEL SECURITY"],
    "session_replication_role": ["SET session_replication_role = replica"],
    "catalogue": ["UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '{t}'::regclass"],
    "SET ROLE": ["SET ROLE {owner}"],
    "SET SESSION AUTHORIZATION": ["SET SESSION AUTHORIZATION {owner}"],
    "OWNER TO": ["ALTER TABLE {t} OWNER TO CURRENT_USER"],
    "GRANT to itself": ["GRANT ALL ON {t} TO CURRENT_USER", "DELETE FROM {t}"],
    "GRANT of the owner": ["GRANT {owner} TO CURRENT_USER"],
    "superuser by ALTER ROLE": ["ALTER ROLE CURRENT_USER BYPASSRLS CREATEROLE"],
    "a schema in front": ["CREATE SCHEMA {runtime}"],
}
ON_SQLITE: Final[Statements] = {
    **EVERYWHERE,
    "UPDATE OR REPLACE": ["UPDATE OR REPLACE {t} SET {c} = 'x'"],
    "INSERT OR REPLACE by id": ["INSERT OR REPLACE INTO {t} (id, {columns}) SELECT id, {columns} FROM {t}"],
    "REPLACE by key": ["REPLACE INTO {t} ({keyed}) SELECT {keyed} FROM {t}"],
    "DROP TRIGGER": ["DROP TRIGGER {t}_no_delete"],
    "CREATE TRIGGER": ["CREATE TRIGGER none BEFORE INSERT ON {t} BEGIN SELECT RAISE(IGNORE); END"],
    "CREATE TEMP TRIGGER": ["CREATE TEMP TRIGGER none BEFORE INSERT ON main.{t} BEGIN SELECT RAISE(IGNORE); END"],
    "DROP COLUMN": ["ALTER TABLE {t} DROP COLUMN {c}"],
    "rebuilt table": ["CREATE TABLE new AS SELECT * FROM {t}", "DROP TABLE {t}", "ALTER TABLE new RENAME TO {t}"],
    "writable_schema": ["PRAGMA writable_schema = ON", "DELETE FROM sqlite_master WHERE type = 'trigger'"],
    "the file itself attached": ["ATTACH '{file}' AS again", "DROP TRIGGER IF EXISTS again.{t}_no_delete"],
}  # fmt: skip


def succeeded(url: str, table: Table, *, held_back: bool = True) -> list[str]:
    """Which statements succeed there, each undone. On SQLite in a connection that holds itself back or not."""
    if urlsplit(url).scheme == "sqlite":
        return [name for name, each in ON_SQLITE.items() if _on_a_copy(url, table, each, held_back)]
    return [name for name, each in ON_POSTGRESQL.items() if _taken_back(url, table, each)]


def takes_a_plain_insert(url: str, table: Table) -> bool:
    if urlsplit(url).scheme == "sqlite":
        return _on_a_copy(url, table, PLAIN, held_back=True)
    return _taken_back(url, table, PLAIN)


_RECORD: Final = (
    "INSERT INTO audit_redaction (number, at, event, stream, actor, subject_name, before, after, detail, canonical, text, digest, key_id,"
    " signature) SELECT 1, at, id, stream, actor, 'x', before, after, detail, 'x', 'x', 'x', 'x', 'x' FROM {t} ORDER BY id LIMIT 1"
)
_ROW: Final = "UPDATE {{t}} SET subject_name = 'x', canonical = '{}' WHERE id = (SELECT min(id) FROM {{t}})"
BY_HAND: Final = (_RECORD, _ROW.format("x"))
"""A record that lets go of a row, and the row."""
MORE_BY_HAND: Final = (_RECORD, _ROW.format("y"))


def redacts_by_hand(url: str, statements: Sequence[str] = BY_HAND, *, held_back: bool = True) -> bool:
    if urlsplit(url).scheme == "sqlite":
        return _on_a_copy(url, EVENT, statements, held_back)
    return _taken_back(url, EVENT, statements)


def _taken_back(url: str, table: Table, statements: Sequence[str]) -> bool:
    with psycopg.connect(url) as server:
        try:
            with server.transaction(force_rollback=True), server.cursor() as cursor:
                for text in _filled_in(statements, table):
                    if text.endswith("STDIN"):
                        with cursor.copy(text):
                            pass
                    else:
                        cursor.execute(text)
        except REFUSED:
            return False
    return True


def _on_a_copy(url: str, table: Table, statements: Sequence[str], held_back: bool) -> bool:
    with _copy(Path(urlsplit(url).path[1:]), held_back) as (file, there):
        before = there.execute(f"SELECT * FROM {table.name}").fetchall()
        try:
            for text in _filled_in(statements, table, file=file):
                there.execute(text)
        except sqlite3.DatabaseError as error:
            refused = str(error)
        else:
            return True
        if not held_back:
            return False
        assert any(words in refused for words in REFUSED_IN_WORDS), refused
        assert there.execute(f"SELECT * FROM {table.name}").fetchall() == before
        return False


@contextmanager
def _copy(path: Path, held_back: bool) -> Iterator[tuple[Path, Any]]:
    copy = path.with_name("attempt.sqlite3")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    wrapper = connect(f"sqlite:///{copy}")
    wrapper.ensure_connection()
    if held_back:
        authorizer.hold_back(wrapper)
    try:
        yield copy, wrapper.connection
    finally:
        wrapper.close()
        for left in path.parent.glob("attempt.sqlite3*"):
            left.unlink()


def _filled_in(statements: Sequence[str], table: Table, *, file: Path | str = "") -> Iterator[str]:
    """With the columns that the default connection knows, which is to the same database."""
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table.name)
    names = [column.name for column in described if column.name != ID]
    keyed = [ID, *names] if table.key == ID else names
    words = {
        "t": table.name, "c": table.text, "key": table.key, "file": file,
        "columns": ", ".join(names), "keyed": ", ".join(keyed), "another": ", ".join(table.another.get(name, name) for name in names),
        "owner": Postgres.owner, "runtime": Postgres.runtime,
    }  # fmt: skip
    for text in statements:
        yield text.format(**words)
