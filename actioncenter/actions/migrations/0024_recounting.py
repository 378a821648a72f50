from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("actions", "0023_messages"),
    ]

    operations = [
        migrations.AddField(
            model_name="plan",
            name="new_copies",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
    ]
