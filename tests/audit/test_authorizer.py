"""Web server, runner and worker hold themselves back on SQLite, in every thread; `migrate` doesn't."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from actioncenter.audit import authorizer, triggers
from tests.actions.stopping import PATIENCE, environment
from tests.services.database import connect

# Celery takes sys.stdout for its log.
ON_SQLITE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
ATTEMPT = """
import os, sys, threading
import django
django.setup()
def attempt(*_):
    from django.db import connection
    try:
        connection.cursor().execute("DROP TRIGGER audit_event_no_update")
    except Exception as error:
        os.write(1, f"{error}\\n".encode())
    else:
        os.write(1, b"dropped\\n")
def attempts(*_):
    attempt()
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    os._exit(0)
from actioncenter.actions.execution import loop
loop.Runner.run = attempts
"""
PARTS = {
    "web": "import actioncenter.wsgi; attempts()",
    "runner": "from actioncenter.ops import commandline; commandline.run(['manage.py', 'runner'])",
    "worker": "sys.argv[1:] = ['-A', 'actioncenter', 'worker', '-l', 'ERROR']; from celery.__main__ import main; main()",
    "nobody": "attempts()",
}


@ON_SQLITE
@pytest.mark.parametrize("part", PARTS)
def test_every_part_holds_itself_back(shared_database: str, part: str) -> None:
    broker = {"ACTIONCENTER_BROKER_URL": "redis://127.0.0.1:1/0"} if part == "worker" else {}
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPT + PARTS[part]],
        env=environment(shared_database, **broker),
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if line in {"not authorized", "dropped"}]
    if part == "nobody":
        assert said == ["dropped"], "planted: without it triggers stop nothing of the kind"
        assert triggers.missing(connection)
    else:
        assert said == ["not authorized"] * 2, done.stderr
        assert triggers.missing(connection) == []


@pytest.mark.django_db
def test_what_sqlite_makes_for_itself_is_let_through(tmp_path: Path) -> None:
    """A connection makes `json_each` at its first use, and asks as if it changed the tables of definitions."""
    wrapper = connect(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    wrapper.ensure_connection()
    authorizer.hold_back(wrapper)
    try:
        with wrapper.cursor() as cursor:
            assert cursor.execute("SELECT value FROM json_each('[7]')").fetchone() == (7,)
            with pytest.raises(DatabaseError):
                cursor.execute("UPDATE sqlite_master SET sql = ''")
    finally:
        wrapper.close()
