"""`manage.py runner`: carries out what was decided, until it is told to stop."""

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions import housekeeping
from actioncenter.actions.execution.loop import THREADS, Runner
from actioncenter.audit import guard
from actioncenter.audit.actor import Actor


class Command(BaseCommand):
    help = "Carry out decided actions and do the housekeeping. Stop it with Ctrl-C or SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=THREADS, help=f"work in so many, {THREADS} unless given"
        )

    def handle(self, **options: Any) -> None:
        if options["threads"] < 1:
            raise CommandError("A runner needs at least one thread.")
        guard.begin()
        by = Actor.system("runner")
        runner = Runner(by=by, threads=options["threads"])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: runner.stop())
        with housekeeping.beside(runner.stopping, by=by):
            self.stdout.write("runner is working")
            runner.run()
