"""A database of its own for one run of a benchmark, gone afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg import sql

from actioncenter.estate.services import Postgres

SERIAL = "-c jit=off -c max_parallel_workers_per_gather=0"
"""Work spread over processes would escape the CPU clock, and compiling would be charged to peers."""


class Addresses(NamedTuple):
    """Of an empty database, for the product and for the owner of its tables. "" where one role does all."""

    runtime: str
    owner: str


class BadDatabase(ValueError):
    """Not a database that a benchmark can run on; the text says what would be."""


DURABLE: Final = frozenset({"audit"})
"""Benchmarks of writing, which has to reach the disk as it does in earnest; SQLite's always does."""


@contextmanager
def throw_away(wanted: str, folder: Path, *, durable: bool = False) -> Iterator[Addresses]:
    """Give an empty database: `sqlite` (a file in the folder), `postgres`, or a schema in a URL's server.

    Raises BadDatabase, estate.services.ServiceMissing or ServiceFailed.
    """
    if wanted == "sqlite":
        yield Addresses(f"sqlite:///{quote(str(folder / 'bench.sqlite3'))}", "")
    elif wanted == "postgres":
        server = Postgres.start(durable=durable)
        try:
            yield both_roles(server, SERIAL)
        finally:
            server.stop()
    elif urlsplit(wanted).scheme in {"postgres", "postgresql"}:
        yield from _own_schema(wanted)
    else:
        raise BadDatabase("--database takes sqlite, postgres or postgres://user:password@host:port/name.")


def kind_of(wanted: str) -> str:
    """What the report calls it: never the URL, which may hold a password."""
    return "sqlite" if wanted == "sqlite" else "postgres"


def both_roles(server: Postgres, options: str) -> Addresses:
    return Addresses(*(with_options(server.url_of(role), options) for role in (server.runtime, server.owner)))


def _own_schema(url: str) -> Iterator[Addresses]:
    name = f"bench_{secrets.token_hex(6)}"
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as server:
            server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise BadDatabase(f"Can't make a schema in that database: {str(error).strip()}") from error
    try:
        yield Addresses(with_options(url, f"-c search_path={name} {SERIAL}"), "")
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


def with_options(url: str, options: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} {options}".strip()
    return parts._replace(query=urlencode(query)).geturl()
