"""Indexes on a log that goes on being written while they are built."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddIndex
from django.db.migrations.state import ProjectState

_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


class AddIndexGently(AddIndex):
    """Concurrently on PostgreSQL, where the migration must not be atomic.

    An index of that name that is whole was built by the operator beforehand, and one that isn't was left
    behind by a build that broke off.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor == "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif not is_built(schema_editor, self.index.name):
            model = to_state.apps.get_model(app_label, self.model_name)
            editor: Any = schema_editor
            editor.add_index(model, self.index, concurrently=True)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor == "sqlite":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            model = from_state.apps.get_model(app_label, self.model_name)
            editor: Any = schema_editor
            editor.remove_index(model, self.index, concurrently=True)


def is_built(schema_editor: BaseDatabaseSchemaEditor, name: str) -> bool:
    """Drops what is left of one that isn't."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_IS_VALID, [name])
        found = cursor.fetchone()
    if found and not found[0]:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(name)}")
    return bool(found and found[0])
