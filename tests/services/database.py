"""A test on PostgreSQL in a run whose own database may be SQLite."""

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
from pytest_django import DjangoDbBlocker

from actioncenter import environment
from actioncenter.estate.services import Service

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


@pytest.fixture(scope="session")
def migrated_template(postgres_service: Service, django_db_blocker: DjangoDbBlocker) -> None:
    with psycopg.connect(postgres_service.url, autocommit=True) as server:
        # Each package that imports this fixture asks for it once.
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
            return
        server.execute(f"CREATE DATABASE {TEMPLATE}")
    with django_db_blocker.unblock(), as_default(_url(postgres_service, TEMPLATE)):
        call_command("migrate", verbosity=0)


@pytest.fixture
def on_postgres(
    postgres_service: Service, migrated_template: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The default database is a fresh PostgreSQL one, with real commits; gives its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_service.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    url = _url(postgres_service, name)
    with django_db_blocker.unblock(), as_default(url):
        yield url


def _url(service: Service, name: str) -> str:
    return urlsplit(service.url)._replace(path=f"/{name}").geturl()
