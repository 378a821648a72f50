from typing import Any

from django.db import migrations, models

from tests.faults.later.migrations import LAST, Moment, reach


def halt(*_: Any) -> None:
    reach(Moment.UNCOMMITTED)


class Migration(migrations.Migration):
    dependencies = [("actions", LAST)]
    operations = [
        migrations.AddField("action", "first", models.CharField(max_length=10, default="", db_default="")),
        migrations.RunPython(halt, migrations.RunPython.noop),
    ]
