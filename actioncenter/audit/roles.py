"""Two roles on PostgreSQL: one owns the tables and changes them, the other works with their rows.

The second one, the runtime role, can't rewrite what is append-only, whatever becomes of the process that
uses it. SQLite knows no roles; there the connection holds itself back (audit/authorizer.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.utils import load_backend
from psycopg import sql

from actioncenter.audit import authorizer, triggers

ORDINARY: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
ADDED_TO: Final = frozenset({"SELECT", "INSERT"})
READ: Final = frozenset({"SELECT"})
NUMBERS: Final = frozenset({"SELECT", "UPDATE"})
"""Of a sequence: after a restore they are set higher (audit/numbers.py). Rows get theirs without a right."""
BOOKKEEPING: Final = frozenset({"django_migrations", "django_content_type", "auth_permission"})
"""Written by `migrate` alone."""
PERMITS: Final = frozenset({triggers.PURGES, triggers.REDACTIONS})
"""Written by retention and redaction alone: a row there lets go of others."""

SUPERUSER: Final = "is a superuser"
_GRAVE: Final = """
    WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user),
    here AS (SELECT * FROM pg_namespace WHERE nspname = current_schema())
    SELECT 'is a superuser' FROM me WHERE rolsuper
    UNION ALL SELECT 'may give itself other roles (CREATEROLE)' FROM me WHERE rolcreaterole
    UNION ALL SELECT 'may set session_replication_role'
        WHERE has_parameter_privilege('session_replication_role', 'SET')
    UNION ALL SELECT 'owns the database or may become its owner' FROM pg_database
        WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'MEMBER')
    UNION ALL SELECT 'owns the schema or may become its owner' FROM here
        WHERE pg_has_role(current_user, nspowner, 'MEMBER')
    UNION ALL SELECT 'owns or may become the owner of ' || string_agg(relname, ', ' ORDER BY relname)
        FROM pg_class JOIN here ON relnamespace = here.oid
        WHERE relname = ANY(%(tables)s) AND pg_has_role(current_user, relowner, 'MEMBER') HAVING count(*) > 0
    UNION ALL SELECT 'owns or may become the owner of ' || string_agg(proname, ', ' ORDER BY proname)
        FROM pg_proc JOIN here ON pronamespace = here.oid
        WHERE proname = ANY(%(functions)s) AND pg_has_role(current_user, proowner, 'MEMBER') HAVING count(*) > 0
    UNION ALL SELECT 'is a member of ' || rolname FROM pg_roles
        WHERE rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
        AND pg_has_role(current_user, oid, 'MEMBER')"""
_NEEDLESS: Final = """
    WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user)
    SELECT 'may make databases (CREATEDB)' FROM me WHERE rolcreatedb
    UNION ALL SELECT 'may replicate (REPLICATION)' FROM me WHERE rolreplication
    UNION ALL SELECT 'passes over row security (BYPASSRLS)' FROM me WHERE rolbypassrls
    UNION ALL SELECT 'may CREATE in the schema' WHERE has_schema_privilege(current_schema(), 'CREATE')
    UNION ALL SELECT 'owns or may become the owner of ' || relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        AND pg_has_role(current_user, relowner, 'MEMBER')
    UNION ALL SELECT 'may make temporary tables (TEMPORARY)'
        WHERE has_database_privilege(current_database(), 'TEMPORARY')
    UNION ALL SELECT 'may choose the id of a row in ' || relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%(tables)s)
        AND has_column_privilege(oid, 'id', 'INSERT')"""
_HELD: Final = """
    WITH held AS (
        SELECT oid, relname, relkind, relacl AS acl FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        UNION ALL SELECT c.oid, relname, relkind, attacl FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
        WHERE relnamespace = current_schema()::regnamespace AND attacl IS NOT NULL)
    SELECT relname, array_agg(DISTINCT privilege_type) FROM held, aclexplode(acl)
    WHERE relkind = ANY(%s) AND (grantee = 0 OR pg_has_role(current_user, grantee, 'MEMBER'))
    GROUP BY relname"""
_TABLES, _SEQUENCES = ["r", "p"], ["S"]
_NUMBERED_BY: Final = """
    SELECT table_.relname, sequence.relname FROM pg_class AS sequence
    JOIN pg_depend ON objid = sequence.oid AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    JOIN pg_class AS table_ ON table_.oid = refobjid
    WHERE sequence.relkind = 'S' AND table_.relnamespace = current_schema()::regnamespace"""


@dataclass(frozen=True, slots=True)
class Rights:
    """Of the role `name`, as phrases that go on from "it ...". All empty is as it should be."""

    name: str
    grave: Sequence[str] = ()
    """With these it could rewrite what is append-only."""
    needless: Sequence[str] = ()
    lacking: Sequence[str] = ()


@contextmanager
def as_owner() -> Iterator[None]:
    """Until the end the default connection of this thread is the owner's, where there is an owner.

    Not within a transaction.
    """
    if settings.DATABASE_OWNER is None:
        with authorizer.let_go(connection):
            yield
        return
    described = connections.configure_settings({DEFAULT_DB_ALIAS: dict(settings.DATABASE_OWNER)})
    before = connections[DEFAULT_DB_ALIAS]
    backend = load_backend(settings.DATABASE_OWNER["ENGINE"])
    owner = backend.DatabaseWrapper(described[DEFAULT_DB_ALIAS], DEFAULT_DB_ALIAS)
    connections[DEFAULT_DB_ALIAS] = owner
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = before
        owner.close()


def current() -> tuple[str, str]:
    """The role that the default connection is, and the database that it leads to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        role, database = cursor.fetchone()
    return str(role), str(database)


