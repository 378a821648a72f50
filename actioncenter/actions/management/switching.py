"""What `stop` and `resume` share: how one says what is meant, and a database that must not make one wait."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError
from django.db.models import Model, QuerySet

from actioncenter import turns
from actioncenter.actions.catalogue import BY_CODE
from actioncenter.actions.enums import ActionType
from actioncenter.settings.enums import StopScope
from actioncenter.settings.models import ConnectorInstance, DeviceGroup

PATIENCE: Final = 3
"""Seconds that a busy database is waited for."""
BY_NAME: Final = {kind.name.lower(): kind for kind in ActionType}


def add_what(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--connector", metavar="NAME", help="only what goes through this connector")
    what.add_argument("--group", metavar="NAME", help="only this device group")
    what.add_argument("--type", metavar="CODE", help="only this kind of action, such as isolate")
    what.add_argument("--investigation", type=int, metavar="N", help="only this investigation")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def wanted(options: dict[str, Any]) -> tuple[StopScope, int | None]:
    """Scope and value. Raises CommandError for what isn't there."""
    if options["connector"] is not None:
        return StopScope.CONNECTOR, _named(ConnectorInstance.objects.all(), options["connector"])
    if options["group"] is not None:
        return StopScope.GROUP, _named(DeviceGroup.objects.all(), options["group"])
    if options["type"] is not None:
        kind = {**BY_NAME, **BY_CODE}.get(options["type"].strip().lower().replace("-", "_"))
        if kind is None:
            raise CommandError(f"There is no such kind of action. Known are {', '.join(sorted(BY_CODE))}.")
        return StopScope.TYPE, kind.value
    if options["investigation"] is not None:
        return StopScope.INVESTIGATION, options["investigation"]
    return StopScope.ALL, None


def means_everything(options: dict[str, Any]) -> bool:
    return all(options[name] is None for name in ("connector", "group", "type", "investigation"))


def be_impatient() -> None:
    """Give up on a database that is locked rather than wait for whoever holds it."""
    turns.be_patient(PATIENCE)


def _named(rows: "QuerySet[Any]", name: str) -> int:
    found: list[Model] = list(rows.filter(name__iexact=name)[:2])
    if not found and name.isascii() and name.isdigit():
        found = list(rows.filter(pk=int(name)))
    if len(found) != 1:
        known = ", ".join(sorted(map(str, rows.values_list("name", flat=True)[:50])))
        raise CommandError(f"There is no such one, or several. Known are {known}.")
    return int(found[0].pk)
