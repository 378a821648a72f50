from tests.conf import *  # noqa: F403 - the settings themselves
from tests.conf import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.later"]
# Its only migrations are further ones of another app.
MIGRATION_MODULES = {"actions": "tests.faults.later.migrations", "later": None}
