"""Whatever the running product is made to send, what it guards stays as it was written.

After every way that a database can be migrated, and with the guards taken off one by one, to see that it is
they who refuse.
"""

from collections.abc import Callable

import psycopg
import pytest
from django.db import connection, models, transaction

from actioncenter.actions.models import Vote
from actioncenter.audit import log, triggers
from actioncenter.audit.models import Event, Purge, Redaction, Seal
from actioncenter.audit.roles import PERMITS
from actioncenter.audit.sealing import Horizon
from actioncenter.auditor.models import PageView
from actioncenter.estate.services import Postgres
from tests import factories
from tests.audit.drafts import draft, seal
from tests.audit.sealers import BOTH, ON_POSTGRES
from tests.audit.statements import (
    EVENT,
    MORE_BY_HAND,
    ON_POSTGRESQL,
    ON_SQLITE,
    TABLES,
    Table,
    redacts_by_hand,
    succeeded,
    takes_a_plain_insert,
)
from tests.services.database import as_default, migrate, owner_of, superuser_of

ON_SQLITE_ALONE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)


def write_a_row_each(url: str) -> None:
    """As the role that the product runs under; what lets go of others as the owner, and of nothing."""
    with as_default(url):
        with transaction.atomic():
            log.record_many([draft("action:1")])
        factories.waiting_action().approve(by=factories.person("mira").actor())
        seal()
        at = Horizon.now().at
        PageView.objects.create(at=at, actor="user:1", actor_name="Mira", page="actions:pending", address="/")
    with as_default(owner_of(url) or url):
        signed = {"at": at, "number": 9, "text": "x", "digest": "x", "key_id": "x", "signature": "x"}
        Purge.objects.create(**signed, last_seal=0, last_event=0, actions=",")
        Redaction.objects.create(**signed, event=2**62, stream="x", actor="x", canonical="x")
        assert {name for name in triggers.guarded() if not _has_rows(name)} == set()


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
        return cursor.fetchone() is not None


def kept(url: str) -> None:
    """No statement of any list succeeds on any table, and all take a plain insert that the runtime may make."""
    write_a_row_each(url)
    assert {table.name: succeeded(url, table) for table in TABLES} == {table.name: [] for table in TABLES}
    closed = PERMITS if owner_of(url) else set()
    taking = {table.name for table in TABLES if takes_a_plain_insert(url, table)}
    assert taking == triggers.guarded() - closed


def as_it_is(url: str) -> None: ...


def back_and_forth(url: str) -> None:
    for app, last in (("audit", "0001"), ("actions", "0003")):
        migrate(url, app, last)
    migrate(url)


def rebuilt(url: str) -> None:
    """What AlterField does: on SQLite a new table without triggers takes the old one's place."""
    for model, name in ((Event, "subject_name"), (Seal, "key_id"), (Vote, "comment")):
        old, new = model._meta.get_field(name), models.CharField(max_length=5000, default="")
        new.set_attributes_from_name(name)
        new.model = model
        with connection.schema_editor() as editor:
            editor.alter_field(model, old, new)
    assert bool(triggers.missing(connection)) == (connection.vendor == "sqlite")
    migrate(url)


@BOTH
@pytest.mark.parametrize("way", [as_it_is, back_and_forth, rebuilt], ids=lambda way: way.__name__)
def test_nothing_but_an_insert_succeeds(shared_database: str, way: Callable[[str], None]) -> None:
    way(shared_database)
    kept(shared_database)


def test_the_lists_are_as_long_as_the_study() -> None:
    assert (len(ON_POSTGRESQL) >= 22, len(ON_SQLITE) >= 14) == (True, True)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@ON_POSTGRES
def test_each_statement_would_work_on_postgresql_for_who_may(shared_database: str, table: Table) -> None:
    """Else its refusal would prove nothing."""
    write_a_row_each(shared_database)
    superuser = superuser_of(shared_database)
    found = {*succeeded(superuser, table)}
    triggers.remove(connection)
    assert {*ON_POSTGRESQL} - found - {*succeeded(superuser, table)} == set()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@ON_SQLITE_ALONE
def test_each_statement_would_work_on_sqlite(shared_database: str, table: Table) -> None:
    write_a_row_each(shared_database)
    found = {*succeeded(shared_database, table, held_back=False)}
    assert {"DROP TRIGGER", "writable_schema"} <= found, "what triggers alone don't stop"
    # Triggers of other tables ask these two, which alone keeps them from being rebuilt.
    assert ("rebuilt table" in found) == (table.name not in PERMITS)
    assert not {"UPDATE", "DELETE", "REPLACE by key", "INSERT OR REPLACE by id", "upsert"} & found
    triggers.remove(connection)
    assert {*ON_SQLITE} - found - {*succeeded(shared_database, table, held_back=False)} == set()


REWRITES = {"UPDATE", "DELETE", "TRUNCATE", "MERGE", "upsert", "DELETE in a CTE"}
CHANGES = {"DISABLE TRIGGER", "DROP TRIGGER", "CREATE OR REPLACE FUNCTION", "DROP TABLE", "CREATE RULE"}


@ON_POSTGRES
def test_either_guard_of_postgresql_holds_alone_and_neither_means_rewriting(shared_database: str) -> None:
    """Planted: rights that are too wide, triggers that are gone, and the owner for the runtime role."""
    write_a_row_each(shared_database)
    with psycopg.connect(superuser_of(shared_database), autocommit=True) as server:
        server.execute(f"GRANT ALL ON {EVENT.name} TO {Postgres.runtime}")
    found = {*succeeded(shared_database, EVENT)}
    assert not REWRITES & found
    assert {"INSERT of a chosen id", "COPY FROM with chosen ids", "CREATE TRIGGER"} <= found
    triggers.remove(connection)
    assert {*succeeded(shared_database, EVENT)} >= REWRITES
    migrate(shared_database)
    assert succeeded(shared_database, EVENT) == []
    assert {*succeeded(owner_of(shared_database), EVENT)} >= CHANGES


@ON_POSTGRES
def test_rights_hold_while_triggers_are_gone(shared_database: str) -> None:
    write_a_row_each(shared_database)
    triggers.remove(connection)
    assert [succeeded(shared_database, table) for table in TABLES] == [[] for _ in TABLES]


@ON_SQLITE_ALONE
def test_only_replace_needs_the_triggers_of_sqlite(shared_database: str) -> None:
    """Planted: a rebuilt table and no migration after it."""
    write_a_row_each(shared_database)
    triggers.remove(connection)
    for table in TABLES:
        assert {*succeeded(shared_database, table)} >= {"REPLACE by key", "INSERT OR REPLACE by id"}


@BOTH
def test_nobody_redacts_by_hand(shared_database: str) -> None:
    """Who may write the record of a redaction opens the way to what it says and no further."""
    write_a_row_each(shared_database)
    assert not redacts_by_hand(shared_database)
    owner = owner_of(shared_database) or shared_database
    assert redacts_by_hand(owner, held_back=False)
    assert not redacts_by_hand(owner, MORE_BY_HAND, held_back=False)
