"""`manage.py streams`: who gets copies of seals and the events, and how far each has them."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.audit.actor import Actor
from actioncenter.ops.management.operator import operator
from actioncenter.settings.models import Destination, DestinationError
from actioncenter.settings.models.streams import newest_seal


class Command(BaseCommand):
    help = "Send seals or events to syslog and webhooks; exit status 1 while one of them fails."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        list_ = verbs.add_parser(
            "list", help="Each with what it has, why it failed, and when it is tried again."
        )
        add = verbs.add_parser("add", help="Send from now on.")
        add.add_argument("name")
        add.add_argument(
            "address", help="https://host/path, syslog+tls://host:port, syslog+tcp://… or syslog+udp://…"
        )
        add.add_argument("--what", choices=("seals", "events"), required=True)
        add.add_argument(
            "--secret-file", type=Path, help="webhook: the key that signs; else one is made and shown once"
        )
        add.add_argument("--ca", type=Path, metavar="PEM", help="trust certificates of this authority alone")
        add.add_argument("--so-far", action="store_true", help="with all that is sealed already")
        others = [verbs.add_parser(verb) for verb in ("enable", "disable", "remove")]
        for each in others:
            each.add_argument("name")
        for each in (list_, add, *others):
            each.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        by = operator("streams")
        try:
            if verb == "list":
                return self._list(as_json=options["json"])
            said = self._add(options, by) if verb == "add" else self._change(verb, options["name"], by)
        except (DestinationError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            json.dumps(said) if options["json"] else "\n".join(f"{key}: {said[key]}" for key in said)
        )
        return None

    def _add(self, options: dict[str, Any], by: Actor) -> dict[str, Any]:
        file, web = options["secret_file"], options["address"].startswith("http")
        made = secrets.token_urlsafe(32) if web and file is None else ""
        row = Destination.add(
            name=options["name"],
            address=options["address"],
            what=options["what"],
            secret=file.read_text(encoding="utf-8").strip() if file else made,
            ca=options["ca"].read_text(encoding="ascii") if options["ca"] else "",
            so_far=options["so_far"],
            by=by,
        )
        return {"added": row.name, **({"secret, shown once": made} if made else {})}

    def _change(self, verb: str, name: str, by: Actor) -> dict[str, Any]:
        row = Destination.objects.filter(name=name).first()
        if row is None:
            raise DestinationError("name", f"There is no destination {name}.")
        if verb == "remove":
            row.remove(by=by)
        else:
            row.switch(on=verb == "enable", by=by)
        return {f"{verb}d": name}

    def _list(self, *, as_json: bool) -> None:
        newest = newest_seal()
        rows = [_told(row, newest) for row in Destination.objects.all()]
        text = json.dumps({"streams": rows}) if as_json else "\n".join(map(_line, rows))
        self.stdout.write(text or "The log is sent nowhere.")
        if any(row["enabled"] and row["failures"] for row in rows):
            raise SystemExit(1)


def _told(row: Destination, newest: int) -> dict[str, Any]:
    moments = {
        name: at and at.isoformat(timespec="seconds")
        for name, at in (
            ("delivered_at", row.delivered_at),
            ("failed_at", row.failed_at),
            ("next_try_at", row.next_try_at),
        )
    }
    return {
        "name": row.name, "address": row.address, "what": row.what, "enabled": row.enabled, "seal": row.seal,
        "position": row.position, "behind": row.behind_by(newest), "failures": row.failures, "error": row.error, **moments,
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    state = (
        "off"
        if not row["enabled"]
        else f"{row['failures']} failures: {row['error']}"
        if row["failures"]
        else "ok"
    )
    return f"{row['name']:20} {row['what']:6} seal {row['seal']}, {row['behind']} behind, {state}  {row['address']}"
