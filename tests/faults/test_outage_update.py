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
from actioncenter.actions.models import Action, RunnerBeat
from actioncenter.audit import triggers
from actioncenter.bench.visiting import Visitor, WrongAnswer
from tests import factories
from tests.actions.stopping import command, decided, environment, is_frozen, until
from tests.faults.deciding import Deciders
from tests.faults.harness import Estate, effects, estate_of
from tests.faults.harness_nursery import Nursery, Runner
from tests.faults.later.migrations import VARIABLE, Moment
from tests.faults.outages import all_over, counted

LATER = ("actions", "9999_from_the_future")
RELEASE = {"DJANGO_SETTINGS_MODULE": "tests.faults.later.conf"}
"""In the environment of a process of the later release."""


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


@contextmanager
def update(url: str, moment: Moment) -> Iterator[None]:
    """The later release's `migrate` stands still in the middle as long as the block lasts, and is killed then."""
    start = "from actioncenter.ops import commandline; commandline.run(['manage.py', 'migrate'])"
    with subprocess.Popen(
        [sys.executable, "-c", start],
        env=environment(url, **RELEASE, **{VARIABLE: moment.value}),
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            assert is_frozen(process), "it came to its end"
            yield
        finally:
            process.kill()


def beats(*runners: Runner) -> list[RunnerBeat]:
    return [RunnerBeat.objects.get(name__endswith=f":{runner.pid}") for runner in runners]


def has_looked(*runners: Runner) -> None:
    """Each has said once more that it lives, and looks for work several times between two beats."""
    before = beats(*runners)
    until(lambda: all(new.seen_at > old.seen_at for new, old in zip(beats(*runners), before, strict=True)))


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.sampled(2)
def test_old_and_new_work_side_by_side_while_an_update_is_killed(
    shared_database: str, tmp_path: Path, moment: Moment
) -> None:
    """Runners and web servers of both releases live through it; whatever people decide at either happens once."""
    estate = estate_of(tmp_path)
    actions = list(factories.waiting_actions(16))
    mira = factories.person("mira")
    with (
        Nursery(shared_database, lease=3) as here,
        Nursery(shared_database, lease=3, **RELEASE) as there,
        Deciders(shared_database, mira, threads=2) as old_web,
        Deciders(shared_database, mira, threads=1, **RELEASE) as new_web,
    ):
        old, new = here.start(threads=2, tidy=True), there.start(threads=2, tidy=True)
        old_web.give(actions[:4])
        until(lambda: effects(estate), "the old runner does nothing")
        new_web.give(actions[4:8])
        until(lambda: new_web.told, "the new web server says nothing")
        assert new_web.statuses.keys() == {503}

        during = killed_half_filled if moment is Moment.HALF_FILLED else killed_uncommitted
        during(shared_database, estate, old_web, actions[8:12], old, new)
        assert new_web.statuses.keys() == {503}

        assert command(shared_database, "migrate", **RELEASE).returncode == 0
        until(lambda: new_web.statuses[302] == 4, "the new web server doesn't go on")
        old_web.give(actions[12:14])
        new_web.give(actions[14:])
        until(lambda: old_web.statuses[302] == 10 and all_over(), "nobody does what was decided meanwhile")
        until(lambda: [bool(beat.unfit) for beat in beats(old, new)] == [True, False])
    assert (old_web.statuses[302], new_web.statuses[302]) == (10, 6)
    assert old_web.statuses.keys() | new_web.statuses.keys() == {302, 503}
    assert counted(estate, actions) == {"SUCCEEDED 1": 16}
    assert command(shared_database, "migrate", "--check", **RELEASE).returncode == 0
    assert triggers.missing(connection) == []


def killed_uncommitted(
    url: str, estate: Estate, old_web: Deciders, actions: list[Action], old: Runner, new: Runner
) -> None:
    """Nothing has happened to the database, so the old release goes on and the new one waits."""
    with update(url, Moment.UNCOMMITTED):
        old_web.give(actions)
    until(lambda: sum(effects(estate).values()) == 8, "the old release doesn't go on")
    assert schema.unknown() == ""
    assert [bool(beat.unfit) for beat in beats(old, new)] == [False, True]


def killed_half_filled(
    url: str, estate: Estate, old_web: Deciders, actions: list[Action], old: Runner, new: Runner
) -> None:
    """The database is like neither release: people go on at the old one, and no runner begins anything."""
    with update(url, Moment.HALF_FILLED):
        until(
            lambda: all(beat.unfit and not beat.in_flight for beat in beats(old, new)),
            "somebody begins on it",
        )
        done = effects(estate)
        old_web.give(actions[:2])
        until(lambda: old_web.statuses[302] == 6, "the old web server doesn't go on")
        has_looked(old, new)
    assert "is newer than this version: it has actions.9001_first" in schema.unknown()
    old_web.give(actions[2:])
    until(lambda: old_web.statuses[302] == 8, "the old web server doesn't go on")
    has_looked(old, new)
    assert effects(estate) == done
    page = Visitor.signed_in(factories.person("mira")).get("/action-center/pending").decode()
    assert "2 runners begin nothing" in page
