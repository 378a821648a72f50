"""After every way that a database can be migrated, nothing but a plain insert succeeds on what is guarded."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from pytest_django import DjangoDbBlocker

from actioncenter.audit import triggers
from actioncenter.estate.services import Postgres
from tests.audit.sealers import BOTH
from tests.audit.test_statements import kept
from tests.services.database import as_default, migrate, new_database, owner_of

Key = tuple[str, str]
APPS: Final = {
    model._meta.app_label for model in apps.get_models() if model._meta.db_table in triggers.guarded()
}


def _in_order() -> list[Key]:
    """Every migration of an app that has a guarded table, as they are made from nothing."""
    graph = MigrationLoader(None).graph
    plan = dict.fromkeys(key for leaf in graph.leaf_nodes() for key in graph.forwards_plan(leaf))
    return [key for key in plan if key[0] in APPS]


MIGRATIONS: Final = _in_order()
EACH: Final = pytest.mark.parametrize("key", MIGRATIONS, ids=".".join)


def test_no_app_with_a_guarded_table_is_left_out() -> None:
    assert {"audit", "actions", "auditor"} == APPS
    assert {key[0] for key in MIGRATIONS} == APPS


def is_reversible(key: Key) -> bool:
    plan = MigrationExecutor(connection).migration_plan([key])
    return all(operation.reversible for migration, _ in plan for operation in migration.operations)


@EACH
@BOTH
@pytest.mark.sampled(2)
def test_back_to_any_migration_and_forth(shared_database: str, key: Key) -> None:
    if is_reversible(key):
        migrate(shared_database, *key)
        assert triggers.missing(connection) == []
        migrate(shared_database)
    else:
        with pytest.raises(IrreversibleError):
            migrate(shared_database, *key)
    kept(shared_database)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_database(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    url = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres_service")
        url = new_database(server, f"test_{uuid.uuid4().hex[:12]}", "template1")
    with django_db_blocker.unblock(), as_default(owner_of(url) or url):
        yield url


@EACH
@pytest.mark.own_database
@pytest.mark.sampled(1)
def test_from_nothing_with_a_stop_at_any_migration(empty_database: str, key: Key) -> None:
    migrate(empty_database, *key)
    assert triggers.TABLE not in connection.introspection.table_names() or triggers.missing(connection) == []
    migrate(empty_database)
    kept(empty_database)


@pytest.mark.own_database
@pytest.mark.sampled(1)
def test_from_nothing_step_by_step(empty_database: str) -> None:
    for key in MIGRATIONS:
        migrate(empty_database, *key)
        assert (
            triggers.TABLE not in connection.introspection.table_names() or triggers.missing(connection) == []
        )
    migrate(empty_database)
    kept(empty_database)
