import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("actions", "0005_put_off")]

    operations = [
        migrations.RemoveConstraint(model_name="vote", name="vote_one_per_person_and_revision"),
        migrations.AddConstraint(
            model_name="vote",
            constraint=models.UniqueConstraint(
                models.F("action"),
                models.F("revision"),
                models.F("user_ref"),
                django.db.models.functions.comparison.Coalesce("plan_id", 0),
                name="vote_one_per_person_and_plan",
            ),
        ),
    ]
