"""What makes tables append-only in the database itself: the log, and what others ask to be guarded so.

On SQLite a rebuilt table (any AlterField) loses its triggers without a word, so they are made
again after every migration and `require` refuses to start without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connection as default_connection
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE: Final = "audit_event"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A table whose rows are only ever added. `places` are keys that a row takes for good, as conditions."""

    table: str
    what: str
    places: Sequence[str]

    @property
    def refusal(self) -> str:
        return f"{self.what} is append-only"

    def statements(self, vendor: str) -> Mapping[str, str]:
        return self._sqlite() if vendor == "sqlite" else self._postgresql()

    def _sqlite(self) -> Mapping[str, str]:
        abort = f"BEGIN SELECT RAISE(ABORT, '{self.refusal}'); END"
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {self.table} AS old WHERE {place})"  # noqa: S608 - constants
            for place in ("old.id = NEW.id", *self.places)
        )
        return {
            f"{self.table}_no_update": f"CREATE TRIGGER {self.table}_no_update BEFORE UPDATE ON {self.table} {abort}",
            f"{self.table}_no_delete": f"CREATE TRIGGER {self.table}_no_delete BEFORE DELETE ON {self.table} {abort}",
            # REPLACE deletes the row in its way without firing the delete trigger.
            f"{self.table}_no_replace": (
                f"CREATE TRIGGER {self.table}_no_replace BEFORE INSERT ON {self.table} WHEN {taken} {abort}"
            ),
        }

    def _postgresql(self) -> Mapping[str, str]:
        refuse = f"EXECUTE FUNCTION {self.table}_refuse()"
        return {
            f"{self.table}_no_change": (
                f"CREATE TRIGGER {self.table}_no_change BEFORE UPDATE OR DELETE ON {self.table}"
                f" FOR EACH ROW {refuse}"
            ),
            f"{self.table}_no_truncate": (
                f"CREATE TRIGGER {self.table}_no_truncate BEFORE TRUNCATE ON {self.table}"
                f" FOR EACH STATEMENT {refuse}"
            ),
        }

    def function(self) -> str:
        """Of PostgreSQL, which the triggers call."""
        return f"""
            CREATE OR REPLACE FUNCTION {self.table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{self.refusal}' USING ERRCODE = 'integrity_constraint_violation'; END $$"""


_GUARDED: Final = [
    Guarded(TABLE, "the audit log", ("old.stream = NEW.stream AND old.seq = NEW.seq",)),
    Guarded("audit_seal", "what seals the audit log", ("old.number = NEW.number",)),
]


def guard(table: Guarded) -> None:
    """Have another table guarded from now on; an app says so when it is ready."""
    if table not in _GUARDED:
        _GUARDED.append(table)


_FIND: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
    # 'O' and 'A': fires in a normal session; 'D' is disabled, 'R' only fires on a replica.
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A')",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Make what is missing. Only the tables' owner can."""
    with transaction.atomic(using=connection.alias):
        for table in _present(connection):
            _install(table, connection)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Let the tables be changed: for a flush between tests, retention and redaction."""
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
    return [table for table in _GUARDED if table.table == TABLE or table.table in tables]


def _install(table: Guarded, connection: BaseDatabaseWrapper) -> None:
    absent = _absent(table, connection)
    if not absent:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(table.function())
        for name in absent:
            if connection.vendor == "postgresql":
                # One that is there but disabled counts as missing.
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table.table}")
            cursor.execute(table.statements(connection.vendor)[name])


def _absent(table: Guarded, connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor], [table.table])
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in table.statements(connection.vendor) if name not in present]
