"""`manage.py stop` and `resume`: without web and broker, and without the database if need be."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import beating
from actioncenter.actions.execution.loop import runner_name
from actioncenter.actions.models import RunnerBeat
from actioncenter.audit.models import Event
from actioncenter.settings.enums import StopSource
from actioncenter.settings.models import ConnectorInstance, Stop
from tests import factories
from tests.actions.real_processes import migrated_file, shared_database
from tests.actions.stopping import beat_of, command, decided, is_frozen, moments, runner, simulated
from tests.services.database import migrated_template, on_postgres
from tests.settings.stopping import ALL, CONNECTOR, GROUP, INVESTIGATION, PAUSE, STOP, TYPE, pull, stop_file

__all__ = ["migrated_file", "migrated_template", "on_postgres", "shared_database", "stop_file"]
pytestmark = pytest.mark.usefixtures("stop_file")
NOBODY_THERE = "postgres://nobody@127.0.0.1:1/nothing"
NO_BROKER = {"ACTIONCENTER_BROKER_URL": "redis://127.0.0.1:1/0"}


def told(name: str, *words: str) -> Any:
    out = StringIO()
    call_command(name, *words, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.oversight("HO-009")
def test_stop_without_web(shared_database: str, tmp_path: Path) -> None:
    """No web server runs, and the broker that is configured doesn't answer."""
    estate = simulated(tmp_path)
    with runner(shared_database) as process:
        beat = beat_of(process)
        assert beat is not None
        done = command(shared_database, "stop", "--reason", "Too many mails gone", "--json", **NO_BROKER)
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["acknowledged"], answer["silent"]) == (0, [beat.name], [])
        assert (answer["in_flight"], answer["file"]) == (0, None)
        stop = Stop.objects.in_force().get(pk=answer["stop"])
        assert (stop.scope, stop.source, stop.reason) == (ALL, StopSource.COMMAND, "Too many mails gone")
        decided(1)
        assert moments(estate) == []
        done = command(shared_database, "resume", "--reason", "Found it", **NO_BROKER)
        assert (done.returncode, done.stdout) == (0, f"All execution is resumed (number {stop.pk}).\n")


@pytest.mark.oversight("HO-008")
@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_a_runner_that_does_not_answer_is_named(shared_database: str, tmp_path: Path) -> None:
    simulated(tmp_path)
    decided(1)
    with runner(shared_database, freeze="before the claim") as process:
        assert is_frozen(process)
        done = command(shared_database, "stop", "--reason", "Look", "--json")
        assert done.returncode == 1
        (name,) = json.loads(done.stdout)["silent"]
        assert name.endswith(f":{process.pid}")
    assert Stop.objects.in_force().exists(), "it holds anyway"
    assert Event.objects.filter(kind="runner.silent", subject=f"runner:{name}").count() == 1


@pytest.mark.parametrize("words", [["--pause"], ["--type", "isolate_device"]], ids=str)
def test_without_the_database_only_everything_can_be_stopped(words: list[str], stop_file: Path) -> None:
    done = command(NOBODY_THERE, "stop", "--reason", "Look", *words)
    assert done.returncode == 1
    assert "only everything can be stopped" in done.stderr
    assert not stop_file.exists()


@pytest.mark.oversight("HO-008")
def test_without_the_database_the_stop_file_is_written(stop_file: Path) -> None:
    done = command(NOBODY_THERE, "stop", "--reason", "Look")
    assert done.returncode == 0
    assert str(stop_file) in done.stdout
    assert stop_file.read_text() == "Look\n"


