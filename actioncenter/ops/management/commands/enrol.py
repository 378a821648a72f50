"""`manage.py enrol HOST`: pin a host's key, install the helper there, and let the connector reach it."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.audit.actor import Actor
from actioncenter.connectors.base import ConnectorError
from actioncenter.connectors.ssh import enrolling
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.connectors.ssh.schema import Options
from actioncenter.ops import enrolment


class Command(BaseCommand):
    help = "Enrol a Linux host: pin its key, install helper, right and trust, bind it to a device."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("host", nargs="?", default="", help="address or name")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--script", action="store_true", help="print what root has to run on each host, and enrol none"
        )
        how.add_argument(
            "--installed",
            action="store_true",
            help="that was run there: sign in as for an action, not as root",
        )
        parser.add_argument("--port", type=int, default=22)
        parser.add_argument("--name", help="of the device; else as the host is called here")
        parser.add_argument(
            "--fingerprint", help="SHA256:… of its host key, known from elsewhere; else you are asked"
        )
        parser.add_argument(
            "--as", dest="way", default="root", help="who signs in this once: root, or may sudo"
        )
        parser.add_argument("--key", default="", help="private key file of that account; else the agent's")
        parser.add_argument("--connector", default=enrolment.NAME)
        parser.add_argument(
            "--controller", action="append", default=[], help="address from which hosts see us"
        )
        parser.add_argument("--critical", action="store_true", help="nothing runs there without a person")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, **told: Any) -> None:
        by = Actor.command("enrol")
        try:
            instance = enrolment.connector(told["connector"], told["controller"], by=by)
            options, authority = Options.read(instance.settings), enrolment.authority()
            if told["script"]:
                self.stdout.write(enrolling.script(options.user, authority), ending="")
                return
            if not told["host"]:
                raise CommandError("Say which host, or --script.")
            pin = enrolling.shown_key(told["host"], told["port"], options.namespace)
            self._vouch(pin, told["fingerprint"])
            if told["installed"]:
                steps = enrolling.answers(pin, options, authority)
            else:
                way = enrolling.Way(told["way"], told["key"], options.namespace)
                steps = enrolling.enrol(pin, way, options.user, authority)
            name = told["name"] or told["host"]
            device = enrolment.register(instance, pin, name, by=by, critical=told["critical"])
        except (ConnectorError, enrolment.NotEnrolled) as error:
            raise CommandError(str(error)) from error
        if told["json"]:
            done = {"device": device.pk, "pin": str(pin), "steps": steps, "enabled": instance.enabled}
            self.stdout.write(json.dumps(done))
            return
        for what, of in steps:
            self.stdout.write(f"  {what}: {of}")
        self.stdout.write(f"{device.name} is device {device.pk}, reached through {instance.name} at {pin}")
        if not instance.enabled:
            self.stdout.write(f"Nothing is sent there yet: manage.py connector enable {instance.name!r}")

    def _vouch(self, pin: Pin, fingerprint: str | None) -> None:
        """A key is pinned only if somebody who knows it says so. Raises CommandError."""
        if fingerprint:
            if fingerprint != pin.fingerprint:
                raise CommandError(f"It shows another host key: {pin.algorithm} {pin.fingerprint}")
            return
        if not sys.stdin.isatty():
            raise CommandError(
                f"It shows {pin.algorithm} {pin.fingerprint}. If that is its key: --fingerprint"
            )
        self.stdout.write(
            f"It shows {pin.algorithm} {pin.fingerprint}\nCompare it on the host itself: ssh-keygen -lf"
        )
        if input("Is that its key? [y/N] ").strip().lower() != "y":
            raise CommandError("Nothing was changed.")
