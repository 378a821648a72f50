from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from actioncenter.audit import triggers


def let_go_of_what_is_redacted(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.renew(schema_editor.connection)


def unprotect(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """They are made again, as they were, after the migration."""
    triggers.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0006_transaction_ids"),
    ]

    operations = [
        migrations.CreateModel(
            name="Redaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveBigIntegerField(unique=True)),
                ("at", models.DateTimeField()),
                ("event", models.BigIntegerField(db_index=True)),
                ("stream", models.TextField()),
                ("actor", models.TextField()),
                ("subject_name", models.TextField(blank=True)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("detail", models.JSONField(null=True)),
                ("canonical", models.TextField()),
                ("text", models.TextField()),
                ("digest", models.TextField()),
                ("key_id", models.TextField()),
                ("signature", models.TextField()),
            ],
        ),
        migrations.RunPython(let_go_of_what_is_redacted, unprotect),
    ]
