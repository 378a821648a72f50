"""`manage.py runner`: carries out what was decided, until it is told to stop."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from actioncenter.actions import housekeeping
from actioncenter.actions.execution.loop import Runner
from actioncenter.audit import triggers
from actioncenter.audit.actor import Actor


class Command(BaseCommand):
    help = "Carry out decided actions and do the housekeeping. Stop it with Ctrl-C or SIGTERM."

    def handle(self, **options: Any) -> None:
        triggers.require()
        by = Actor.system("runner")
        runner = Runner(by=by)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: runner.stop())
        with housekeeping.beside(runner.stopping, by=by):
            self.stdout.write("runner is working")
            runner.run()
