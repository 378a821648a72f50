"""`manage.py snapshot`: read what was open when everything was stopped."""

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions.execution import snapshots
from actioncenter.audit.actor import Actor

BY: Final = Actor.command("snapshot")


class Command(BaseCommand):
    help = "List the snapshots of stops, or print the rows of one. Fails if it isn't the one that was taken. Printing is recorded."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", nargs="?", type=int, help="number of the stop")
        parser.add_argument("--json", action="store_true", help="one JSON list")

    def handle(self, *, number: int | None, **options: Any) -> None:
        try:
            rows = snapshots.kept() if number is None else snapshots.handed_out(number, by=BY)
        except snapshots.Unreadable as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        else:
            self.stdout.write("\n".join(map(json.dumps, rows)) or "None was taken.")
