"""What makes the log append-only in the database itself.

On SQLite a rebuilt table (any AlterField) loses its triggers without a word, so they are made
again after every migration and `require` refuses to start without them.
"""

from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connection as default_connection
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE: Final = "audit_event"
_REFUSAL: Final = "the audit log is append-only"

_SQLITE: Final = {
    "audit_event_no_update": f"""
        CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    "audit_event_no_delete": f"""
        CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    # REPLACE deletes the row in its way without firing the delete trigger.
    "audit_event_no_replace": f"""
        CREATE TRIGGER audit_event_no_replace BEFORE INSERT ON {TABLE}
        WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)
          OR EXISTS (SELECT 1 FROM {TABLE} WHERE stream = NEW.stream AND seq = NEW.seq)
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",  # noqa: S608 - constants
}  # fmt: skip

_POSTGRESQL_FUNCTION: Final = f"""
    CREATE OR REPLACE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$"""
_POSTGRESQL: Final = {
    "audit_event_no_change": f"""
        CREATE TRIGGER audit_event_no_change BEFORE UPDATE OR DELETE ON {TABLE}
        FOR EACH ROW EXECUTE FUNCTION audit_event_refuse()""",
    "audit_event_no_truncate": f"""
        CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION audit_event_refuse()""",
}  # fmt: skip

_FIND: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
    # 'O' and 'A': fires in a normal session; 'D' is disabled, 'R' only fires on a replica.
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A')",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Make what is missing. Only the table's owner can."""
    absent = missing(connection)
    if not absent:
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL_FUNCTION)
        for name in absent:
            if connection.vendor == "postgresql":
                # One that is there but disabled counts as missing.
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {TABLE}")
            cursor.execute(_statements(connection)[name])


def remove(connection: BaseDatabaseWrapper) -> None:
    """Let the table be changed: for a flush between tests, retention and redaction."""
    on_table = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in _statements(connection):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of triggers that should guard the table and don't."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND[connection.vendor], [TABLE])
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in _statements(connection) if name not in present]


def require() -> None:
    """Refuse to start on a log that could be rewritten.

    Raises:
        ImproperlyConfigured: triggers are missing.
    """
    if absent := missing(default_connection):
        raise ImproperlyConfigured(
            f"The audit log isn't protected: {', '.join(absent)} missing. Run `manage.py migrate`, then start again."
        )


def _statements(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}[connection.vendor]
