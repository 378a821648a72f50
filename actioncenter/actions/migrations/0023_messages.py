from collections.abc import Callable, Mapping
from typing import Any

from django.db import migrations, models

from investigations.models.messages import message_key

AT_ONCE = 2_000
OF_MESSAGES = [9, 11]


def fill(apps: Any, schema_editor: Any) -> None:
    """What was done and found before, a piece at a time. Only facts are needed of it."""
    target = apps.get_model("actions", "ActionTarget").objects.filter(kind__in=OF_MESSAGES, message_key="")
    _fill(target.only("facts"), lambda row: row.facts)
    hits = apps.get_model("actions", "MailHit").objects.filter(message_key="")
    _fill(hits.only("message_id"), lambda row: {"message_id": row.message_id})


def _fill(rows: Any, facts: Callable[[Any], Mapping[str, Any]]) -> None:
    last = 0
    while found := list(rows.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        for row in found:
            row.message_key = message_key(facts(row))
        rows.model.objects.bulk_update(
            [row for row in found if row.message_key], ["message_key"], batch_size=200
        )
        last = found[-1].pk


class Migration(migrations.Migration):
    dependencies = [
        ("actions", "0022_tallies"),
        ("investigations", "0004_evidence_outlives_its_device"),
        ("settings", "0013_shortening"),
    ]

    operations = [
        migrations.AddField(
            model_name="actiontarget",
            name="message_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="mailhit",
            name="message_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddIndex(
            model_name="actiontarget",
            index=models.Index(
                condition=models.Q(("device__isnull", True)),
                fields=["on_name", "action"],
                name="target_place",
            ),
        ),
        migrations.AddIndex(
            model_name="actiontarget",
            index=models.Index(
                condition=models.Q(("message_key", ""), _negated=True),
                fields=["message_key"],
                name="target_message",
            ),
        ),
        migrations.AddIndex(
            model_name="mailhit",
            index=models.Index(
                condition=models.Q(("message_key", ""), _negated=True),
                fields=["message_key"],
                name="mail_hit_message",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
