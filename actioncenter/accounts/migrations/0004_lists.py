from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_shortcuts"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="lists",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
    ]
