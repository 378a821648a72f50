"""The default group, the documented folders and the simulator."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from actioncenter.settings import installation


def ensure(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    installation.ensure(apps)


class Migration(migrations.Migration):
    dependencies = [("settings", "0001_initial")]

    operations = [migrations.RunPython(ensure, migrations.RunPython.noop)]
