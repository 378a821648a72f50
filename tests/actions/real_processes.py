"""A database that other processes share, and starting them: races and crashes need real ones."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from tests.services.database import as_default

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def migrated_file(django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "database.sqlite3"
    with django_db_blocker.unblock(), as_default(f"sqlite:///{path}") as connection:
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            # Everything into the one file that is copied.
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(params=BOTH)
def shared_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with real commits, the default one of this process too; gives its URL."""
    if request.param == "postgres":
        yield request.getfixturevalue("on_postgres")
        return
    path = tmp_path / "database.sqlite3"
    shutil.copy(request.getfixturevalue("migrated_file"), path)
    url = f"sqlite:///{path}"
    with request.getfixturevalue("django_db_blocker").unblock(), as_default(url):
        yield url


def in_processes(module: str, url: str, spec: dict[str, Any], *, seconds: float = 180) -> Any:
    """Run the `main` of a module that reads `spec` from its input and answers in JSON on its output."""
    start = f"import django; django.setup(); from {module} import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        # So that those it forked end with it.
        start_new_session=True,
        env={
            **os.environ,
            "ACTIONCENTER_DATABASE_URL": url,
            "ACTIONCENTER_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "tests.conf",
        },
    )
    try:
        told, errors = process.communicate(json.dumps(spec), timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, errors[-4000:]
    return json.loads(told)
