"""`manage.py ingest`: alerts of a file or of standard input, each item in a transaction of its own."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DataError

from actioncenter.actions import intake
from actioncenter.actions.reasons import plain
from actioncenter.audit.actor import Actor
from investigations.intake.errors import ItemError
from investigations.intake.recognise import FORMATS, Item, read

RESULTS = ("created", "updated", "unchanged", "rejected")
REJECTED = "rejected"


class Command(BaseCommand):
    help = "Takes in alerts of a file: the product's own format, Microsoft Graph, Defender, OCSF or Wazuh."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a JSON document or JSON lines; - reads standard input")
        parser.add_argument("--format", choices=FORMATS, default="", help="default: recognised item by item")
        parser.add_argument("--source", default="", help="name of the source; default: what the items say")
        parser.add_argument("--json", action="store_true", help="one JSON object per item")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.command("ingest")
        counted: Counter[str] = Counter()
        with _opened(options["file"]) as stream:
            for item in read(stream, options["format"], options["source"]):
                told = _taken(item, by=by)
                counted[told["result"]] += 1
                self.stdout.write(json.dumps(told) if options["json"] else _sentence(told))
        if not options["json"]:
            self.stdout.write(", ".join(f"{counted[result]} {result}" for result in RESULTS))
        if counted[REJECTED]:
            sys.exit(1)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as stream:
            yield stream
    except OSError as error:
        raise CommandError(f"{name} can't be read: {error.strerror}") from error


def _taken(item: Item | ItemError, *, by: Actor) -> dict[str, Any]:
    if isinstance(item, ItemError):
        return {"line": item.line, "result": REJECTED, "field": item.field, "reason": item.reason}
    alerts = [alert.external_id for alert in item.document.alerts]
    told = {"line": item.line, "format": item.format, "source": item.document.source, "alerts": alerts}
    try:
        receipt = intake.record(item.document, by=by)
    except DataError:
        return told | {"result": REJECTED, "field": "", "reason": "holds a value that can't be stored"}
    recorded = receipt.recorded
    return told | {
        "result": recorded.result.value,
        "investigations": list(recorded.investigations),
        "evidence": len(recorded.evidence),
        "actions": [action.pk for action in receipt.actions],
    }


def _sentence(told: dict[str, Any]) -> str:
    start = f"line {told['line']}: {told['result']}"
    if told["result"] == REJECTED:
        return plain(": ".join(filter(None, (start, told["field"], told["reason"]))))
    places = ", ".join(f"INV-{pk}" for pk in told["investigations"]) or "not investigated"
    actions = f", {len(told['actions'])} new actions" if told["actions"] else ""
    return plain(f"{start} {told['format']} {', '.join(told['alerts'])} ({places}{actions})")
