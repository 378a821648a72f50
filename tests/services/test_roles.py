"""The role that the product runs under may do its work and nothing else, and nothing starts under another one."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from django.test import override_settings
from pytest_django import DjangoDbBlocker, Settings

from actioncenter import environment as environment_of
from actioncenter.actions.execution import beating
from actioncenter.actions.execution.holding import Pulse
from actioncenter.audit import roles
from actioncenter.estate.services import Postgres
from actioncenter.ops import supervisor
from tests.actions.stopping import PATIENCE, environment
from tests.services.database import (
    TEMPLATE,
    as_default,
    migrate,
    migrated_template,
    on_postgres,
    owner_of,
    superuser_of,
)

__all__ = ["migrated_template", "on_postgres"]
pytestmark = [pytest.mark.postgres, pytest.mark.own_database]
APPEND_ONLY = {"audit_event", "audit_seal", "auditor_pageview", "actions_vote"}
WRITTEN_BY_RETENTION = {"audit_purge", "audit_redaction"}
WRITTEN_BY_MIGRATE = {"django_migrations", "django_content_type", "auth_permission"}
VERBS = {
    "SELECT": "SELECT {columns} FROM {table} WHERE false",
    "INSERT": "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE false",
    "UPDATE": "UPDATE {table} SET {first} = {first} WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
    "INSERT with an id": "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table} CASCADE",
    "LOCK": "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
}


def tables() -> Iterator[tuple[str, list[str]]]:
    """Every table of a model, with the columns that the product names when it adds a row."""
    for model in apps.get_models(include_auto_created=True):
        fields = model._meta.concrete_fields
        yield model._meta.db_table, [f'"{field.column}"' for field in fields if field.column != "id"]
    yield "django_migrations", ["app", "name", "applied"]


def allowed(table: str, columns: Sequence[str]) -> set[str]:
    found = set()
    for verb, text in VERBS.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(text.format(table=table, columns=", ".join(columns), first=columns[0]))
                found.add(verb)
                transaction.set_rollback(True)
        except ProgrammingError as error:
            if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
    return found


def test_rights_are_those_that_every_model_needs(on_postgres: str) -> None:
    ordinary = {"SELECT", "INSERT", "UPDATE", "DELETE", "INSERT with an id", "LOCK"}
    needed = {table: ordinary for table, _ in tables()}
    needed |= {table: {"SELECT"} for table in WRITTEN_BY_MIGRATE | WRITTEN_BY_RETENTION}
    needed |= {table: {"SELECT", "INSERT"} for table in APPEND_ONLY}
    with as_default(on_postgres):
        assert {table: allowed(table, columns) for table, columns in tables()} == needed
        assert roles.examine() == roles.Rights(Postgres.runtime, [], [], [])


TOO_MUCH: list[tuple[str, str, str]] = [
    ("ALTER ROLE {role} SUPERUSER", "ALTER ROLE {role} NOSUPERUSER", "is a superuser"),
    ("ALTER ROLE {role} CREATEROLE", "ALTER ROLE {role} NOCREATEROLE", "CREATEROLE"),
    ("GRANT SET ON PARAMETER session_replication_role TO {role}", "REVOKE SET ON PARAMETER session_replication_role FROM {role}", "session_replication_role"),
    ("GRANT {owner} TO {role}", "REVOKE {owner} FROM {role}", "owns the database or may become its owner"),
    ("GRANT {owner} TO {role}", "REVOKE {owner} FROM {role}", "owner of actions_vote_refuse, audit_event_refuse, audit_event_stamp, audit_purge_refuse"),
    ("GRANT pg_write_all_data TO {role}", "REVOKE pg_write_all_data FROM {role}", "is a member of pg_write_all_data"),
    ("ALTER TABLE audit_seal OWNER TO {role}", "ALTER TABLE audit_seal OWNER TO {owner}", "owner of audit_seal"),
    ("GRANT UPDATE (actor_name) ON audit_event TO PUBLIC", "REVOKE UPDATE (actor_name) ON audit_event FROM PUBLIC", "may UPDATE on audit_event"),
    ("GRANT TRUNCATE, TRIGGER ON audit_event TO {role}", "REVOKE TRUNCATE, TRIGGER ON audit_event FROM {role}", "may TRIGGER, TRUNCATE on audit_event"),
]  # fmt: skip
"""What makes it too much, what takes it back, how it is told."""
NEEDLESS: list[tuple[str, str, str]] = [
    ("ALTER ROLE {role} CREATEDB", "ALTER ROLE {role} NOCREATEDB", "CREATEDB"),
    ("ALTER ROLE {role} REPLICATION", "ALTER ROLE {role} NOREPLICATION", "REPLICATION"),
    ("ALTER ROLE {role} BYPASSRLS", "ALTER ROLE {role} NOBYPASSRLS", "BYPASSRLS"),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "may CREATE in the schema"),
    ("GRANT TEMPORARY ON DATABASE {database} TO PUBLIC", "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC", "temporary tables"),
    ("ALTER TABLE actions_plan OWNER TO {role}", "ALTER TABLE actions_plan OWNER TO {owner}", "owner of actions_plan"),
    ("GRANT TRUNCATE ON actions_action TO {role}", "REVOKE TRUNCATE ON actions_action FROM {role}", "may TRUNCATE on actions_action"),
    ("GRANT INSERT ON audit_event TO {role}", "REVOKE INSERT ON audit_event FROM {role}", "may choose the id of a row in audit_event"),
]  # fmt: skip


@contextmanager
def given(url: str, give: str, take: str) -> Iterator[None]:
    """Roles belong to the whole server, so whatever happens it is taken back."""
    words = {"role": Postgres.runtime, "owner": Postgres.owner, "database": url.rpartition("/")[2]}
    with psycopg.connect(superuser_of(url), autocommit=True) as server:
        server.execute(give.format(**words))
        try:
            with as_default(url):
                yield
        finally:
            server.execute(take.format(**words))


def test_what_is_too_much_is_named_and_nothing_starts(on_postgres: str) -> None:
    for give, take, told in TOO_MUCH:
        with given(on_postgres, give, take):
            assert told in "; ".join(roles.examine().grave), give
            with pytest.raises(ImproperlyConfigured, match=r"could rewrite what is append-only.*roles\.md"):
                roles.require()
    for give, take, told in NEEDLESS:
        with given(on_postgres, give, take):
            assert told in "; ".join(roles.examine().needless), give
            roles.require()


def test_migrate_takes_what_is_too_much_and_gives_what_is_missing(on_postgres: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {Postgres.runtime}, PUBLIC")
        cursor.execute(f"REVOKE ALL ON actions_action, audit_event FROM {Postgres.runtime}, PUBLIC")
        cursor.execute(f"GRANT CREATE ON SCHEMA public TO {Postgres.runtime}")
    with as_default(on_postgres):
        before = roles.examine()
        assert all((before.grave, before.needless, before.lacking))
    migrate(on_postgres)
    with as_default(on_postgres):
        assert roles.examine() == roles.Rights(Postgres.runtime, [], [], [])


WEB = "import actioncenter.wsgi"
RUNNER = "from actioncenter.ops import commandline; commandline.run(['manage.py', 'runner'])"
WORKER = "import django; django.setup(); from celery.__main__ import main; main()"
PARTS: dict[str, list[str]] = {
    "web": [WEB],
    "runner": [RUNNER],
    "worker": [WORKER, "-A", "actioncenter", "worker", "-l", "ERROR"],
}


def start(url: str, part: str, **more: str) -> "subprocess.CompletedProcess[str]":
    broker = {"ACTIONCENTER_BROKER_URL": "redis://127.0.0.1:1/0"} if part == "worker" else {}
    return subprocess.run(
        [sys.executable, "-c", *PARTS[part]],
        env=environment(url, **broker, **more),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("role", [owner_of, superuser_of], ids=["owner", "superuser"])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.sampled(3)
def test_no_part_starts_under_one_role(on_postgres: str, part: str, role: Callable[[str], str]) -> None:
    done = start(role(on_postgres), part)
    assert done.returncode != 0
    assert "could rewrite what is append-only" in done.stderr
    assert "set ACTIONCENTER_ALLOW_SINGLE_ROLE=1" in done.stderr


def test_one_role_is_allowed_for_trials_and_told(on_postgres: str, settings: Settings) -> None:
    done = start(owner_of(on_postgres), "web", ACTIONCENTER_ALLOW_SINGLE_ROLE="1")
    assert done.returncode == 0, done.stderr
    assert not roles.is_single(), "not allowed in this process"
    settings.ALLOW_SINGLE_ROLE = True
    roles._is_grave.cache_clear()
    assert roles.is_single()
    roles._is_grave.cache_clear()
    with as_default(on_postgres):
        assert not roles.is_single()
    roles._is_grave.cache_clear()


def test_migrating_under_the_runtime_role_names_what_is_missing(on_postgres: str) -> None:
    with as_default(on_postgres), pytest.raises(CommandError, match="set ACTIONCENTER_DATABASE_OWNER_URL"):
        call_command("migrate", "actions", "0015", verbosity=0)
    with as_default(on_postgres):
        call_command("migrate", verbosity=0)  # nothing to do, and nothing that takes the owner


def test_a_runtime_role_that_is_not_there_is_named(on_postgres: str) -> None:
    nobody = on_postgres.replace(f"//{Postgres.runtime}@", "//nobody@")
    with (
        as_default(nobody),
        override_settings(DATABASE_OWNER={"ENGINE": "django.db.backends.postgresql"}),
        pytest.raises(CommandError, match=r"can't sign in(?s:.*)docs/operator/roles\.md"),
    ):
        call_command("migrate", verbosity=0)


def of_the_guide(number: int, own: str) -> list[str]:
    """Statements of docs/operator/roles.md, with names of their own, since roles belong to the whole server."""
    guide = (settings.BASE_DIR / "docs" / "operator" / "roles.md").read_text(encoding="utf-8")
    block = guide.split("```sql")[number].partition("```")[0]
    return [line.replace("actioncenter", own) for line in block.splitlines() if line]


@contextmanager
def with_both(server: Postgres, own: str) -> Iterator[None]:
    described = environment_of.database("NO_SUCH_VARIABLE", server.url_of(f"{own}_owner", own))
    with as_default(server.url_of(own, own)), override_settings(DATABASE_OWNER=described):
        yield


def test_the_guide_makes_roles_that_are_just_right(
    postgres_service: Postgres, django_db_blocker: DjangoDbBlocker
) -> None:
    own = f"guide_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_service.url, autocommit=True) as server:
        for statement in of_the_guide(1, own):
            server.execute(statement)
    with django_db_blocker.unblock(), with_both(postgres_service, own):
        call_command("migrate", "audit", verbosity=0)
        assert roles.examine() == roles.Rights(own, [], [], [])


OURS = """
    SELECT format('TABLE %I', tablename) FROM pg_tables WHERE schemaname = 'public'
    UNION ALL SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""


