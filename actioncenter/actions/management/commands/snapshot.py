"""`manage.py snapshot`: read what was open when everything was stopped."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions.execution import snapshots


class Command(BaseCommand):
    help = "List the snapshots of stops, or print the rows of one. Fails if it isn't the one that was taken."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", nargs="?", type=int, help="number of the stop")
        parser.add_argument("--json", action="store_true", help="one JSON list")

    def handle(self, *, number: int | None, **options: Any) -> None:
        try:
            rows = snapshots.kept() if number is None else self.rows_of(number)
        except snapshots.Unreadable as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        else:
            self.stdout.write("\n".join(map(json.dumps, rows)) or "None was taken.")

    def rows_of(self, number: int) -> list[dict[str, Any]]:
        return [row for text in snapshots.texts(number) for row in json.loads(text)]
