"""What makes tables append-only in the database itself: the log, and what others ask to be guarded so.

On SQLite a rebuilt table (any AlterField) loses its triggers without a word, so they are made
again after every migration and `require` refuses to start without them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connection as default_connection
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE: Final = "audit_event"
PURGES: Final = "audit_purge"
REDACTIONS: Final = "audit_redaction"
XID: Final = "pg_current_xact_id()::text::bigint"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A table whose rows are only ever added. `places` are keys that a row takes for good, as conditions."""

    table: str
    what: str
    places: Sequence[str]
    gone: str | Mapping[str, str] = ""
    """Where a row may be deleted after all, as a condition on OLD (of each vendor where they differ).

    Of the log a record in `PURGES` must say so. Whoever writes such a record by hand opens the way, and leaves
    one that isn't signed (audit/purges.py).
    """
    changed: str = ""
    """Where a row may be changed after all, as a condition on OLD and NEW: a record in `REDACTIONS` must say so."""
    stamps: str = ""
    """A column that PostgreSQL fills in itself, whatever an INSERT says: with the id of its transaction."""

    @property
    def refusal(self) -> str:
        return f"{self.what} is append-only"

    @property
    def functions(self) -> Sequence[str]:
        """Of PostgreSQL, which the triggers call."""
        return [f"{self.table}_refuse", *([f"{self.table}_stamp"] if self.stamps else [])]

    def statements(self, vendor: str) -> Mapping[str, str]:
        return self._sqlite() if vendor == "sqlite" else self._postgresql()

    def _gone(self, vendor: str) -> str:
        return self.gone if isinstance(self.gone, str) else self.gone[vendor]

    def _sqlite(self) -> Mapping[str, str]:
        abort = f"BEGIN SELECT RAISE(ABORT, '{self.refusal}'); END"
        gone = self._gone("sqlite")
        unless = f"WHEN NOT ({gone}) " if gone else ""
        but = f"WHEN NOT ({self.changed}) " if self.changed else ""
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {self.table} AS old WHERE {place})"  # noqa: S608 - constants
            for place in ("old.id = NEW.id", *self.places)
        )
        return {
            f"{self.table}_no_update": f"CREATE TRIGGER {self.table}_no_update BEFORE UPDATE ON {self.table} {but}{abort}",
            f"{self.table}_no_delete": f"CREATE TRIGGER {self.table}_no_delete BEFORE DELETE ON {self.table} {unless}{abort}",
            # REPLACE deletes the row in its way without firing the delete trigger.
            f"{self.table}_no_replace": (
                f"CREATE TRIGGER {self.table}_no_replace BEFORE INSERT ON {self.table} WHEN {taken} {abort}"
            ),
        }

    def _postgresql(self) -> Mapping[str, str]:
        refuse = f"EXECUTE FUNCTION {self.table}_refuse()"
        stamp = {
            # Not for those who leave it to the database: a call for each event would cost more than this look.
            f"{self.table}_stamp": (
                f"CREATE TRIGGER {self.table}_stamp BEFORE INSERT ON {self.table} FOR EACH ROW"
                f" WHEN (NEW.{self.stamps} IS DISTINCT FROM {XID}) EXECUTE FUNCTION {self.table}_stamp()"
            )
        }
        return (stamp if self.stamps else {}) | {
            f"{self.table}_no_change": (
                f"CREATE TRIGGER {self.table}_no_change BEFORE UPDATE OR DELETE ON {self.table}"
                f" FOR EACH ROW {refuse}"
            ),
            f"{self.table}_no_truncate": (
                f"CREATE TRIGGER {self.table}_no_truncate BEFORE TRUNCATE ON {self.table}"
                f" FOR EACH STATEMENT {refuse}"
            ),
        }

    def bodies(self) -> Iterator[str]:
        """Definitions of `functions`."""
        yield f"""
            CREATE OR REPLACE FUNCTION {self.table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN
                IF TG_OP = 'DELETE' THEN
                    IF {self._gone("postgresql") or "false"} THEN RETURN OLD; END IF;
                ELSIF TG_OP = 'UPDATE' THEN
                    IF {self.changed or "false"} THEN RETURN NEW; END IF;
                END IF;
                RAISE EXCEPTION '{self.refusal}' USING ERRCODE = 'integrity_constraint_violation'; END $$"""
        if self.stamps:
            yield f"""
            CREATE OR REPLACE FUNCTION {self.table}_stamp() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.{self.stamps} := {XID}; RETURN NEW; END $$"""


