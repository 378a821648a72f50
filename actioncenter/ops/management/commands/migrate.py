"""`manage.py migrate`: Django's own, as the owner of the tables; it may be killed at any moment and run again."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState
from psycopg.errors import InsufficientPrivilege

from actioncenter.audit import roles


class Executor(MigrationExecutor):
    """Notes a migration in the transaction that changes the tables.

    Django does so afterwards: killed in between, it would find its own tables and stop for ever.
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._noted: set[Migration] = set()

    def apply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
    ) -> ProjectState:
        change = migration.apply

        def apply(state: ProjectState, schema_editor: Any, collect_sql: bool = False) -> ProjectState:
            after = change(state, schema_editor, collect_sql)
            self.record_migration(migration)
            return after

        if migration.atomic and self.connection.features.can_rollback_ddl:
            migration.apply = apply  # type: ignore[method-assign,assignment]
        try:
            return super().apply_migration(state, migration, fake, fake_initial)
        finally:
            vars(migration).pop("apply", None)

    def record_migration(self, migration: Any) -> None:  # type: ignore[override]  # the stubs are of older days
        if migration not in self._noted:
            super().record_migration(migration)  # type: ignore[call-arg]
            self._noted.add(migration)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        migrate.MigrationExecutor = Executor  # type: ignore[attr-defined]
        only_looks = options["plan"] or options["check_unapplied"]
        if settings.DATABASE_OWNER is None or options["database"] != DEFAULT_DB_ALIAS or only_looks:
            return self._migrate(*args, **options)
        runtime, database = _runtime()
        with roles.as_owner():
            owner, owned = roles.current()
            if owned != database:
                raise CommandError(
                    f"ACTIONCENTER_DATABASE_OWNER_URL leads to the database {owned}, ACTIONCENTER_DATABASE_URL to {database}."
                )
            said = self._migrate(*args, **options)
            if owner != runtime:
                roles.grant(runtime)
        self._tell(roles.examine())
        return said

    def _migrate(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().handle(*args, **options)
        except ProgrammingError as error:
            if isinstance(error.__cause__, InsufficientPrivilege):
                raise CommandError(
                    f"{error}Migrating takes the owner of the tables: set ACTIONCENTER_DATABASE_OWNER_URL"
                    " (docs/operator/roles.md)."
                ) from error
            raise

    def _tell(self, found: roles.Rights) -> None:
        """What is left after all rights were given and taken, and only a person can change."""
        for phrase in (*found.grave, *found.needless, *found.lacking):
            self.stderr.write(f"The database role {found.name} {phrase} (docs/operator/roles.md).")


def _runtime() -> tuple[str, str]:
    """The role that the product runs under and its database; it must be there, or there is nobody to give rights to."""
    try:
        return roles.current()
    except OperationalError as error:
        raise CommandError(
            f"The runtime role of ACTIONCENTER_DATABASE_URL can't sign in: {error}\n"
            "Both roles are made by hand, once: docs/operator/roles.md has the SQL."
        ) from error
    finally:
        connections[DEFAULT_DB_ALIAS].close()
