from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from actioncenter.audit.gently import AddIndexGently


def drop_words(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS audit_event_words")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("audit", "0002_seals"),
    ]

    operations = [
        AddIndexGently(
            model_name="event",
            index=models.Index(fields=["at", "id"], name="audit_event_at"),
        ),
        AddIndexGently(
            model_name="event",
            index=models.Index(fields=["kind", "at", "id"], name="audit_event_kind"),
        ),
        AddIndexGently(
            model_name="event",
            index=models.Index(fields=["actor", "at", "id"], name="audit_event_actor"),
        ),
        AddIndexGently(
            model_name="seal",
            index=models.Index(fields=["at"], name="audit_seal_at"),
        ),
        # Once an index of words was built here; 0005 has it in a table of its own, and puts it back when undone.
        migrations.RunPython(migrations.RunPython.noop, drop_words),
    ]
