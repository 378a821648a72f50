"""`manage.py hosts`: the parts of this installation as they described themselves, and which keys are right."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.audit.actor import Actor
from actioncenter.settings import describing
from actioncenter.settings.models import Host


class Command(BaseCommand):
    help = "List hosts; exit status 1 while one of them has other keys than the installation."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--accept-keys", action="store_true", help="the keys of this machine are the right ones"
        )
        parser.add_argument("--reason", default="", help="why; needed with --accept-keys")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, **options: Any) -> None:
        if options["accept_keys"]:
            try:
                describing.take_for_the_installations(by=Actor.command("hosts"), comment=options["reason"])
            except describing.KeysError as error:
                raise CommandError(str(error)) from error
        rows = [_told(row) for row in describing.heard_of()]
        here = describing.differing()
        if options["json"]:
            self.stdout.write(json.dumps({"hosts": rows, "differs_here": here}))
        else:
            self.stdout.write("\n".join(map(_line, rows)) or "No part has described itself yet.")
        if here or any(row["differs"] for row in rows):
            raise SystemExit(1)


def _told(row: Host) -> dict[str, Any]:
    return {
        "name": row.name,
        "part": row.part,
        "version": row.version,
        "skew": row.skew,
        "seen_at": row.seen_at.isoformat(timespec="seconds"),
        "differs": describing.differing_of(row),
    }


def _line(row: dict[str, Any]) -> str:
    keys = f"other keys: {', '.join(row['differs'])}" if row["differs"] else "same keys"
    return f"{row['part']:8}{row['name']:30} {row['version']:10} seen {row['seen_at']}  {keys}"
