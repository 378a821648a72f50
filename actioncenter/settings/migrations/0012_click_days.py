import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("settings", "0011_connector_forms"),
    ]

    operations = [
        migrations.AddField(
            model_name="retention",
            name="click_days",
            field=models.PositiveIntegerField(
                db_default=180,
                default=180,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(36500),
                ],
            ),
        ),
    ]
