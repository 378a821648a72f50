"""`manage.py stop`: stop or pause execution, without web server and broker, and see who has heard it."""

import json
import sys
import time
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from actioncenter.actions import dispatch
from actioncenter.actions.execution import beating, watching
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.management import switching
from actioncenter.actions.queries import runners, stopped
from actioncenter.actions.queries.runners import RollCall
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import StopKind, StopSource
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import StopError, write_stop_file
from actioncenter.web.clock import database_now

WAIT: Final = 5.0
"""Seconds for the runners to acknowledge."""
LOOK_EVERY: Final = 0.1
UNHEARD: Final = timedelta(seconds=2)
"""A living runner beats more often, so one elsewhere with this machine's name isn't taken for dead."""


class Command(BaseCommand):
    help = "Stop or pause execution. Exit status 1 if a runner has not acknowledged; the stop holds anyway."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        switching.add_what(parser)
        parser.add_argument("--pause", action="store_true", help="let what is under way end")
        parser.add_argument("--minutes", type=int, help="end the pause after so many minutes")
        parser.add_argument("--reason", required=True, help="why; everybody reads it")

    def handle(self, **options: Any) -> None:
        try:
            switching.be_impatient()
            stop = self.pull(options)
        except Error as error:
            self.write_file(options, error)
            return
        dispatch.wake()
        try:
            call = self.wait_for(stop)
            in_flight = stopped.in_flight(stop)
        except Error as error:
            # It is committed; only the roll call is missing.
            raise CommandError(f"{stop.title}. Who has heard it isn't known: {error}") from error
        self.tell(stop, call, in_flight, as_json=options["json"])
        if not call.complete:
            sys.exit(1)

    def pull(self, options: dict[str, Any]) -> Stop:
        kind = StopKind.PAUSE if options["pause"] else StopKind.STOP
        minutes = options["minutes"]
        if minutes is not None and not 1 <= minutes <= 60 * 24 * 30:
            raise CommandError("--minutes is between 1 and 43200.")
        scope, value = switching.wanted(options)
        until = database_now() + timedelta(minutes=minutes) if minutes else None
        try:
            return Stop.pull(
                kind, scope, value, by=Actor.command("stop"), reason=options["reason"],
                source=StopSource.COMMAND, until=until,
            )  # fmt: skip
        except StopError as error:
            raise CommandError(str(error)) from error

    def wait_for(self, stop: Stop) -> RollCall:
        """Until every runner has acknowledged; who is silent then raises the alarm.

        One that was killed on this machine isn't waited for: no process of its number is there.
        """
        deadline = time.monotonic() + WAIT
        while True:
            beating.bury_the_dead(runner_name(), unheard_for=UNHEARD)
            call = runners.roll_call(stop.pk, runners.known())
            if call.complete or time.monotonic() > deadline:
                break
            time.sleep(LOOK_EVERY)
        watching.raise_alarms(Actor.command("stop"))
        return call

    def write_file(self, options: dict[str, Any], error: Exception) -> None:
        """The way that needs no database. It stops everything, so it stands in for nothing less."""
        if options["pause"] or not switching.means_everything(options):
            raise CommandError(
                f"The database can't be used: {error}\nWithout it only everything can be stopped: "
                "leave the other options out."
            ) from error
        path = write_stop_file(options["reason"])
        text = f"The database can't be used ({error}), so the stop file was written: {path}\n"
        text += "Runners that share this folder send nothing while it exists."
        unknown: dict[str, Any] = {"stop": None, "acknowledged": [], "silent": [], "in_flight": None}
        self.stdout.write(json.dumps(unknown | {"file": str(path)}) if options["json"] else text)

    def tell(self, stop: Stop, call: RollCall, in_flight: int, *, as_json: bool) -> None:
        silent = [*call.waited_for, *call.silent]
        if as_json:
            answer = {"stop": stop.pk, "file": None, "acknowledged": call.acknowledged, "silent": silent}
            self.stdout.write(json.dumps(answer | {"in_flight": in_flight, "title": stop.title}))
            return
        lines = [f"{stop.title} (number {stop.pk})."]
        lines += [f"  acknowledged: {name}" for name in call.acknowledged]
        lines += [f"  silent:       {name}" for name in silent]
        if not call.acknowledged and not silent:
            lines.append("  no runner is working")
        lines.append(f"  in flight:    {in_flight}")
        if silent:
            lines.append("Nothing new is begun all the same: a runner asks the database before it sends.")
        self.stdout.write("\n".join(lines))
