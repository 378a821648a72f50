from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("actions", "0004_decisions")]

    operations = [
        migrations.AddIndex(
            model_name="action",
            index=models.Index(
                models.F("deferred_until"),
                models.F("id"),
                condition=models.Q(("deferred_until__isnull", False), ("history_at__isnull", True)),
                name="action_put_off",
            ),
        ),
    ]
