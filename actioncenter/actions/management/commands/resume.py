"""`manage.py resume`: let go of what was stopped or paused. Whoever has a shell here is an admin."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from actioncenter.actions import dispatch
from actioncenter.actions.management import switching
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import StopKind
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import StopError


class Command(BaseCommand):
    help = "Resume what was stopped. Whatever waits passes all gates again before it is sent."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        switching.add_what(parser)
        parser.add_argument("--pause", action="store_true", help="only a pause, not a stop")
        parser.add_argument("--reason", required=True, help="what has changed since")

    def handle(self, **options: Any) -> None:
        switching.be_impatient()
        scope, value = switching.wanted(options)
        rows = Stop.objects.in_force().filter(scope=scope, value=value).order_by("pk")
        if options["pause"]:
            rows = rows.filter(kind=StopKind.PAUSE)
        try:
            with transaction.atomic():
                by = Actor.command("resume")
                lifted = [row for row in rows if row.lift(by=by, comment=options["reason"])]
        except StopError as error:
            raise CommandError(str(error)) from error
        dispatch.wake()
        left = list(Stop.objects.in_force().order_by("pk"))
        self.tell(lifted, left, as_json=options["json"])

    def tell(self, lifted: list[Stop], left: list[Stop], *, as_json: bool) -> None:
        if as_json:
            answer = {"resumed": [row.pk for row in lifted], "in_force": [row.pk for row in left]}
            self.stdout.write(json.dumps(answer))
            return
        lines = [f"{row.what} is resumed (number {row.pk})." for row in lifted] or ["Nothing was resumed."]
        lines += [f"Still in force: {row.title} (number {row.pk})." for row in left]
        self.stdout.write("\n".join(lines))
