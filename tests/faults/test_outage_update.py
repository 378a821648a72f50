"""Old and new code side by side, and an update killed half-way: nothing is begun on a database nobody knows."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from actioncenter import schema
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import RunnerBeat
from actioncenter.audit import triggers
from actioncenter.bench.visiting import Visitor, WrongAnswer
from tests import factories
from tests.actions.stopping import decided, environment, until
from tests.faults.harness import effects, estate_of
from tests.faults.harness_nursery import Nursery
from tests.faults.outages import all_over

LATER = ("actions", "9999_from_the_future")


@contextmanager
def newer() -> Iterator[None]:
    """Somebody has updated the database: one more column, which this version knows nothing of."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE actions_action ADD COLUMN of_later varchar(10) DEFAULT '' NOT NULL")
    MigrationRecorder(connection).record_applied(*LATER)
    yield
    MigrationRecorder(connection).record_unapplied(*LATER)


@pytest.mark.sampled(1)
def test_a_runner_begins_nothing_on_a_newer_database_and_pages_go_on(
    shared_database: str, tmp_path: Path
) -> None:
    estate = estate_of(tmp_path)
    mira = factories.person("mira")
    (action,) = factories.waiting_actions(1)
    with Nursery(shared_database, lease=3) as nursery, newer():
        assert "is newer than this version: it has actions.9999_from_the_future" in schema.unknown()
        runner = nursery.start()
        visitor = Visitor.signed_in(mira)
        assert visitor.get("/action-center/pending")
        answer = visitor.post(f"/action-center/actions/{action.pk}/approve", {})
        assert answer.status == 302
        until(lambda: is_heard(runner.pid), "it doesn't say that it lives")
        action.refresh_from_db()
        assert (action.decision, action.execution) == (Decision.APPROVED, Execution.QUEUED)
        assert not effects(estate)
        until(lambda: "begins nothing" in visitor.get("/settings/stops").decode(), "nobody is told")
        assert "1 runner begins nothing" in visitor.get("/action-center/pending").decode()
        MigrationRecorder(connection).record_unapplied(*LATER)
        until(all_over, "it doesn't go on by itself once it knows the database")
    assert sum(effects(estate).values()) == 1


def is_heard(pid: int) -> bool:

    return RunnerBeat.objects.filter(name__endswith=f":{pid}").exists()


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_code_that_waits_for_its_update_says_so(shared_database: str) -> None:
    """Its pages need a column that isn't there yet: come again, not a failure."""
    visitor = Visitor.signed_in(factories.person("mira"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE actions_action RENAME COLUMN decision TO not_yet")
    with pytest.raises(WrongAnswer, match="answered 500"):
        visitor.get("/action-center/pending")
    MigrationRecorder(connection).record_unapplied("actions", "0012_endurance")
    assert "actions.0012_endurance is missing. Run manage.py migrate." in schema.unknown()
    with pytest.raises(WrongAnswer, match="answered 503"):
        visitor.get("/action-center/pending")


KILLED = """
import django, os, signal, sys
django.setup()
from django.core.management import call_command
from django.db.migrations import executor, recorder
def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "before it is noted":
    recorder.MigrationRecorder.record_applied = dies
else:
    from django.db.models import signals
    signals.post_migrate.send = dies
call_command("migrate", verbosity=0)
"""


@pytest.mark.parametrize("moment", ["before it is noted", "before the triggers come back"])
@pytest.mark.sampled(2)
def test_an_update_that_was_killed_is_run_again(shared_database: str, moment: str) -> None:
    call_command("migrate", "actions", "0011", verbosity=0)
    call_command("migrate", "settings", "0004", verbosity=0)
    triggers.remove(connection)
    connection.close()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, moment],
        env=environment(shared_database),
        cwd=settings.BASE_DIR,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert triggers.missing(connection)
    call_command("migrate", verbosity=0)
    assert (schema.unknown(), triggers.missing(connection)) == ("", [])
    assert decided(1)[0].execution == Execution.QUEUED
