"""What happens between `manage.py` and a Django command: where the data is, and a first migration."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import django
from django.core.management import call_command, execute_from_command_line
from django.db import OperationalError, connection

from actioncenter.environment import BadSetting

# These make or inspect the database themselves, or need none.
WITHOUT_DATABASE = frozenset(
    {
        "up",
        "test",
        "check_all",
        "migrate",
        "makemigrations",
        "check",
        "collectstatic",
        "diffsettings",
        "oversight",
    }
)
# These must not touch the installation's own data.
ON_SCRATCH_DATA = frozenset({"test", "check_all", "bench", "screenshots", "help"})


def run(argv: list[str]) -> None:
    """Run one command line; raises SystemExit with the command's status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "actioncenter.conf")
    command = argv[1] if len(argv) > 1 else "help"
    if command == "up":
        _take_data_folder(argv[2:])
    try:
        if command in ON_SCRATCH_DATA:
            _execute_on_scratch_data(argv)
        else:
            _prepare_and_execute(argv, command)
    except BadSetting as error:
        sys.exit(f"{error} docs/operator.md lists the settings.")
    except OperationalError as error:
        if connection.connection is not None:
            raise
        sys.exit(f"The database can't be used: {error}\nStart it, or check ACTIONCENTER_DATABASE_URL.")


def _execute_on_scratch_data(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="actioncenter-") as folder:
        os.environ["ACTIONCENTER_DATA"] = folder
        for name in ("KEYS_DIR", "DATABASE_URL", "DATABASE_OWNER_URL"):
            os.environ.pop(f"ACTIONCENTER_{name}", None)
            os.environ.pop(f"ACTIONCENTER_{name}_FILE", None)
        execute_from_command_line(argv)


def _take_data_folder(arguments: list[str]) -> None:
    """Settings are read before a command sees its options, so --data has to be known here."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path)
    known, _ = parser.parse_known_args(arguments)
    if known.data is not None:
        os.environ["ACTIONCENTER_DATA"] = str(known.data.expanduser().absolute())


def _prepare_and_execute(argv: list[str], command: str) -> None:
    if command not in WITHOUT_DATABASE and not command.startswith("-"):
        django.setup()
        if _database_is_fresh():
            call_command("migrate", verbosity=0, interactive=False)
    execute_from_command_line(argv)


def _database_is_fresh() -> bool:
    if connection.vendor != "sqlite":
        return False
    path = Path(connection.settings_dict["NAME"])
    return not path.exists() or path.stat().st_size == 0
