"""Whether the database has the shape that this code was written for: they differ while an update is under way."""

from functools import cache
from typing import Final

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

NAMED: Final = 3
Names = frozenset[tuple[str, str]]


def unknown() -> str:
    """Why runners of this version begin nothing on this database; empty when they may. Raises django.db.Error."""
    applied = _applied()
    if names := _newer(applied):
        return (
            f"The database is newer than this version: it has {names}. Update this host; until then"
            " it begins nothing."
        )
    known, _ = _on_disk()
    if missing := known - applied:
        return f"The database is not up to date: {_named(missing)} is missing. Run manage.py migrate."
    return ""


def newer() -> str:
    """Migrations that the database has and this version doesn't know; empty for none. Raises django.db.Error."""
    return _newer(_applied())


def _newer(applied: Names) -> str:
    known, replaced = _on_disk()
    apps = {app for app, _ in known}
    return _named({name for name in applied - known - replaced if name[0] in apps})


def _applied() -> Names:
    return frozenset(MigrationRecorder(connection).applied_migrations())


@cache
def _on_disk() -> tuple[Names, Names]:
    loader = MigrationLoader(None)
    found = loader.disk_migrations
    replaced = {name for migration in found.values() for name in migration.replaces}
    return frozenset(found), frozenset(replaced)


def _named(names: set[tuple[str, str]] | Names) -> str:
    first = [f"{app}.{name}" for app, name in sorted(names)[:NAMED]]
    return ", ".join(first) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
