"""`manage.py audit redact`: two people, each with their password, take personal text out of an event."""

import argparse
import getpass
import sys
import time
from typing import Any, Final

from django.contrib.auth import authenticate
from django.core.management.base import CommandError

from actioncenter.accounts import attempts
from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via
from actioncenter.auditor import redacting
from actioncenter.auditor.enums import RedactionState
from actioncenter.auditor.models import RedactionError, RedactionRequest

SHELL: Final = "command line"
"""Where passwords are tried from, as far as failures are counted."""
BY: Final = Actor.command("audit redact")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="step", required=True)
    request = verbs.add_parser("request", help="Ask for it; another admin decides.")
    request.add_argument("event", type=int, help="Number of the event.")
    request.add_argument(
        "--field", action="append", required=True, dest="fields", metavar="PATH",
        help="subject_name, or a text in before, after or detail, such as detail.comment.",
    )  # fmt: skip
    request.add_argument(
        "--reason", required=True, help="Stands in the log: name nothing that must not be there."
    )
    approve = verbs.add_parser("approve", help="Agree: the text is taken out at once, for good.")
    reject = verbs.add_parser("reject", help="The text stays.")
    reject.add_argument("--reason", required=True)
    for each in (approve, reject):
        each.add_argument("number", type=int, help="As `redact list` gives it.")
    for each in (request, approve, reject):
        each.add_argument("--as", required=True, dest="username", metavar="USERNAME", help="An admin.")
        each.add_argument(
            "--password-stdin", action="store_true", help="Read it from the first line of the input."
        )
    verbs.add_parser("list", help="What was asked for, and what came of it.")
    for each in verbs.choices.values():
        each.add_argument("--json", action="store_true", help="Print one JSON object.")


def carry_out(step: str, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What to say, for programs and for people. Raises CommandError."""
    if step == "list":
        rows = [_said(row) for row in RedactionRequest.objects.order_by("pk")]
        return {"redactions": rows}, "\n".join(map(_told, rows)) or "Nobody has asked for a redaction."
    try:
        row = _step(step, options, by=_person(options["username"], from_stdin=options["password_stdin"]))
    except RedactionError as error:
        raise CommandError(str(error)) from error
    row.refresh_from_db()
    said = _said(row)
    return said, _told(said)


def _step(step: str, options: dict[str, Any], *, by: Actor) -> RedactionRequest:
    if step == "request":
        return RedactionRequest.request(options["event"], options["fields"], by=by, reason=options["reason"])
    row = RedactionRequest.objects.filter(pk=options["number"]).first()
    if row is None:
        raise CommandError(f"There is no redaction {options['number']}.")
    if step == "reject":
        row.reject(by=by, reason=options["reason"])
    elif redacting.may_change():
        redacting.approve(row, by=by)
    else:
        raise CommandError("Only the owner of the tables may: set ACTIONCENTER_DATABASE_OWNER_URL.")
    return row


def _person(username: str, *, from_stdin: bool) -> Actor:
    """Who has just shown who they are, at this shell."""
    if attempts.too_many(username, SHELL):
        raise CommandError("Too many wrong passwords. Try again in five minutes.")
    password = (
        sys.stdin.readline().rstrip("\r\n") if from_stdin else getpass.getpass(f"Password of {username}: ")
    )
    user = authenticate(username=username, password=password)
    if not isinstance(user, User):
        attempts.record_failure(username, SHELL, by=BY)
        raise CommandError("That is not their password.")
    return user.actor(Via.COMMAND, proved_at=time.time())


def _said(row: RedactionRequest) -> dict[str, Any]:
    return {
        "redaction": row.pk, "event": row.event, "fields": row.fields, "state": RedactionState(row.state).name.lower(),
        "requested_by": row.requested_by_name, "decided_by": row.decided_by_name, "reason": row.reason,
    }  # fmt: skip


def _told(said: dict[str, Any]) -> str:
    by = f" by {said['decided_by']}" if said["decided_by"] else ""
    what = f"{said['redaction']}: event {said['event']}, {', '.join(said['fields'])}"
    return f"{what}: {said['state']}{by}. {said['requested_by']} asked: {said['reason']}"
