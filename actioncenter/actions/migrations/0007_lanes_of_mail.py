"""An index on the lanes of what was done to mail: an undo looks for newer actions there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("actions", "0006_votes_by_plan")]

    operations = [
        migrations.AddIndex(
            model_name="actiontarget",
            index=models.Index(
                condition=models.Q(("device__isnull", True), ("state", 5)),
                fields=["lane", "action"],
                name="target_done_lane",
            ),
        ),
    ]
