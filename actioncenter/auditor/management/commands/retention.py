"""`manage.py retention`: what is kept for how long, what is kept longer, and taking the rest out."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions.models.purging import old_artefacts
from actioncenter.audit.actor import Actor
from actioncenter.auditor import purging
from actioncenter.settings.models import LegalHold, Retention, RetentionError
from actioncenter.settings.models.retention import PRESETS, subject_of

BY = Actor.command("retention")
REFUSED = 1
FIGURES = ("days", "artefact_days", "click_days")


class Command(BaseCommand):
    help = "Take out what is older than the rule says, after the log's part of it was exported and verified."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        run = verbs.add_parser(
            "run", help="Purge, batch after batch. What is cut short goes on with the next run."
        )
        run.add_argument("--dry-run", action="store_true", help="Only say what the next batch would be.")
        verbs.add_parser("show", help="The rule, and what is held.")
        rule = verbs.add_parser(
            "set", help=f"Change the rule. Usual are {', '.join(map(str, PRESETS))} days."
        )
        rule.add_argument("--days", type=int, help="Actions, evidence and log; 180 at least.")
        rule.add_argument("--artefact-days", type=int, help="Files that connectors brought back.")
        rule.add_argument("--click-days", type=int, help="The log of clicks on signed links.")
        rule.add_argument("--reason", default="")
        for verb, what in (("hold", "Keep it until it is released"), ("release", "Let go of it")):
            each = verbs.add_parser(verb, help=f"{what}: A-1042 or INV-7.")
            each.add_argument("subject", type=subject)
            each.add_argument("--reason", required=True)
        for each in verbs.choices.values():
            each.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, verb: str, **options: Any) -> None:
        try:
            if verb == "run":
                said = self.planned() if options["dry_run"] else self.run()
            elif verb == "set":
                figures = {name: options[name] for name in FIGURES if options[name]}
                waits = Retention.change(by=BY, comment=options["reason"], **figures)
                said = Retention.current().figures | ({"waits_for_an_admin": str(waits)} if waits else {})
            elif verb == "show":
                said = self.shown()
            else:
                change = LegalHold.place if verb == "hold" else LegalHold.release
                change(options["subject"], by=BY, reason=options["reason"])
                said = self.shown()
        except (RetentionError, purging.Refused, OSError) as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        lines = [f"{name.replace('_', ' ')}: {value}" for name, value in said.items()]
        self.stdout.write(json.dumps(said) if options["json"] else "\n".join(lines))

    def planned(self) -> dict[str, Any]:
        before, artefacts_before, clicks_before = purging.limits()
        found = purging.prefix(before)
        return {
            "before": before.isoformat(), "seals": len(found.seals), "events": found.events if found.seals else 0,
            "actions": len(found.actions) if found.seals else 0,
            "artefacts": old_artefacts(artefacts_before).count(), "views": purging.old_views(before).count(),
            "clicks": purging.old_clicks(clicks_before).count(),
            "file": found.name if found.seals else "", "held_up": found.held_up,
        }  # fmt: skip

    def run(self) -> dict[str, Any]:
        if not purging.may_delete():
            raise CommandError("Only the owner of the tables may: set ACTIONCENTER_DATABASE_OWNER_URL.")
        batches = 0
        while purging.step(by=BY):
            batches += 1
        held_up = purging.prefix(purging.limits()[0]).held_up
        return {"batches": batches, "archives": str(purging.folder()), "held_up": held_up}

    def shown(self) -> dict[str, Any]:
        held = LegalHold.in_force().order_by("pk").values_list("subject", "reason")
        return {**Retention.current().figures, "holds": dict(held)}


def subject(text: str) -> str:
    """`A-5` or `INV-7` as the log calls them."""
    try:
        return subject_of(text)
    except RetentionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