@pytest.mark.django_db
class TestInOneProcess:
    def test_every_scope_can_be_named(self) -> None:
        group, case = factories.group("Kiosks"), factories.investigation()
        connector = ConnectorInstance.objects.all()[0]
        wanted = [
            ([], (ALL, None)),
            (["--group", "kiosks"], (GROUP, group.pk)),
            (["--group", str(group.pk)], (GROUP, group.pk)),
            (["--connector", connector.name], (CONNECTOR, connector.pk)),
            (["--type", "isolate"], (TYPE, ActionType.ISOLATE_DEVICE)),
            (["--type", "Isolate-Device"], (TYPE, ActionType.ISOLATE_DEVICE)),
            (["--investigation", str(case.pk)], (INVESTIGATION, case.pk)),
        ]
        for words, (scope, value) in wanted:
            stop = Stop.objects.get(pk=told("stop", *words, "--reason", "Look")["stop"])
            assert (stop.scope, stop.value, stop.kind) == (scope, value, STOP)
            assert told("resume", *words, "--reason", "Seen") == {"resumed": [stop.pk], "in_force": []}

    def test_a_pause_may_end_by_itself(self) -> None:
        stop = Stop.objects.get(pk=told("stop", "--pause", "--minutes", "30", "--reason", "Window")["stop"])
        assert stop.kind == PAUSE
        assert stop.until is not None
        assert 29 * 60 < (stop.until - timezone.now()).total_seconds() <= 30 * 60

    @pytest.mark.parametrize(
        "words",
        [
            ["--group", "nowhere"],
            ["--connector", "none"],
            ["--type", "nothing"],
            ["--minutes", "30"],
            ["--pause", "--minutes", "0"],
        ],
        ids=str,
    )
    def test_what_is_not_there_is_refused(self, words: list[str]) -> None:
        with pytest.raises(CommandError):
            call_command("stop", *words, "--reason", "Look")
        assert not Stop.objects.exists()

    def test_resuming_refuses_while_the_file_exists(self, stop_file: Path) -> None:
        pull()
        stop_file.touch()
        with pytest.raises(CommandError, match="STOP"):
            call_command("resume", "--reason", "Seen")
        assert Stop.objects.in_force().exists()

    def test_what_else_is_in_force_is_said(self) -> None:
        stop, pause = pull(), pull(PAUSE)
        assert told("resume", "--pause", "--reason", "Seen") == {"resumed": [pause.pk], "in_force": [stop.pk]}
        assert told("resume", "--pause", "--reason", "Seen")["resumed"] == []

    def test_a_successor_buries_the_dead(self) -> None:
        """A runner that was killed on this machine doesn't count as silent for ever."""
        here = "host:999999999"
        for name in (here, "elsewhere:999999999"):
            RunnerBeat.objects.create(name=name, host=beating.host_of(name))
        beating.bury_the_dead("host:1")
        assert list(RunnerBeat.objects.filter(ended_at=None)) == [RunnerBeat(name="elsewhere:999999999")]

    def test_the_command_buries_them_too(self) -> None:
        """It must not say for a day that one hasn't acknowledged that can't."""
        here = beating.host_of(runner_name())
        for host in (here, "elsewhere"):
            RunnerBeat.objects.create(
                name=f"{host}:999999999", host=host, seen_at=Now() - timedelta(minutes=1)
            )
        with pytest.raises(SystemExit):
            call_command("stop", "--reason", "Look", "--json", stdout=(out := StringIO()))
        assert json.loads(out.getvalue())["silent"] == ["elsewhere:999999999"]
        RunnerBeat.objects.filter(host="elsewhere").delete()
        assert told("stop", "--reason", "Look")["silent"] == []

    def test_one_that_was_just_heard_lives(self) -> None:
        """In a container of its own its number says nothing here."""
        here = beating.host_of(runner_name())
        RunnerBeat.objects.create(name=f"{here}:999999999", host=here)
        beating.bury_the_dead(runner_name(), unheard_for=timedelta(seconds=2))
        assert RunnerBeat.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_a_runner_that_was_killed_is_not_waited_for(shared_database: str, tmp_path: Path) -> None:
    simulated(tmp_path)
    with runner(shared_database) as process:
        process.kill()
        process.wait()
    done = command(shared_database, "stop", "--reason", "Look", "--json")
    assert (done.returncode, json.loads(done.stdout)["silent"]) == (0, [])
