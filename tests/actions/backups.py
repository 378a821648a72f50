"""Backing a database up and restoring it, as an operator would."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from actioncenter.estate.services import Postgres
from tests.services.database import migrate, owner_of, superuser_of


def back_up(url: str, folder: Path) -> Callable[[], None]:
    """Returns what puts the database back to how it is now. Other processes have let go of it by then."""
    connection.close()
    return _sqlite(url, folder) if url.startswith("sqlite") else _postgres(url, folder)


def _sqlite(url: str, folder: Path) -> Callable[[], None]:
    path, copy = Path(urlsplit(url).path[1:]), folder / "backup.sqlite3"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()

    def restore() -> None:
        connection.close()
        for file in path.parent.glob(f"{path.name}-*"):
            file.unlink()
        shutil.copy(copy, path)

    return restore


def _postgres(url: str, folder: Path) -> Callable[[], None]:
    dump, name = folder / "backup.dump", urlsplit(url).path[1:]
    _program("pg_dump", "--format=custom", f"--file={dump}", owner_of(url))
    superuser = urlsplit(superuser_of(url))._replace(path="/postgres").geturl()

    def restore() -> None:
        connection.close()
        with psycopg.connect(superuser, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name} OWNER {Postgres.owner} TEMPLATE template0")
        as_told = ["--no-owner", "--no-privileges", "--exit-on-error"]
        _program("pg_restore", *as_told, f"--dbname={owner_of(url)}", str(dump))
        migrate(url)

    return restore


def _program(name: str, *words: str) -> None:
    found = shutil.which(name) or Postgres._programs() / name
    subprocess.run([os.fspath(found), *words], check=True, capture_output=True)
