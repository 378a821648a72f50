"""`manage.py keys`: which keys this host has, and rotating them. Prints ids, never a key."""

import json
import time
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.ops.management import reencrypting, rotating
from actioncenter.ops.management.operator import operator
from actioncenter.ops.management.rotating import FILES, Key, NotNow, NotYet

PATIENCE: Final = 100
"""Seconds; parts read the folder anew each half minute."""


class Command(BaseCommand):
    help = "List and rotate the keys of this installation."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        list_ = verbs.add_parser("list", help="Ids of the keys on this host.")
        add = verbs.add_parser("add", help="Make the next key and use it for nothing yet: for several hosts.")
        rotate = verbs.add_parser(
            "rotate", help="Use the next key, made if needed, once every part has read it."
        )
        retire = verbs.add_parser("retire", help="Let an old key count for nothing any more.")
        again = verbs.add_parser("reencrypt", help="Bring what is stored under the current field key.")
        for each in (add, rotate, retire):
            each.add_argument("name", choices=FILES)
        retire.add_argument("id", help="As in the list.")
        for each in (rotate, retire):
            each.add_argument(
                "--anyway", action="store_true", help="Whatever parts that were heard within a day have."
            )
            each.add_argument("--wait", type=int, default=PATIENCE, metavar="SECONDS")
        rotate.add_argument(
            "--old-key-lost", action="store_true", help="signing: without a handover; verifiers will say so."
        )
        rotate.add_argument("--reason", default="", help="With --old-key-lost.")
        for each in (list_, add, rotate, retire, again):
            each.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            said, text = getattr(self, f"_{verb}")(options)
        except (NotNow, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(said) if options["json"] else text)

    def _list(self, options: dict[str, Any]) -> tuple[Any, str]:
        rows = rotating.listed()
        return {"keys": rows}, "\n".join(map(_line, rows))

    def _add(self, options: dict[str, Any]) -> tuple[Any, str]:
        key = Key(options["name"])
        made = rotating.add(key, by=operator("keys"))
        text = f"The next key is {made}. Copy {key.file}.next to every host, then: manage.py keys rotate {key.name}"
        return {"next": made}, text

    def _rotate(self, options: dict[str, Any]) -> tuple[Any, str]:
        key, by = Key(options["name"]), operator("keys")
        if options["old_key_lost"]:
            if key.name != "signing":
                raise CommandError(
                    "Only signing has --old-key-lost; see docs/operator/keys.md for the others."
                )
            used = rotating.sign_anew(by=by, reason=options["reason"])
        else:
            rotating.add(key, by=by)
            used = self._patiently(options, lambda: rotating.rotate(key, by=by, anyway=options["anyway"]))
        return {"current": used}, f"The current key of {key.name} is {used}. See `manage.py keys list`."

    def _retire(self, options: dict[str, Any]) -> tuple[Any, str]:
        key, gone, by = Key(options["name"]), options["id"], operator("keys")
        self._patiently(options, lambda: rotating.retire(key, gone, by=by, anyway=options["anyway"]))
        return {"retired": gone}, f"The key {gone} counts for nothing new any more."

    def _reencrypt(self, options: dict[str, Any]) -> tuple[Any, str]:
        done = reencrypting.reencrypt(by=operator("keys"))
        return done, ", ".join(f"{number} {name}" for name, number in done.items())

    def _patiently(self, options: dict[str, Any], step: Any) -> Any:
        until = time.monotonic() + options["wait"]
        while True:
            try:
                return step()
            except NotYet as error:
                if time.monotonic() > until:
                    raise NotNow(f"{error} Nothing was changed; do it again then.") from error
                time.sleep(1)


def _line(row: dict[str, Any]) -> str:
    more = [f"{word} {', '.join(row[word])}" for word in ("old", "retired") if row[word]]
    return "  ".join(
        [f"{row['name']:17}{row['current']}", *([f"next {row['next']}"] * bool(row["next"])), *more]
    )
