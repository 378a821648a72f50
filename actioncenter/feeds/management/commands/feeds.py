"""`manage.py feeds`: who pulls the block list, whether actions use it, and signed links."""

import json
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from actioncenter.audit.actor import Actor
from actioncenter.feeds import links
from actioncenter.feeds.enums import FILES, FeedFormat
from actioncenter.feeds.models import BlockList, Consumer, ConsumerError
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding

KIND: Final = "feeds"
NAME: Final = "Block list"
PRIORITY: Final = 50
"""Before the simulator and before whatever else reaches the tenant, unless an admin says otherwise."""
BY: Final = Actor.command("feeds")


class Command(BaseCommand):
    help = "Make and revoke consumers of the block list, let actions use it, sign links."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="Each consumer with what it has.")
        verbs.add_parser("enable", help="Block URL uses the list from now on.")
        verbs.add_parser("disable", help="Block URL no longer uses it; what is blocked stays blocked.")
        add = verbs.add_parser("add", help="Make a consumer; its token is shown once.")
        add.add_argument("name")
        add.add_argument("format", choices=[each.name.lower() for each in FeedFormat])
        revoke = verbs.add_parser("revoke", help="Its token opens nothing any more.")
        revoke.add_argument("name")
        link = verbs.add_parser("link", help="A signed link to the click page.")
        link.add_argument("url")
        link.add_argument("--recipient", default="", help="whom it is for, as the log of clicks will say")
        for each in verbs.choices.values():
            each.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            said = getattr(self, f"_{verb}")(options)
        except (ConsumerError, links.BadLink) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(said) if options["json"] else "\n".join(_lines(said)))

    def _list(self, options: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "name": row.name,
                "format": FeedFormat(row.format).name.lower(),
                "pulled_version": row.pulled_version,
                "pulled_at": row.pulled_at and row.pulled_at.isoformat(timespec="seconds"),
            }
            for row in Consumer.objects.filter(revoked_at=None)
        ]
        in_use = ConnectorInstance.objects.filter(kind=KIND, enabled=True).exists()
        return {"version": BlockList.current(), "in_use": in_use, "consumers": rows}

    def _add(self, options: dict[str, Any]) -> dict[str, Any]:
        form = FeedFormat[options["format"].upper()]
        made, token = Consumer.add(options["name"], form, by=BY)
        return {"added": made.name, "address": f"{settings.PUBLIC_URL}/feeds/{FILES[form]}", "token": token}

    def _revoke(self, options: dict[str, Any]) -> dict[str, Any]:
        row = Consumer.objects.filter(name=options["name"], revoked_at=None).first()
        if row is None:
            raise ConsumerError("name", f"There is no consumer {options['name']}.")
        row.revoke(by=BY)
        return {"revoked": row.name}

    def _enable(self, options: dict[str, Any]) -> dict[str, Any]:
        with transaction.atomic():
            instance = ConnectorInstance.objects.filter(kind=KIND).first()
            if instance is None:
                instance = ConnectorInstance.add(KIND, NAME, {}, by=BY, priority=PRIORITY)
                Binding.reach(instance, by=BY)
            lowered = instance.enable(by=BY)
        return {"enabled": instance.name, "lowered": lowered}

    def _disable(self, options: dict[str, Any]) -> dict[str, Any]:
        instance = ConnectorInstance.objects.filter(kind=KIND).first()
        if instance is None or not instance.disable(by=BY):
            raise CommandError("Actions don't use the block list.")
        return {"disabled": instance.name}

    def _link(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"link": settings.PUBLIC_URL + links.make(options["url"], options["recipient"])}


def _lines(said: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {value}" for name, value in said.items() if not isinstance(value, list)]
    lines += map(_line, said.get("consumers", []))
    if said.get("lowered"):
        lines.append(
            f"Set to Semi - all folders until somebody confirms a level: {', '.join(said['lowered'])}"
        )
    return lines


def _line(row: dict[str, Any]) -> str:
    pulled = row["pulled_at"] or "never pulled"
    return f"{row['name']:30} {row['format']:8} version {row['pulled_version']} {pulled}"
