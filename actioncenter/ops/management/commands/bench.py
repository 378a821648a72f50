"""`manage.py bench NAME`: one benchmark on a database of its own, gone afterwards."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from actioncenter.bench.databases import DURABLE, Addresses, BadDatabase, kind_of, throw_away
from actioncenter.bench.serving import OWN_SERVERS
from actioncenter.estate.services import ServiceFailed, ServiceMissing

# Known here by name only: their modules need the settings of the run.
NAMES = ("audit", "chaos", "decide", "dispatch", "export", "live", "mail", "pages", "policy", "ssh", "urls")


class Command(BaseCommand):
    help = "Measure the product beside a floor and its peers. docs/benchmarks.md explains the figures."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=NAMES)
        parser.add_argument("--rows", type=_positive, default=100_000, help="size of the table (100000)")
        parser.add_argument(
            "--database",
            help="sqlite, postgres or a postgres:// URL (sqlite; chaos and dispatch start servers of their own)",
        )
        parser.add_argument("--minutes", type=_minutes, default=2.0, help="how long chaos and live last (2)")
        parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
        parser.add_argument("--seed", type=int, help="repeat a run's data and filters; random unless given")
        parser.add_argument(
            "--rounds", type=_positive, default=15, help="how often everything is measured (15)"
        )

    def handle(self, *, name: str, database: str | None, **options: Any) -> None:
        # Ended by a service manager or a time limit, it still removes its server and files.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        seed = secrets.randbelow(1_000_000) if options["seed"] is None else options["seed"]
        self.stderr.write(f"Seed {seed}")
        with tempfile.TemporaryDirectory(prefix="actioncenter-bench-") as folder:
            try:
                with _database(name, database, Path(folder)) as (kind, addresses):
                    arguments = [f"--{each}={options[each]}" for each in ("rows", "rounds", "minutes")]
                    arguments += [f"--seed={seed}", f"--database={kind}"]
                    status = run([name, *arguments], Path(folder), addresses)
            except (BadDatabase, ServiceMissing, ServiceFailed) as problem:
                raise CommandError(str(problem)) from problem
            result = Path(folder) / "result.json"
            if options["json"] and result.exists():
                self.stdout.write(result.read_text(encoding="utf-8"))
        sys.exit(status)


@contextmanager
def _database(name: str, wanted: str | None, folder: Path) -> Iterator[tuple[str, Addresses]]:
    """Its kind and its addresses, which are empty where the benchmark itself starts the server."""
    if name not in OWN_SERVERS:
        with throw_away(wanted or "sqlite", folder, durable=name in DURABLE) as addresses:
            yield kind_of(wanted or "sqlite"), addresses
    elif wanted in (None, "postgres"):
        yield "postgres", Addresses("", "")
    else:
        raise BadDatabase(f"{name} starts its own servers, so it takes no --database but postgres.")


def run(arguments: list[Any], folder: Path, addresses: Addresses) -> int:
    """A process of its own, because settings are read once. Returns its exit status."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONCENTER_")}
    environment = {
        **kept,
        "ACTIONCENTER_DATA": str(folder),
        "ACTIONCENTER_DATABASE_URL": addresses.runtime,
        "ACTIONCENTER_DATABASE_OWNER_URL": addresses.owner,
    }
    command = [
        sys.executable,
        "-m",
        "actioncenter.bench",
        *map(str, arguments),
        "--json",
        str(folder / "result.json"),
    ]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=False).returncode  # noqa: S603


def _minutes(text: str) -> float:
    """At most two hours: whatever happens, it ends."""
    minutes = float(text)
    if not 0 < minutes <= 120:
        raise ValueError
    return minutes


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
