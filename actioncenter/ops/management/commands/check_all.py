"""`manage.py check_all`: every check that needs no running product, each with its name and result."""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from actioncenter.ops import advisories

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]
# What an installation behind TLS sets; `check --deploy` judges that, not the local trial.
PRODUCTION = {"ACTIONCENTER_HTTPS": "1", "ACTIONCENTER_HOSTS": "actions.example.org"}


class Step(NamedTuple):
    name: str
    command: list[str]
    environment: dict[str, str] = {}


def program(name: str) -> str:
    return str(Path(PYTHON).parent / name)


def steps() -> list[Step]:
    templates = [str(path) for path in sorted((settings.BASE_DIR / "templates").rglob("*.html"))]
    pages = [
        Step("template lint", [program("djlint"), "--lint", "--quiet", *templates]),
        Step("template format", [PYTHON, "-m", "djhtml", "--check", "--tabwidth", "2", *templates]),
    ]
    return [
        Step("lint", [PYTHON, "-m", "ruff", "check", "."]),
        Step("format", [PYTHON, "-m", "ruff", "format", "--check", "."]),
        Step("import contracts", [program("lint-imports"), "--no-cache"]),
        Step("types", [PYTHON, "-m", "mypy"]),
        *(pages if templates else []),
        Step("migrations", [*MANAGE, "makemigrations", "--check", "--dry-run"]),
        Step("deployment", [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION),
        Step("budgets and requirements", [PYTHON, "-m", "pytest", "-q", "tests/architecture"]),
    ]


class Command(BaseCommand):
    help = "Run every static check of the project; exit status 1 when one fails."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-audit", action="store_true", help="don't ask the advisory service")

    def handle(self, *, no_audit: bool, **options: Any) -> None:
        failed = [step.name for step in steps() if not self.passes(step)]
        if not no_audit and not self.has_no_known_holes():
            failed.append("advisories")
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}")
        self.stdout.write("Everything holds.")

    def passes(self, step: Step) -> bool:
        started = time.monotonic()
        result = run(step.command, step.environment)
        self.report(step.name, "ok" if result.returncode == 0 else "FAILED", time.monotonic() - started)
        if result.returncode:
            self.stdout.write(result.stdout)
        return result.returncode == 0

    def report(self, name: str, outcome: str, seconds: float) -> None:
        self.stdout.write(f"{name:26} {outcome} ({seconds:.1f} s)")
        self.stdout.flush()

    def has_no_known_holes(self) -> bool:
        started = time.monotonic()
        answer = advisories.ask(settings.BASE_DIR / "requirements.txt")
        if answer.found:
            outcome = f"FAILED: {', '.join(answer.found)}"
        elif answer.asked:
            outcome = f"ok, {answer.asked} of {answer.pinned} packages known to the service"
        else:
            outcome = "not asked: the advisory service can't be reached from here"
        self.report("advisories", outcome, time.monotonic() - started)
        return not answer.found


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run in the project's folder, both outputs as one text."""
    return subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
