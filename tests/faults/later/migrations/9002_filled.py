from typing import Any

from django.db import migrations

from tests.faults.later.migrations import Moment, reach


def fill(apps: Any, _: Any) -> None:
    """A row at a time, each for good, as one does with tables that are large; begun again it goes on."""
    for number in apps.get_model("actions", "Action").objects.filter(first="").values_list("pk", flat=True):
        apps.get_model("actions", "Action").objects.filter(pk=number).update(first="filled")
        reach(Moment.HALF_FILLED)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("actions", "9001_first")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
