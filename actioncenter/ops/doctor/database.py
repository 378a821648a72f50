"""Checks of the database: schema, append-only, roles, and whether it went back."""

from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from actioncenter import schema as shape
from actioncenter.audit import roles, triggers
from actioncenter.ops.doctor.finding import Finding, error, warning
from actioncenter.settings import anchoring

MIGRATE: Final = (
    "Run `manage.py migrate` as the owner; what it can't change stands in docs/operator/roles.md."
)


def schema() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    left = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if left:
        names = ", ".join(f"{migration.app_label} {migration.name}" for migration, _ in left[:5])
        yield error(
            "schema.behind",
            f"{len(left)} migrations are not applied: {names}",
            "The code expects a database that this one isn't yet.",
            "Run `manage.py migrate`, with the owner's role where there are two.",
        )
    if newer := shape.newer():
        yield warning(
            "schema.ahead",
            f"The database is newer than this version: it has {newer}",
            "An update is under way, or was taken back by half. Runners of this version begin nothing.",
            "Update this host, or undo those migrations with the newer version (docs/operator/upgrade.md).",
        )


def append_only() -> Iterator[Finding]:
    if absent := triggers.missing(connection):
        yield error(
            "audit.rewritable",
            f"Missing: {', '.join(absent)}",
            "The audit log or votes could be changed in place.",
            "Run `manage.py migrate`, which makes them again, and find out who removed them.",
        )


def rights() -> Iterator[Finding]:
    """Of the role that the product runs under. PostgreSQL only: SQLite knows no roles."""
    if connection.vendor != "postgresql":
        return
    found = roles.examine()
    if found.grave:
        yield _grave(found.name, "; ".join(found.grave))
    if shape.newer():
        # What the rest needs, only the newer version knows.
        return
    if found.needless:
        yield warning(
            "roles.needless",
            f"The database role {found.name} {'; '.join(found.needless)}",
            "The product needs it for nothing; whoever takes over a part of it has it too.",
            MIGRATE,
        )
    if found.lacking:
        yield error(
            "roles.lacking",
            f"The database role {found.name} {'; '.join(found.lacking)}",
            "Pages and runners break where they need it, and numbers may be given twice after a restore.",
            MIGRATE,
        )


def _grave(name: str, what: str) -> Finding:
    means = "Whoever takes over a web server or a runner can rewrite the log, or switch its triggers off."
    if settings.ALLOW_SINGLE_ROLE:
        return error(
            "roles.single",
            f"One role for everything: {name} {what}",
            means,
            "Allowed by ACTIONCENTER_ALLOW_SINGLE_ROLE, for trials. Make two roles (docs/operator/roles.md).",
        )
    return error(
        "roles.owner",
        f"The database role {name} {what}, so nothing starts under it",
        means,
        "Make two roles (docs/operator/roles.md).",
    )


def restored() -> Iterator[Finding]:
    state = anchoring.examine()
    if state.installation.held_at is not None:
        yield error(
            "restore.held",
            f"Dispatch is held: {state.trouble}",
            "The database is older than what was done with it. Nothing is sent until a person accepts that.",
            "Read `manage.py restored`, look at the targets, then accept.",
        )
    elif state.restored:
        yield error(
            "restore.found",
            state.trouble,
            "The database was restored from a backup. Runners will hold dispatch.",
            "Run `manage.py restored`.",
        )
    elif state.trouble:
        yield error(
            "anchor.unreadable",
            state.trouble,
            "This host can't tell whether the database was restored, so it sends nothing.",
            f"Make {settings.ANCHOR_DIR} readable and writable for the product; don't delete what is in it.",
        )
