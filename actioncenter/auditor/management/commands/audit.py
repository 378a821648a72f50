"""`manage.py audit verify`: is the log as it was written?"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from actioncenter.audit.verify import BadRow, Verification


class Command(BaseCommand):
    help = "Work with the audit log."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="Recompute every chain; exit 1 and name the first bad row.")
        verify.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        verification = Verification()
        bad = next(verification.bad_rows(), None)
        self._print_json(verification, bad) if options["json"] else self._print(verification, bad)
        if bad is not None:
            raise SystemExit(1)

    def _print_json(self, verification: Verification, bad: BadRow | None) -> None:
        answer = {
            "ok": bad is None,
            "events": verification.events,
            "streams": verification.streams,
            "first_bad": bad and bad.as_json(),
        }
        self.stdout.write(json.dumps(answer))

    def _print(self, verification: Verification, bad: BadRow | None) -> None:
        if bad is None:
            self.stdout.write(
                f"{verification.events} events in {verification.streams} streams are as written."
            )
        else:
            self.stdout.write(f"{bad.fault}: {bad.stream} number {bad.seq} (row {bad.id}): {bad.message}.")
