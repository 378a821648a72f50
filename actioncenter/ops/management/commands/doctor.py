"""`manage.py doctor`: what is wrong with this installation and what to do. Needs no running server."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from actioncenter.ops.doctor import checking
from actioncenter.ops.doctor.finding import Finding, Grade
from actioncenter.web.text import in_plain_text as visible


class Command(BaseCommand):
    help = "Say what is wrong with this installation and what to do; exit status 1 if anything is an error."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, **options: Any) -> None:
        found = checking.examine()
        ok = all(finding.grade is not Grade.ERROR for finding in found)
        answer = {"ok": ok, "findings": [finding.as_json() for finding in found]}
        self.stdout.write(json.dumps(answer) if options["json"] else _text(found))
        if not ok:
            raise SystemExit(1)


def _text(found: list[Finding]) -> str:
    lines = []
    for finding in found:
        lines += [f"{finding.grade.upper():8}{visible(finding.what)}  [{finding.code}]"]
        lines += [f"        {visible(finding.means)}", f"        → {visible(finding.do)}"]
    return "\n".join(lines) or "Everything that could be checked is sound."