def wanted() -> Mapping[str, frozenset[str]]:
    """Table -> what the runtime role may do with it. Of those that exist."""
    tables = {*connection.introspection.table_names()}
    managed = {*connection.introspection.django_table_names(include_views=False)} | BOOKKEEPING
    guarded = triggers.guarded()
    return {
        table: READ if table in BOOKKEEPING | PERMITS else ADDED_TO if table in guarded else ORDINARY
        for table in managed & tables
    }


def grant(to: str) -> None:
    """Give that role what it needs and take everything else. As the owner; again and again does no harm."""
    wants, role = wanted(), sql.Identifier(to)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = sql.Identifier(cursor.fetchone()[0])
        cursor.execute(sql.SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC, {}").format(schema, role))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
        for kind, rights in (("TABLE", wants), ("SEQUENCE", _numbers(wants))):
            for name, needed in sorted(rights.items()):
                what = sql.SQL("ON {} {}").format(sql.SQL(kind), sql.Identifier(name))
                cursor.execute(sql.SQL("REVOKE ALL {} FROM PUBLIC, {}").format(what, role))
                cursor.execute(sql.SQL("GRANT {} {} TO {}").format(_listed(name, needed), what, role))


def _listed(table: str, needed: frozenset[str]) -> sql.Composable:
    """Nobody who may only add chooses an id, not even by OVERRIDING SYSTEM VALUE or COPY."""
    if needed != ADDED_TO:
        return sql.SQL(", ").join(map(sql.SQL, sorted(needed)))
    columns = sql.SQL(", ").join(map(sql.Identifier, _columns(table)))
    return sql.SQL("SELECT, INSERT ({})").format(columns)


def _columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    return [column.name for column in described if column.name != "id"]


def _numbers(tables: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERED_BY)
        return {sequence: NUMBERS for table, sequence in cursor.fetchall() if tables.get(table, READ) != READ}


def grave() -> Sequence[str]:
    """With what the role of the default connection could rewrite what is append-only. On PostgreSQL."""
    guarded = sorted(triggers.guarded())
    given = {"tables": guarded, "functions": sorted(triggers.functions())}
    if found := _phrases(_GRAVE, given):
        # A superuser may do all the rest too.
        return [SUPERUSER] if SUPERUSER in found else found
    has = _held(_TABLES)
    return _said("may", {table: has.get(table, frozenset()) - ADDED_TO for table in guarded})


def examine() -> Rights:
    """What the role of the default connection may do. On PostgreSQL."""
    guarded, found = triggers.guarded(), grave()
    name, _ = current()
    if not all(phrase.startswith("may ") for phrase in found):
        # What it owns it may do everything with.
        return Rights(name, grave=found)
    wants, has = wanted(), _held(_TABLES)
    numbers, sets = _numbers(wants), _held(_SEQUENCES)
    needless = {
        table: rights - wants.get(table, frozenset()) for table, rights in has.items() if table not in guarded
    }
    lacking = {table: rights - has.get(table, frozenset()) for table, rights in wants.items()}
    unset = {sequence: rights - sets.get(sequence, frozenset()) for sequence, rights in numbers.items()}
    return Rights(
        name,
        grave=found,
        needless=[*_phrases(_NEEDLESS, {"tables": sorted(guarded)}), *_said("may", needless)],
        lacking=_said("may not", lacking | unset),
    )


def _phrases(query: str, given: Mapping[str, list[str]]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return [phrase for (phrase,) in cursor.fetchall()]


def _held(kinds: list[str]) -> dict[str, frozenset[str]]:
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [kinds])
        return {name: frozenset(rights) for name, rights in cursor.fetchall()}


def _said(how: str, rights: Mapping[str, frozenset[str]]) -> list[str]:
    return [f"{how} {', '.join(sorted(each))} on {name}" for name, each in sorted(rights.items()) if each]


def trouble() -> str:
    """Why nothing may start under this role; empty when it may. Raises django.db.Error."""
    if connection.vendor != "postgresql" or settings.ALLOW_SINGLE_ROLE:
        return ""
    found = grave()
    if not found:
        return ""
    name, _ = current()
    return (
        f"The database role {name} that the product runs under could rewrite what is append-only:"
        f" it {', '.join(found)}. Give ACTIONCENTER_DATABASE_URL a role of its own and run `manage.py migrate`"
        " with the owner in ACTIONCENTER_DATABASE_OWNER_URL (docs/operator/roles.md);"
        " for a trial with one role set ACTIONCENTER_ALLOW_SINGLE_ROLE=1."
    )


def require() -> None:
    """Refuse to start under a role that could rewrite the log.

    Raises:
        ImproperlyConfigured: it could, and nobody has allowed that.
    """
    if found := trouble():
        raise ImproperlyConfigured(found)


def is_single() -> bool:
    """Whether somebody has allowed one role for everything, and it is so. Asked once in a process."""
    return settings.ALLOW_SINGLE_ROLE and connection.vendor == "postgresql" and _is_grave()


@cache
def _is_grave() -> bool:
    return bool(grave())
