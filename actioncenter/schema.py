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
    known, replaced = _on_disk()
    applied = _applied()
    apps = {app for app, _ in known}
    newer = {name for name in applied - known - replaced if name[0] in apps}
    if newer:
        return (
            f"The database is newer than this version: it has {_named(newer)}. Update this host; until then"
            " it begins nothing."
        )
    if missing := known - applied:
        return f"The database is not up to date: {_named(missing)} is missing. Run manage.py migrate."
    return ""


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
