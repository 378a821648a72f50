"""Backing a database up and restoring it, as an operator would."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from actioncenter.estate.services import Postgres
from tests.architecture.tree import ROOT
from tests.services.database import migrate, new_database, owner_of, superuser_of

DUMP = "backup.dump"


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


def restore_elsewhere(server: Postgres, folder: Path) -> str:
    """Put the PostgreSQL database that was backed up into that folder on another server; its URL there."""
    url = new_database(server, "restored", "template0")
    _restored(url, folder)
    return url


def _postgres(url: str, folder: Path) -> Callable[[], None]:
    name = urlsplit(url).path[1:]
    _program("pg_dump", "--format=custom", f"--file={folder / DUMP}", owner_of(url))
    superuser = urlsplit(superuser_of(url))._replace(path="/postgres").geturl()

    def restore() -> None:
        connection.close()
        with psycopg.connect(superuser, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name} OWNER {Postgres.owner} TEMPLATE template0")
        _restored(url, folder)

    return restore


def _restored(url: str, folder: Path) -> None:
    guide = (ROOT / "docs/operator/backup.md").read_text(encoding="utf-8")
    as_told = re.findall(r"--[a-z-]+", guide.partition("pg_restore ")[2].partition(" --dbname")[0])
    assert as_told
    _program("pg_restore", *as_told, f"--dbname={owner_of(url)}", str(folder / DUMP))
    migrate(url)


def _program(name: str, *words: str) -> None:
    found = shutil.which(name) or Postgres._programs() / name
    subprocess.run([os.fspath(found), *words], check=True, capture_output=True)
