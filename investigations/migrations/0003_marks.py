import django.db.models.deletion
from django.db import migrations, models


def carry_over(apps, schema_editor):
    dirty = apps.get_model("investigations", "Investigation").objects.filter(dirty_at__isnull=False)
    mark = apps.get_model("investigations", "Mark")
    mark.objects.bulk_create([mark(investigation_id=pk) for pk in dirty.values_list("pk", flat=True)], 500)


class Migration(migrations.Migration):
    dependencies = [("investigations", "0002_initial")]

    operations = [
        migrations.CreateModel(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "investigation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="marks",
                        to="investigations.investigation",
                    ),
                ),
            ],
        ),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name="investigation", name="investigation_dirty"),
        migrations.RemoveField(model_name="investigation", name="dirty_at"),
    ]
