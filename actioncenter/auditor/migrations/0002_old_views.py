from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from actioncenter.audit import triggers


def let_go_of_old_views(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.renew(schema_editor.connection)


def unprotect(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """They are made again, as they were, after the migration."""
    triggers.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("auditor", "0001_initial"),
        ("audit", "0006_transaction_ids"),
    ]

    operations = [
        migrations.RunPython(let_go_of_old_views, unprotect),
    ]
