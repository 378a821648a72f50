"""`manage.py migrate`: Django's own, which may be killed at any moment and run again."""

from typing import Any

from django.core.management.commands import migrate
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState


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
        return super().handle(*args, **options)
