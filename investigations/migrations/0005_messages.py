from typing import Any

from django.db import migrations, models

from investigations.models.messages import message_key

AT_ONCE = 2_000
OF_MESSAGES = [12, 14, 17]


def fill(apps: Any, schema_editor: Any) -> None:
    """What was found before, a piece at a time."""
    rows = apps.get_model("investigations", "Evidence").objects.filter(type__in=OF_MESSAGES, message_key="")
    last = 0
    while found := list(rows.filter(pk__gt=last).order_by("pk").only("facts")[:AT_ONCE]):
        for row in found:
            row.message_key = message_key(row.facts)
        rows.model.objects.bulk_update(
            [row for row in found if row.message_key], ["message_key"], batch_size=200
        )
        last = found[-1].pk


class Migration(migrations.Migration):
    dependencies = [
        ("investigations", "0004_evidence_outlives_its_device"),
        ("settings", "0013_shortening"),
    ]

    operations = [
        migrations.AddField(
            model_name="evidence",
            name="message_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddIndex(
            model_name="evidence",
            index=models.Index(
                condition=models.Q(("message_key", ""), _negated=True),
                fields=["message_key"],
                name="evidence_message",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
