"""No room left for the database: decisions are refused as a whole, nothing is sent unrecorded, and it recovers."""

import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.conf import settings
from django.db import Error, OperationalError, connection, transaction
from django.db.models.functions import Now
from django.test import Client, override_settings

from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import Action, Artefact, Attempt
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.bench.visiting import Answered, Visitor
from actioncenter.estate.services import Postgres
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import decided, environment, simulated
from tests.auditor.test_everything_recorded import everything
from tests.faults.harness import effects
from tests.services.database import TEMPLATE, as_default
from tests.settings.test_rules_page import FIELDS

Full = Callable[[], AbstractContextManager[None]]
NUMBER = 100
ON_SQLITE = pytest.param("sqlite", marks=pytest.mark.root)
ON_POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
SMALL_DISK = pytest.param("postgres on a small disk", marks=[pytest.mark.postgres, pytest.mark.root])


@contextmanager
def small_disk(folder: Path, megabytes: int = 24) -> Iterator[Path]:
    """A disk of its own. Needs root; without it these tests prove nothing and are skipped."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
        check=False,
        capture_output=True,
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


@contextmanager
def tables_on(folder: Path, server: Postgres) -> Iterator[str]:
    """A migrated database whose tables are on that disk, and the server's journal isn't; its URL."""
    # The server's account has to come through to it.
    shutil.chown(folder, "postgres", "postgres")
    name = f"small_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as superuser:
        superuser.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        superuser.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} TABLESPACE {name}")
        server.hand_over(name)
        try:
            yield server.url_of(Postgres.owner, name)
        finally:
            superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
            superuser.execute(f"DROP TABLESPACE {name}")


@contextmanager
def filled_to_the_last_page(folder: Path) -> Iterator[None]:
    """PostgreSQL asks for room by the page; what is left in the last one takes a few short events yet."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event SET (autovacuum_enabled = off)")
    with filled(folder):
        with suppress(OperationalError):
            while True:
                with transaction.atomic():
                    log.record(Kind.EXPORT_MADE, by=RUNNER, subject="x")
        yield


@pytest.fixture(params=[ON_SQLITE, ON_POSTGRES, SMALL_DISK])
def full(request: pytest.FixtureRequest) -> Iterator[Full]:
    """A database whose disk can be filled up."""
    if request.param == "postgres":
        request.getfixturevalue("on_postgres")
        yield refusing
        return
    unblocked = request.getfixturevalue("django_db_blocker").unblock
    with tempfile.TemporaryDirectory() as above, small_disk(Path(above) / "disk", 96) as folder:
        if request.param == "sqlite":
            path = folder / "database.sqlite3"
            shutil.copy(request.getfixturevalue("migrated_file"), path)
            with unblocked(), as_default(f"sqlite:///{path}"):
                yield lambda: filled(folder)
            return
        request.getfixturevalue("migrated_template")
        Path(above).chmod(0o755)
        with (
            tables_on(folder, request.getfixturevalue("postgres_service")) as url,
            unblocked(),
            as_default(url),
        ):
            yield lambda: filled_to_the_last_page(folder)


class Tried(NamedTuple):
    by: Visitor
    address: str
    form: Mapping[str, Any]
    leaves: Kind
    times: int = 10

    def send(self, key: object) -> Answered:
        return self.by.post(self.address, {**self.form, "idempotency_key": f"{self.address} {key}"})


def everything_that_decides() -> dict[str, Tried]:
    """One of each kind, ready to be sent."""
    mira, noa = proved("mira"), proved("noa")
    first, second, third, *many = factories.waiting_actions(5)
    done = third.approve(by=factories.person("sam").actor())
    loop.drain(by=RUNNER)
    kiosks, lowest = factories.group("Kiosks"), {"level": "0", "comment": "So."}
    said = {"comment": "I looked.", "revision": 1}
    page = "/action-center/actions/{}/{}".format
    bulk = {"verb": "approve", "selected": [str(action.pk) for action in many], "comment": "I looked."}
    return {
        "approve": Tried(mira, page(first.pk, "approve"), said, Kind.ACTION_APPROVED, times=NUMBER),
        "reject": Tried(mira, page(second.pk, "reject"), said, Kind.ACTION_REJECTED),
        "undo": Tried(mira, page(done.pk, "undo"), said, Kind.ACTION_UNDONE),
        "in bulk": Tried(mira, "/action-center/bulk", bulk, Kind.ACTION_APPROVED),
        "a rule": Tried(noa, "/settings/rules/add", FIELDS, Kind.RULE_ADDED),
        "a level": Tried(noa, f"/settings/groups/{kiosks.pk}/level", lowest, Kind.GROUP_LEVEL_LOWERED),
    }


def proved(name: str) -> Visitor:
    client, person = Client(), factories.person(name)
    client.force_login(person)
    factories.prove(client)
    return Visitor(person, client.cookies)


def test_everything_is_refused_as_a_whole_and_taken_later(full: Full, tmp_path: Path) -> None:
    simulated(tmp_path)
    tried = everything_that_decides()
    with full():
        before = everything()
        for name, each in tried.items():
            answers = [each.send(at) for at in range(each.times)]
            assert {(answer.status, answer.headers.get("Retry-After")) for answer in answers} == {
                (503, "5")
            }, name
            assert b"may not have been recorded" in answers[0].body
        now = everything()
        assert {table for table, rows in now.items() if rows != before[table]} == set()
    for name, each in tried.items():
        newest = Event.objects.latest("pk").pk
        assert each.send(0).status in {200, 302}, name
        assert Event.objects.filter(pk__gt=newest, kind=each.leaves).exists(), name


@pytest.mark.parametrize("full", [ON_SQLITE, ON_POSTGRES], indirect=True)
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
