from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import actioncenter.audit.models
from actioncenter.audit.gently import is_built

BEFORE = "audit_event_words"
"""An index over an expression of the columns, kept up to date by whoever wrote an event."""
MARKS = '\\/.:;_@-"{}[](),=&?|<>'
TEXT = (
    "subject || ' ' || subject_name || ' ' || actor_name || ' ' || coalesce(before::text, '')"
    " || ' ' || coalesce(after::text, '') || ' ' || coalesce(detail::text, '')"
)
VECTOR = f"to_tsvector('simple'::regconfig, translate(left({TEXT}, 100000), '{MARKS}', '{' ' * len(MARKS)}'))"


def index_words(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Of a table that is empty yet: a runner fills it, at its own pace."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX IF NOT EXISTS audit_eventwords_words ON audit_eventwords USING gin (words)"
        )
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {BEFORE}")


def index_events(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql" and not is_built(schema_editor, BEFORE):
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {BEFORE} ON audit_event USING gin (({VECTOR}))")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("audit", "0004_purge"),
    ]

    operations = [
        migrations.CreateModel(
            name="EventWords",
            fields=[
                ("event", models.BigIntegerField(primary_key=True, serialize=False)),
                ("words", actioncenter.audit.models.Lexemes()),
            ],
        ),
        migrations.CreateModel(
            name="WordsReach",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seal", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(index_words, index_events),
    ]
