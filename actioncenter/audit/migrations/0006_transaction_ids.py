from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from actioncenter.audit import triggers


def set_by_the_database(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.renew(schema_editor.connection)


def unprotect(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """They are made again, as they were, after the migration."""
    triggers.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0005_words"),
    ]

    operations = [
        migrations.RunPython(set_by_the_database, unprotect),
    ]
