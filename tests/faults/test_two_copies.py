"""Two copies of every duty at once: one has looked what is to do and halts, the other does it, the first goes on.

A lease keeps them apart, except when somebody freezes over it. So no duty may rest on it.
"""

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from django.core import mail as sent
from django.db import connection, connections, transaction
from pytest_django import Settings

from actioncenter.actions import housekeeping
from actioncenter.actions.execution import snapshots, streaming
from actioncenter.actions.housekeeping import Chore
from actioncenter.auditor import purging
from actioncenter.settings.models import Stop
from tests import factories
from tests.actions.conftest import RUNNER, forget_estate
from tests.actions.stopping import PATIENCE, until
from tests.faults import duties
from tests.services.database import TEMPLATE, as_default, new_database, owner_of

CHORES: Final = {chore.name: chore for chores in housekeeping.THREADS.values() for chore in chores}
WRITES: Final = ("INSERT", "UPDATE", "DELETE")
WITHOUT_ROWS: Final = {"checkpoints", "heartbeat"}
"""Write files only, each whole: there is no moment between looking and writing that a transaction begins."""
BEGINS, WRITES_FIRST = "before it begins", "before it writes"
WHERE: Final = [("sqlite", BEGINS), ("postgres", BEGINS), ("postgres", WRITES_FIRST)]
"""SQLite lets nobody between the reading and the writing of one transaction."""
CASES: Final = [
    pytest.param(case, kind, place, marks=[pytest.mark.postgres] if kind == "postgres" else [])
    for case in duties.WORK
    for kind, place in WHERE
    if (case, kind) != ("words", "sqlite")
]
"""SQLite has no index of words."""
Fresh = Callable[[str], Any]


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """A new database of a kind for as long as the block lasts; gives its URL for somebody who may do everything."""
    unblocked = request.getfixturevalue("django_db_blocker").unblock

    @contextmanager
    def made(kind: str) -> Iterator[str]:
        name = f"test_{uuid.uuid4().hex[:12]}"
        if kind == "postgres":
            request.getfixturevalue("migrated_template")
            url = owner_of(new_database(request.getfixturevalue("postgres_service"), name, TEMPLATE))
        else:
            url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / name)}"
        with unblocked(), as_default(url):
            yield url

    return made


@pytest.fixture(autouse=True)
def outside(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(snapshots, "KEPT", snapshots.KEPT)
    monkeypatch.setattr(streaming, "_go_on", lambda row: duties.OUTSIDE.append(row.pk))
    for name in ("MAIL_ON", "WATCHER_URL"):
        setattr(settings, name, getattr(settings, name))
    yield
    forget_estate()


class Copy(threading.Thread):
    """Does the duty once on a connection of its own, and halts at a place of it if it is told to."""

    def __init__(self, chore: Chore, url: str, place: str = "") -> None:
        super().__init__(daemon=True)
        self.chore, self.url, self.place = chore, url, place
        self.halted, self.goes_on = threading.Event(), threading.Event()
        self.pid = 0
        self.error: Exception | None = None

    def run(self) -> None:
        with as_default(self.url) as line:
            line.ensure_connection()
            if line.vendor == "postgresql":
                self.pid = line.connection.info.backend_pid
            try:
                with line.execute_wrapper(self._execute):
                    self.chore.do(RUNNER)
            except Exception as error:  # noqa: BLE001 - as `run_due` does
                self.error = error

    def begins(self) -> None:
        """A transaction of its own."""
        if self.place == BEGINS and not connections["default"].in_atomic_block:
            self._halt()

    def _execute(self, execute: Any, sql: str, *rest: Any) -> Any:
        if self.place and sql.lstrip().upper().startswith(WRITES):
            self._halt()
        return execute(sql, *rest)

    def _halt(self) -> None:
        self.place = ""
        self.halted.set()
        assert self.goes_on.wait(PATIENCE)

    def waits(self) -> bool:
        """For a lock of somebody."""
        if not self.pid:
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid])
            return bool(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def transactions_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    enter = transaction.Atomic.__enter__

    def entering(atomic: Any) -> Any:
        copy = threading.current_thread()
        if isinstance(copy, Copy):
            copy.begins()
        return enter(atomic)

    monkeypatch.setattr(transaction.Atomic, "__enter__", entering)


def prepared(case: str, settings: Any, folder: Path) -> Chore:
    """Something is there to do, by the same people and in the same folders each time."""
    forget_estate()
    shutil.rmtree(folder, ignore_errors=True)
    settings.SNAPSHOTS_DIR, settings.CHECKPOINTS_DIR = folder / "snapshots", folder / "checkpoints"
    settings.ARCHIVE_DIR = folder / "archive"
    folder.mkdir()
    sent.outbox.clear()
    duties.OUTSIDE.clear()
    factories.person("noa")
    duties.WORK[case]()
    return CHORES[case.partition(":")[0]]


def test_every_duty_takes_part() -> None:
    assert {case.partition(":")[0] for case in duties.WORK} == {*CHORES}, "say what a new duty has to do"


@pytest.mark.own_database
@pytest.mark.sampled(20)
@pytest.mark.parametrize(("case", "kind", "place"), CASES)
def test_nothing_happens_twice(
    case: str, kind: str, place: str, fresh: Fresh, settings: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "folders"
    with fresh(kind) as url:
        chore = prepared(case, settings, folder)
        assert chore.waiting()
        before = duties.happened(folder)
        alone = Copy(chore, url)
        alone.start()
        alone.join(PATIENCE)
        assert alone.error is None
        by_one = duties.happened(folder)
    assert by_one != before or case == "heartbeat", "it had nothing to do"
    with fresh(kind) as url:
        chore = prepared(case, settings, folder)
        first, second = Copy(chore, url, place), Copy(chore, url)
        both_at_once(first, second)
        assert first.halted.is_set() or case in WITHOUT_ROWS, "it never came there"
        by_two = duties.happened(folder)
        if case == "snapshots":
            assert all(list(snapshots.texts(stop.pk)) for stop in Stop.objects.all())
    assert [error for error in (first.error, second.error) if error and not is_refusal(error)] == []
    assert by_two == by_one


def both_at_once(first: Copy, second: Copy) -> None:
    try:
        first.start()
        until(lambda: first.halted.is_set() or not first.is_alive(), "it neither halts nor ends")
        second.start()
        until(lambda: not second.is_alive() or second.waits(), "the second neither ends nor waits")
    finally:
        first.goes_on.set()
    for copy in (first, second):
        copy.join(PATIENCE)
        assert not copy.is_alive()


def is_refusal(error: Exception) -> bool:
    """It has seen that another was there."""
    return isinstance(error, purging.Refused)
