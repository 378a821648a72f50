"""A test on PostgreSQL in a run whose own database may be SQLite.

The product's processes get the runtime role. The test itself is the owner, so that it can tamper.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from actioncenter import environment
from actioncenter.estate.services import Postgres

TEMPLATE = "migrated"


def connect(url: str) -> BaseDatabaseWrapper:
    """A Django connection of its own to that database, for another thread or person."""
    settings = connections.configure_settings({"default": environment.database("NO_SUCH_VARIABLE", url)})[
        "default"
    ]
    wrapper: BaseDatabaseWrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")
    wrapper.inc_thread_sharing()
    return wrapper


@contextmanager
def as_default(url: str) -> Iterator[BaseDatabaseWrapper]:
    """Models and commands of this thread speak to that database."""
    before, wrapper = connections["default"], connect(url)
    connections["default"] = wrapper
    try:
        yield wrapper
    finally:
        connections["default"] = before
        wrapper.close()


def owner_of(url: str) -> str:
    """The same database as its owner; "" on SQLite, which knows no roles."""
    return _as(Postgres.owner, url)


def superuser_of(url: str) -> str:
    return _as("postgres", url)


def _as(role: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return ""
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()


def migrate(url: str, *words: str) -> None:
    """As an operator does: with both roles, where there are two."""
    owner = owner_of(url)
    database = environment.database("NO_SUCH_VARIABLE", owner) if owner else None
    with as_default(url), override_settings(DATABASE_OWNER=database):
        call_command("migrate", *words, verbosity=0)


@pytest.fixture(scope="session")
def migrated_template(postgres_service: Postgres, django_db_blocker: DjangoDbBlocker) -> None:
    with psycopg.connect(postgres_service.url, autocommit=True) as server:
        # Each package that imports this fixture asks for it once.
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
            return
    new_database(postgres_service, TEMPLATE, "template1")
    with django_db_blocker.unblock():
        migrate(postgres_service.url_of(Postgres.runtime, TEMPLATE))


def new_database(server: Postgres, name: str, template: str) -> str:
    """Its URL for the runtime role."""
    with psycopg.connect(server.url, autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    server.hand_over(name)
    return server.url_of(Postgres.runtime, name)


@pytest.fixture
def on_postgres(
    postgres_service: Postgres, migrated_template: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A fresh PostgreSQL database with real commits, the default one as its owner; gives the runtime's URL."""
    url = new_database(postgres_service, f"test_{uuid.uuid4().hex[:12]}", TEMPLATE)
    with django_db_blocker.unblock(), as_default(owner_of(url)):
        yield url
