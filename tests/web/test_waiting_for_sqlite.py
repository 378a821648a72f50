"""Where one may write at a time, everybody gets a turn, however many ask."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from pytest_django import DjangoDbBlocker

from actioncenter import turns
from actioncenter.sqlite import base
from tests.actions.stopping import until
from tests.services.database import as_default

FAIR = 100
"""Two processes in turn would be one; a busy machine may let one have several."""
OURS, DJANGOS = "actioncenter.sqlite", "django.db.backends.sqlite3"


@pytest.fixture
def path(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """A database whose table has a row for everything that was written."""
    path = tmp_path / "database.sqlite3"
    with django_db_blocker.unblock(), as_default(f"sqlite:///{path}"):
        run("CREATE TABLE written (number INTEGER PRIMARY KEY)")
        yield path


def run(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return (cursor.fetchone() or [0])[0]


@contextmanager
def crowd(path: Path, backend: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.web.crowd", str(path), backend],
        cwd=settings.BASE_DIR,
    )  # fmt: skip
    with process:
        try:
            until(lambda: newest() > 100)
            yield
        finally:
            process.kill()


def overtaken() -> int:
    """How much others have written until we had our turn, or gave up. They are in full swing when we ask."""
    start = newest()
    until(lambda: newest() > start + 20)
    before = newest()
    with suppress(OperationalError), transaction.atomic():
        return newest() - before
    return newest() - before


def newest() -> int:
    return run("SELECT coalesce(max(number), 0) FROM written")


def test_whoever_writes_once_is_not_kept_out_by_who_writes_all_the_time(path: Path) -> None:
    with crowd(path, OURS):
        assert max(overtaken() for _ in range(10)) <= FAIR


def test_the_wait_of_sqlite_itself_keeps_one_out(path: Path) -> None:
    """The mistake that the test above is there to see."""
    with crowd(path, DJANGOS):
        turns.be_patient(0)
        connection.connection.execute("PRAGMA busy_timeout = 5000")
        assert any(overtaken() > FAIR for _ in range(10))


def meanwhile(path: Path, do: Callable[[], object]) -> list[object]:
    """What another thread of this process sees while we write."""
    seen: list[object] = []

    def look() -> None:
        with as_default(f"sqlite:///{path}"):
            try:
                seen.append(do())
            except OperationalError as error:
                seen.append(str(error))

    with transaction.atomic():
        run("INSERT INTO written DEFAULT VALUES")
        other = threading.Thread(target=look)
        other.start()
        other.join(30)
    return seen


def impatiently() -> None:
    with turns.impatient(0.05), transaction.atomic():
        pytest.fail("two write at a time")


def test_a_turn_that_never_comes_is_said_so(path: Path) -> None:
    assert meanwhile(path, impatiently) == ["database is locked"]


def test_a_single_statement_waits_too(path: Path) -> None:
    def write() -> None:
        turns.be_patient(0.05)
        run("INSERT INTO written DEFAULT VALUES")

    assert meanwhile(path, write) == ["database is locked"]


def test_who_reads_does_not_wait(path: Path) -> None:
    assert meanwhile(path, lambda: run("SELECT count(*) FROM written")) == [0]


def test_who_gave_up_holds_up_nobody(path: Path) -> None:
    assert meanwhile(path, impatiently) == ["database is locked"]
    assert not any(gate.locked() for gate in base._gates.values())


def test_a_child_does_not_wait_for_a_thread_of_its_parent(path: Path) -> None:
    """Who asks for the lock when a worker is forked doesn't exist in it."""
    waiting = threading.Thread(target=impatient_for, args=(path, 5.0))
    with transaction.atomic():
        run("INSERT INTO written DEFAULT VALUES")
        waiting.start()
        while not any(gate.locked() for gate in base._gates.values()):
            waiting.join(0.01)
        child = os.fork()
        if not child:
            os._exit(len(base._gates))
    waiting.join(30)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def impatient_for(path: Path, seconds: float) -> None:
    with as_default(f"sqlite:///{path}"), turns.impatient(seconds), transaction.atomic():
        pass
