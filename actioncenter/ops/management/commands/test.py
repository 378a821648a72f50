"""`manage.py test`: the whole suite by pytest; its arguments are passed through."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the test suite. Everything but --database goes to pytest as it is."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # Django would refuse pytest's options, so only our own one is taken out.
        parser = self.create_parser(argv[0], argv[1])
        options, rest = parser.parse_known_args(argv[2:])
        sys.exit(run_pytest(rest, options.database))

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--database",
            choices=["sqlite", "postgres"],
            default="sqlite",
            help="postgres starts a throw-away server from this machine's own programs",
        )

    def handle(self, **options: Any) -> None:
        run_pytest([], options["database"])


def run_pytest(arguments: list[str], database: str) -> int:
    """Return pytest's exit status. A process of its own: the suite has settings of its own."""
    environment = {**os.environ, "ACTIONCENTER_TEST_DATABASE": database}
    # The test suite names its settings itself.
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=False).returncode  # noqa: S603
