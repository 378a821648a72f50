"""`manage.py restored`: what is known of a restored database, and accepting it. Whoever has a shell is an admin."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions.models import restoring
from actioncenter.actions.queries import restored
from actioncenter.audit.actor import Actor
from actioncenter.settings import anchoring
from actioncenter.settings.models import RestoreError


class Command(BaseCommand):
    help = "Say whether the database is older than what was done with it; exit status 1 while it is held."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accept", action="store_true", help="let dispatch go on")
        parser.add_argument("--reason", default="", help="what was looked at; needed to accept")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, **options: Any) -> None:
        by = Actor.command("restored")
        state = anchoring.examine()
        if state.restored:
            # No runner needs to have seen it.
            anchoring.hold_dispatch(state, by=by)
        if options["accept"]:
            self.accept(options["reason"], by)
        told = restored.told()
        self.stdout.write(json.dumps(told) if options["json"] else _text(told))
        if told["held"]:
            raise SystemExit(1)

    def accept(self, reason: str, by: Actor) -> None:
        try:
            restoring.accept(by=by, comment=reason)
        except RestoreError as error:
            raise CommandError(str(error)) from error


def _text(told: dict[str, Any]) -> str:
    if not told["held"]:
        return f"Dispatch is not held. Epoch {told['epoch']}."
    lines = [
        f"Dispatch is held since {told['held_at']}: {told['reason']}",
        f"  hosts heard:        {', '.join(told['hosts'])}",
        f"  under way:          {told['open']}",
        f"  decided, not begun: {told['queued']}",
        f"  waiting:            {told['waiting']}",
        restored.ADVICE,
        "Then: manage.py restored --accept --reason '…'",
    ]
    return "\n".join(lines)
