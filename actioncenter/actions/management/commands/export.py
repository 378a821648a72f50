"""`manage.py export`: Pending or History as a file, as the pages make it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.http import QueryDict
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Area
from actioncenter.actions.exporting import FORMATS, export
from actioncenter.actions.permissions import Rights, rights_of
from actioncenter.actions.queries import Tab, Viewer
from actioncenter.actions.views.state import ListState
from actioncenter.audit.actor import Actor
from actioncenter.settings.access import Scope
from actioncenter.web.keyset import BadToken

EVERYTHING = Rights(roles=frozenset(), scope=Scope(groups=None, areas=frozenset(Area)))
"""Somebody with a shell on the server can read the database anyway."""


class Command(BaseCommand):
    help = "Write Pending or History to a file: every row, times in UTC. It is recorded in the audit log."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tab", choices=[tab.value for tab in Tab])
        parser.add_argument("--format", choices=sorted(FORMATS), default="csv")
        parser.add_argument(
            "--out", type=Path, metavar="FILE", help="made anew; standard output unless given"
        )
        parser.add_argument(
            "--query", default="", metavar="ADDRESS", help='what stands after ? in a list\'s address: "type=isolate&since=week"'
        )  # fmt: skip
        parser.add_argument("--as", dest="who", metavar="USER", help="only what this person may see")

    def handle(self, *, tab: str, who: str | None, out: Path | None, **options: Any) -> None:
        state = _state(Tab(tab), options["query"].lstrip("?"), _viewer(who))
        pieces = export(state.listing, options["format"], by=Actor.command("export"), address=state.url())
        with _file(out) as file:
            for piece in pieces:
                file.write(piece)


def _viewer(who: str | None) -> Viewer:
    """Raises CommandError for a person that isn't there."""
    if who is None:
        return Viewer(user=User(), rights=EVERYTHING, now=timezone.now())
    person = User.objects.filter(username=who).first()
    if person is None:
        raise CommandError(f"There is no person {who!r}.")
    return Viewer(user=person, rights=rights_of(person), now=timezone.now())


def _state(tab: Tab, query: str, viewer: Viewer) -> ListState:
    """Raises CommandError for filters that would be ignored: a file must be what was asked for."""
    try:
        state = ListState(tab=tab, query=QueryDict(query), viewer=viewer)
    except BadToken as error:
        raise CommandError("The address was changed.") from error
    if state.complaints:
        raise CommandError(" ".join(state.complaints))
    return state


@contextlib.contextmanager
def _file(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        with out.open("xb") as file:
            yield file
    except FileExistsError as error:
        raise CommandError(f"{out} is there already.") from error
