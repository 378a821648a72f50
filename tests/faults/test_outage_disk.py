"""No room left for the database: decisions are refused as a whole, nothing is sent unrecorded, and it recovers."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now
from django.test import override_settings

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import Action, Artefact, Attempt, Vote
from actioncenter.audit.models import Event
from actioncenter.bench.visiting import Visitor
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import decided, environment, simulated
from tests.faults.harness import effects
from tests.services.database import as_default

Full = Callable[[], AbstractContextManager[None]]
NUMBER = 100


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own. Needs root; without it these tests prove nothing and are skipped."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x")
    yield
    filler.unlink()


@contextmanager
def refusing() -> Iterator[None]:
    """What PostgreSQL says when a write finds no room (53100), from the two tables that count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        for table, what in (("audit_event", "INSERT"), ("actions_attempt", "INSERT OR UPDATE")):
            cursor.execute(f"CREATE TRIGGER no_room BEFORE {what} ON {table} EXECUTE FUNCTION no_room()")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION no_room() CASCADE")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Full]:
    """A database whose disk can be filled up."""
    if request.param == "postgres":
        request.getfixturevalue("on_postgres")
        yield refusing
        return
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder):
        path = folder / "database.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        with request.getfixturevalue("django_db_blocker").unblock(), as_default(f"sqlite:///{path}"):
            yield lambda: filled(folder)


def state() -> tuple[int, ...]:
    pending = Action.objects.filter(decision=Decision.PENDING)
    return pending.count(), Vote.objects.count(), Event.objects.count(), Attempt.objects.count()


@pytest.mark.samples
def test_every_decision_is_refused_as_a_whole_and_taken_later(full: Full, tmp_path: Path) -> None:
    simulated(tmp_path)
    visitor = Visitor.signed_in(factories.person("mira"))
    action = factories.waiting_action()
    before, address = state(), f"/action-center/actions/{action.pk}/approve"
    with full():
        answers = [visitor.post(address, {"idempotency_key": f"form {at}"}) for at in range(NUMBER)]
        assert {(answer.status, answer.headers.get("Retry-After")) for answer in answers} == {(503, "5")}
        assert b"may not have been recorded" in answers[0].body
        assert state() == before
    assert visitor.post(address, {"idempotency_key": "form 0"}).status == 302
    assert state() == (before[0] - 1, 1, before[2] + 1, before[3])


@pytest.mark.samples
@pytest.mark.parametrize("claimed", [False, True], ids=["queued", "claimed"])
def test_nothing_is_sent_whose_intent_can_not_be_recorded(full: Full, tmp_path: Path, claimed: bool) -> None:
    estate = simulated(tmp_path)
    actions = decided(2)
    attempts = [claiming.claim_one(action.pk, "r", by=RUNNER) for action in actions if claimed]
    with full():
        for attempt in attempts:
            assert attempt is not None
            with suppress(Error):
                stepping.work(attempt, by=RUNNER)
        with suppress(Error):
            loop.drain(by=RUNNER)
        assert not effects(estate)
    Attempt.objects.update(lease_until=Now())
    loop.drain(by=RUNNER)
    assert set(Action.objects.values_list("execution", flat=True)) == {Execution.SUCCEEDED}
    assert sorted(effects(estate).values()) == [1, 1]


READ = """
import django
django.setup()
from actioncenter.actions.models import Artefact
import sys
sys.stdout.write(Artefact(public_id=sys.argv[1]).content().decode())
"""


def test_hosts_with_folders_of_their_own_read_the_same_file(tmp_path: Path) -> None:
    """They share one folder for what connectors bring back, and the keys."""
    with override_settings(MEDIA_ROOT=str(tmp_path / "shared")):
        artefact = Artefact(name="sample.bin")
        artefact.keep(b"what was found there")
        assert artefact.content() == b"what was found there"
        (kept,) = (tmp_path / "shared" / "artefacts").iterdir()
        assert b"found" not in kept.read_bytes()
    other = tmp_path / "other"
    more = {"ACTIONCENTER_FILES_DIR": str(tmp_path / "shared"), "ACTIONCENTER_DATA": str(other)}
    keys = {"ACTIONCENTER_KEYS_DIR": str(settings.KEYS_DIR)}
    read = subprocess.run(
        [sys.executable, "-c", READ, str(artefact.public_id)],
        env=environment(f"sqlite:///{other / 'none.sqlite3'}", **more, **keys),
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert read.stdout == "what was found there", read.stderr
