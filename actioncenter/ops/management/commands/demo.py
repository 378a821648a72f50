"""`manage.py demo`: an invented company to look around in, on the simulator."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from actioncenter.actions.execution.loop import drain
from actioncenter.ops import demo_people
from actioncenter.ops.demo import loading


class Command(BaseCommand):
    help = "Load the demo: people, device groups, findings and a history. A second time changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--password", help="of the demo people who don't exist yet; else one is made up")

    def handle(self, *, password: str | None = None, verbosity: int = 1, **options: Any) -> None:
        if loading.is_loaded():
            self.say("The demo is loaded already.", verbosity)
            return
        try:
            loading.require_simulator_alone()
        except loading.NotHere as reason:
            self.say(f"The demo was not loaded. {reason}", 1)
            return
        given = password or secrets.token_urlsafe(9)
        missing = demo_people.ensure(given)
        loading.load(drain, lambda part: self.say(f"  {part} ...", verbosity))
        if missing and not password:
            self.say(f"Sign in as one of: {', '.join(missing)}\nPassword (shown only now): {given}", 1)

    def say(self, text: str, verbosity: int) -> None:
        if verbosity:
            self.stdout.write(text)
            self.stdout.flush()
