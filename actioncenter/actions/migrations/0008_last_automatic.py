from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("actions", "0007_lanes_of_mail"),
        ("investigations", "0002_initial"),
        ("settings", "0004_reviews_and_ranges"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="action",
            index=models.Index(
                models.F("group"),
                models.F("type"),
                models.F("history_at"),
                condition=models.Q(
                    ("decision", 1),
                    ("history_at__isnull", False),
                    ("requested_by__isnull", True),
                    ("undo_of__isnull", True),
                ),
                name="action_automatic",
            ),
        ),
    ]
