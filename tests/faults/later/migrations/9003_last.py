from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("actions", "9002_filled")]
    operations = [
        migrations.AddField("action", "last", models.CharField(max_length=10, default="", db_default="")),
        migrations.AddIndex("action", models.Index(fields=["last"], name="action_last")),
    ]
