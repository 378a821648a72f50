"""Checks of the database: schema, append-only, roles, and whether it went back."""

from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from actioncenter.audit import triggers
from actioncenter.ops.doctor.finding import Finding, error, warning
from actioncenter.settings import anchoring

SEQUENCE: Final = "actions_action_id_seq"


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


def append_only() -> Iterator[Finding]:
    if absent := triggers.missing(connection):
        yield error(
            "audit.rewritable",
            f"Missing: {', '.join(absent)}",
            "The audit log or votes could be changed in place.",
            "Run `manage.py migrate`, which makes them again, and find out who removed them.",
        )


def roles() -> Iterator[Finding]:
    """PostgreSQL only: SQLite knows no roles."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'MEMBER'), current_user,"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
            " FROM pg_class WHERE oid = to_regclass(%s)",
            [triggers.TABLE],
        )
        found = cursor.fetchone()
        cursor.execute("SELECT has_sequence_privilege(%s, 'UPDATE')", [SEQUENCE])
        [may_jump] = cursor.fetchone()
    if not may_jump:
        yield warning(
            "roles.sequences",
            "The role that the product runs under may not set its sequences",
            "After a restored backup a new action could get a number that was given before.",
            "GRANT UPDATE ON ALL SEQUENCES IN SCHEMA public to that role.",
        )
    if found is None or not (found[0] or found[2]):
        return
    what = f"The role {found[1]} that the product runs under {'is a superuser' if found[2] else 'owns the audit table'}"
    means = "Whoever takes over a web server or a runner can switch the triggers off and rewrite the log."
    if settings.ALLOW_SINGLE_ROLE:
        yield warning(
            "roles.single",
            what,
            means,
            "Allowed by ACTIONCENTER_ALLOW_SINGLE_ROLE. Use two roles in production.",
        )
    else:
        yield error(
            "roles.owner", what, means, "Run under a role that owns nothing; migrate with the owner's."
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