_STAYS: Final = (
    "id", "stream", "seq", "xid", "at", "kind", "actor", "actor_name", "actor_via", "subject", "area", "group_id",
    "request_id", "chain",
)  # fmt: skip
_IS_SAID: Final = ("subject_name", "before", "after", "detail", "canonical")
_REDACTED: Final = (
    f"EXISTS (SELECT 1 FROM {REDACTIONS} AS said WHERE said.event = OLD.id"  # noqa: S608 - constants
    f" AND said.number = (SELECT max(number) FROM {REDACTIONS} WHERE event = OLD.id) AND "
    + " AND ".join(
        [f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _STAYS]
        + [f"NEW.{name} IS NOT DISTINCT FROM said.{name}" for name in _IS_SAID]
    )
    + ")"
)
"""The row becomes what the newest redaction of it says, and nothing else of it changes."""
_GUARDED: Final = [
    Guarded(
        TABLE,
        "the audit log",
        ("old.stream = NEW.stream AND old.seq = NEW.seq",),
        f"EXISTS (SELECT 1 FROM {PURGES} WHERE last_event >= OLD.id)",  # noqa: S608 - constants
        _REDACTED,
        stamps="xid",
    ),
    Guarded(
        "audit_seal",
        "what seals the audit log",
        ("old.number = NEW.number",),
        f"EXISTS (SELECT 1 FROM {PURGES} WHERE last_seal >= OLD.number)",  # noqa: S608 - constants
    ),
    Guarded(PURGES, "what says how the audit log was cut", ("old.number = NEW.number",)),
    Guarded(
        REDACTIONS,
        "what says how the audit log was redacted",
        ("old.number = NEW.number",),
        f"EXISTS (SELECT 1 FROM {PURGES} WHERE last_event >= OLD.event)",  # noqa: S608 - constants
    ),
]


def guard(table: Guarded) -> None:
    """Have another table guarded from now on; an app says so when it is ready."""
    if table not in _GUARDED:
        _GUARDED.append(table)


def guarded() -> frozenset[str]:
    """The tables whose rows are only ever added."""
    return frozenset(table.table for table in _GUARDED)


def functions() -> frozenset[str]:
    """Of PostgreSQL, that keep them so."""
    return frozenset(name for table in _GUARDED for name in table.functions)


_COLUMNS: Final = re.compile(r"\b(?:OLD|NEW|old)\.(\w+)")
_FIND: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
    # 'O' and 'A': fires in a normal session; 'D' is disabled, 'R' only fires on a replica.
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A')",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Make what is missing. Only the tables' owner can."""
    with transaction.atomic(using=connection.alias):
        for table in _present(connection):
            _install(_by_columns(table, connection), connection)


def renew(connection: BaseDatabaseWrapper) -> None:
    """Make all anew, as they are written here now."""
    with transaction.atomic(using=connection.alias):
        remove(connection)
        install(connection)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Let the tables be changed: for a flush between tests, or to make the triggers anew."""
    with connection.cursor() as cursor:
        for table in _present(connection):
            on_table = f" ON {table.table}" if connection.vendor == "postgresql" else ""
            for name in table.statements(connection.vendor):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of triggers that should guard the tables and don't."""
    return [name for table in _present(connection) for name in _absent(table, connection)]


def require() -> None:
    """Refuse to start on a log or on votes that could be rewritten.

    Raises:
        ImproperlyConfigured: triggers are missing.
    """
    if absent := missing(default_connection):
        raise ImproperlyConfigured(
            f"What must be append-only isn't protected: {', '.join(absent)} missing."
            " Run `manage.py migrate`, then start again."
        )


def _present(connection: BaseDatabaseWrapper) -> list[Guarded]:
    """Tables that exist: the first migrations run while others don't yet. The log always counts."""
    tables = set(connection.introspection.table_names())
    found = [table for table in _GUARDED if table.table == TABLE or table.table in tables]
    without = {
        name: "" for name, needed in (("gone", PURGES), ("changed", REDACTIONS)) if needed not in tables
    }
    return [replace(table, **without) for table in found]


def _by_columns(table: Guarded, connection: BaseDatabaseWrapper) -> Guarded:
    """Without what asks for columns that come with a later migration: SQLite would refuse to alter any table then."""
    if connection.vendor != "sqlite":
        return table
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table.table)
    there = {column.name for column in described}

    def fits(condition: str) -> bool:
        return there.issuperset(_COLUMNS.findall(condition))

    return replace(
        table,
        places=tuple(filter(fits, table.places)),
        gone=table.gone if fits(table._gone(connection.vendor)) else "",
        changed=table.changed if fits(table.changed) else "",
    )


def _install(table: Guarded, connection: BaseDatabaseWrapper) -> None:
    absent = [*_absent(table, connection), *_others(table, connection)]
    if not absent:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for body in table.bodies():
                cursor.execute(body)
        for name in absent:
            # One that is there but disabled counts as missing.
            on_table = f" ON {table.table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")
            cursor.execute(table.statements(connection.vendor)[name])


def _absent(table: Guarded, connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor], [table.table])
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in table.statements(connection.vendor) if name not in present]


def _others(table: Guarded, connection: BaseDatabaseWrapper) -> list[str]:
    """Those of SQLite that are there and say something else: what they ask for may have come since."""
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there = dict(cursor.fetchall())
    return [name for name, text in table.statements("sqlite").items() if there.get(name, text) != text]
