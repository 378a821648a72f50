"""`manage.py estate up|down|status`: a real test estate on this machine."""

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.connectors.base import ConnectorError
from actioncenter.estate import hosts
from actioncenter.estate.mail import lifecycle as mail
from actioncenter.estate.services import ServiceFailed, ServiceMissing
from actioncenter.ops.enrolment import NotEnrolled

MOST_MAILBOXES: Final = 1000


class Command(BaseCommand):
    help = "Start, remove or look at real hosts and a real mail server to try the product on. Never point real data at them."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("up", "down", "status"))
        parser.add_argument("--hosts", type=int, help="so many hosts in namespaces (needs root)")
        parser.add_argument("--mailboxes", type=int, help="a Dovecot with so many mailboxes")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, what: str, json: bool, **options: Any) -> None:
        if what == "up":
            self._say(self._up(options["hosts"], options["mailboxes"]), json)
        elif what == "down":
            self._say({"hosts": hosts.down(), "mail": mail.down()}, json)
        else:
            self._say({"hosts": hosts.status(), "mail": mail.status()}, json)

    def _up(self, number: int | None, mailboxes: int | None) -> dict[str, Any]:
        if number is None and mailboxes is None:
            raise CommandError("Say what to start: --hosts N, --mailboxes N or both.")
        if mailboxes is not None and not 1 <= mailboxes <= MOST_MAILBOXES:
            raise CommandError(f"--mailboxes takes a number from 1 to {MOST_MAILBOXES}.")
        told: dict[str, Any] = {}
        try:
            if number is not None:
                told["hosts"] = hosts.up(number)
            if mailboxes is not None:
                told["mail"] = mail.up(mailboxes)
        except (mail.AlreadyUp, ServiceMissing, ServiceFailed, ConnectorError, NotEnrolled) as reason:
            raise CommandError(str(reason)) from reason
        return told

    def _say(self, told: dict[str, Any], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(told))
            return
        for name, value in told.items():
            shown = value if isinstance(value, dict) else {"": "removed" if value else "none"}
            self.stdout.write("\n".join(f"{name:6}{key:13}{each}" for key, each in shown.items()))