def test_the_guide_makes_two_roles_of_one(
    postgres_service: Postgres, migrated_template: None, django_db_blocker: DjangoDbBlocker
) -> None:
    own = f"guide_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_service.url, autocommit=True) as server:
        server.execute(f"CREATE ROLE {own} LOGIN")
        server.execute(f"CREATE DATABASE {own} OWNER {own} TEMPLATE {TEMPLATE}")
    with psycopg.connect(postgres_service.url_of("postgres", own), autocommit=True) as server:
        for (what,) in server.execute(OURS).fetchall():
            server.execute(f"ALTER {what} OWNER TO {own}")
        with django_db_blocker.unblock(), as_default(postgres_service.url_of(own, own)):
            assert roles.examine().grave
        for statement in of_the_guide(2, own):
            server.execute(statement)
    with django_db_blocker.unblock(), with_both(postgres_service, own):
        call_command("migrate", verbosity=0)
        assert roles.examine() == roles.Rights(own, [], [], [])


def test_two_databases_are_named(on_postgres: str) -> None:
    elsewhere = environment_of.database(
        "NO_SUCH_VARIABLE", owner_of(on_postgres).rpartition("/")[0] + "/postgres"
    )
    with (
        as_default(on_postgres),
        override_settings(DATABASE_OWNER=elsewhere),
        pytest.raises(CommandError, match="leads to the database postgres"),
    ):
        call_command("migrate", verbosity=0)


def test_a_runner_whose_role_has_become_the_owner_begins_nothing(on_postgres: str) -> None:
    pulse = Pulse()
    for role, told in ((owner_of(on_postgres), "could rewrite what is append-only"), (on_postgres, "")):
        with as_default(role):
            beating.Beats("here:1", pulse, lambda: 0).examine()
        assert (told in pulse.unfit, bool(pulse.unfit)) == (True, bool(told))


def test_children_of_up_are_not_given_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (supervisor.OWNER, f"{supervisor.OWNER}_FILE"):
        monkeypatch.setenv(name, "postgres://owner:secret@db/name")
    left = {name: value for name, value in os.environ.items() if "OWNER_URL" not in name}
    assert supervisor._environment() == left
