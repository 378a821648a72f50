"""`manage.py connector list|enable|disable`: which systems the product may reach."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.audit.actor import Actor
from actioncenter.settings.models import ConnectorInstance


class Command(BaseCommand):
    help = "List connectors, enable or disable one."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["list", "enable", "disable"])
        parser.add_argument("name", nargs="?")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, what: str, name: str | None, **told: Any) -> None:
        if what == "list":
            self._list(as_json=told["json"])
            return
        instance = ConnectorInstance.objects.filter(name__iexact=name or "").first()
        if instance is None:
            raise CommandError("There is no connector of that name: manage.py connector list")
        by = Actor.command("connector")
        lowered: list[str] = []
        if what == "enable":
            lowered = instance.enable(by=by)
        else:
            instance.disable(by=by)
        if told["json"]:
            self.stdout.write(
                json.dumps({"name": instance.name, "enabled": instance.enabled, "lowered": lowered})
            )
            return
        self.stdout.write(f"{instance.name} is {'enabled' if instance.enabled else 'disabled'}.")
        if lowered:
            told_of = ", ".join(lowered)
            self.stdout.write(f"Set to Semi - all folders until somebody confirms a level: {told_of}")

    def _list(self, *, as_json: bool) -> None:
        rows = [
            {
                "name": each.name,
                "kind": each.kind,
                "enabled": each.enabled,
                "health": each.health.get("detail", ""),
            }
            for each in ConnectorInstance.objects.all()
        ]
        if as_json:
            self.stdout.write(json.dumps({"connectors": rows}))
            return
        for row in rows:
            state = "enabled" if row["enabled"] else "disabled"
            self.stdout.write(f"{row['name']:30} {row['kind']:12} {state:9} {row['health']}")
