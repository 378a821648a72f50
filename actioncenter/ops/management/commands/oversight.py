"""`manage.py oversight report`: requirement of human oversight, the tests that carry it, their last result."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from actioncenter.ops.management.commands.test import run_pytest
from actioncenter.ops.oversight.carried import carrying
from actioncenter.ops.oversight.catalogue import CREDIT, requirements
from actioncenter.ops.oversight.report import Row, State, last_outcomes, rows

OWNERS = "K decisions, P pages, S settings, A audit, X execution, N notices"


class Command(BaseCommand):
    help = "List requirements of human oversight with their tests and results; status 1 when one of ours is broken."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["report"])
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.add_argument("--run", action="store_true", help="run the carrying tests first")
        parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite", help="for --run")

    def handle(self, *, run: bool, database: str, **options: Any) -> None:
        root = settings.BASE_DIR
        carried = carrying(root / "tests")
        if run:
            run_pytest(["-q", *sorted({node for nodes in carried.values() for node in nodes})], database)
        wanted = requirements()
        found = rows(wanted, carried, last_outcomes(root))
        stray = sorted(carried.keys() - {item.id for item in wanted})
        self.stdout.write(_json(found, stray) if options["json"] else _text(found, stray))
        broken = [row.requirement.id for row in found if row.is_broken]
        if broken or stray:
            raise CommandError(f"Broken: {', '.join(broken + stray)}", returncode=1)


def _json(found: Sequence[Row], stray: Sequence[str]) -> str:
    return json.dumps(
        {"credit": CREDIT, "requirements": [row.as_json() for row in found], "unknown": list(stray)}
    )


def _text(found: Sequence[Row], stray: Sequence[str]) -> str:
    lines = [CREDIT, f"Owners: {OWNERS}", ""]
    for row in found:
        item = row.requirement
        lines.append(f"{item.id:8}{item.owners:5}{'owed, ' if item.owed else ''}{row.state}")
        lines.append(f"        {item.does}")
        if item.owed:
            lines.append(f"        Owed: {item.owed}")
        lines += [f"        {state.value:9}{node}" for node, state in row.tests.items()]
    lines += [f"{name:8}     carried by tests, but no requirement" for name in stray]
    held = sum(row.state is State.HELD for row in found)
    owed = sum(bool(row.requirement.owed) for row in found)
    return "\n".join([*lines, "", f"{held} of {len(found)} held, {owed} owed"])
