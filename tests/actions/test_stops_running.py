"""A stop reaches real runners: nothing begins under it, and it outlives whoever is killed or frozen."""

import json
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import watching
from actioncenter.actions.models import Action, ActionTarget, Attempt
from actioncenter.actions.queries import runners, stopped
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stop_runners import PLACES
from tests.actions.stopping import (
    acknowledged,
    beat_of,
    command,
    decided,
    decided_cluster,
    is_frozen,
    moments,
    runner,
    simulated,
    until,
)
from tests.settings.stopping import ALL, CONNECTOR, GROUP, PAUSE, STOP, TYPE, pull, stop_file

__all__ = ["stop_file"]
pytestmark = pytest.mark.usefixtures("stop_file")
SQLITE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
LONG_ENOUGH = timedelta(seconds=3)
"""A silence in which what was asked before it has become too old to be relied on."""
NOBODY_THERE = "postgres://nobody@127.0.0.1:1/nothing"


def lift(stop: Stop) -> None:
    assert stop.lift(by=factories.actor(factories.person("noa")))


def begun_since(stop: Stop) -> int:
    """Attempts that were claimed under it. Both times are the database's, the fence orders them."""
    return Attempt.objects.filter(started_at__gt=stop.pulled_at).count()


def one_round(estate: Estate, kind: StopKind, scope: StopScope = StopScope.ALL) -> list[str]:
    """Stop in the middle of the work; what went on although it shouldn't have."""
    with transaction.atomic():  # Seen all at once: else a fast runner has begun them before the stop comes.
        *_, last = batch = decided(12)
    until(lambda: Attempt.objects.filter(action__in=batch).exists(), "no work began")
    stop = pull(kind, scope, what_holds(last)[scope])
    said = time.time()
    until(lambda: all(acks(stop)), "not acknowledged")
    until(lambda: Stop.objects.get(pk=stop.pk).quiet_at, "it never became quiet")
    late = [at for at in moments(estate) if at > said + 2]
    found = [f"{begun_since(stop)} were begun"] if begun_since(stop) else []
    found += [f"{len(late)} were sent late"] if late and kind == STOP else []
    lift(stop)
    return found


def what_holds(action: Action) -> dict[StopScope, int | None]:
    """What stops it and all that were decided with it."""
    return {
        StopScope.ALL: None,
        StopScope.CONNECTOR: action.targets.get().instance_id,
        StopScope.GROUP: action.group_id,
        StopScope.TYPE: action.type,
    }


def acks(stop: Stop) -> list[bool]:
    call = runners.roll_call(stop.pk, runners.known())
    return [name in call.acknowledged for name in [*call.acknowledged, *call.waited_for, *call.silent]]


@pytest.mark.oversight("HO-002")
@pytest.mark.parametrize(
    "rounds", [4, pytest.param(100, marks=[pytest.mark.long])], ids=["few rounds", "100 rounds"]
)
@pytest.mark.sampled(1)
def test_pause_and_stop_2s(shared_database: str, tmp_path: Path, rounds: int) -> None:
    """Of each scope in turn, with either kind."""
    estate = simulated(tmp_path, slow=0.1)
    scopes = [ALL, CONNECTOR, GROUP, TYPE]
    turns = [(STOP if (at + at // 4) % 2 else PAUSE, scopes[at % 4]) for at in range(rounds)]
    with runner(shared_database), runner(shared_database):
        found = [one_round(estate, kind, scope) for kind, scope in turns]
        until(lambda: not Action.objects.running().exists(), "what waited was lost")

    assert found == [[]] * rounds
    assert len(moments(estate)) == 12 * rounds


@SQLITE
def test_a_runner_that_asks_nobody_is_seen(shared_database: str, tmp_path: Path) -> None:
    estate = simulated(tmp_path, slow=0.1)
    with runner(shared_database, plant="deaf"):
        assert any(one_round(estate, kind) for kind in [*StopKind] * 3)


@SQLITE
@pytest.mark.oversight("HO-008")
def test_a_stop_cuts_long_work_between_its_chunks(shared_database: str, tmp_path: Path) -> None:
    estate = simulated(tmp_path, chunk=5)
    action = decided_cluster(400)
    with runner(shared_database) as process:
        until(lambda: moments(estate), "no chunk was sent")
        stop = pull()
        until(lambda: acknowledged(process, stop.pk))
        until(lambda: Stop.objects.get(pk=stop.pk).quiet_at)
        sent = len(moments(estate))
        assert sent < 400
        lift(stop)
        Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=stop.pulled_at)
        until(lambda: Action.objects.get(pk=action.pk).history_at, "it never went on")

    action.refresh_from_db()
    assert (action.execution, len(moments(estate))) == (Execution.SUCCEEDED, 400)
    assert set(estate.effects().values()) == {1}


@SQLITE
@pytest.mark.oversight("HO-006")
def test_paused_only_when_quiet(shared_database: str, tmp_path: Path, client: Client) -> None:
    estate = simulated(tmp_path, slow=4)
    (under_way,) = decided(1)
    client.force_login(factories.person("mira"))
    with runner(shared_database):
        until(lambda: under_way.attempts.filter(next_poll_at__isnull=False).exists())
        pause, (waits,) = pull(PAUSE), decided(1)
        looks = 0
        while under_way.attempts.filter(ended_at=None).exists():
            assert stopped.in_flight(pause) == 1 or not under_way.attempts.filter(ended_at=None).exists()
            page = client.get("/settings/stops").content.decode()
            looks += "Pausing, 1 in flight" in page
            assert "Pausing" in page or not under_way.attempts.filter(ended_at=None).exists()
            time.sleep(0.2)
        pause = until(lambda: Stop.objects.filter(pk=pause.pk, quiet_at__isnull=False).first())

    ended = under_way.attempts.get().ended_at
    assert ended is not None
    assert pause.quiet_at >= ended
    assert looks, "it was shown as pausing meanwhile"
    assert (
        f"Paused {pause.quiet_at:%H:%M:%S}, nothing in flight"
        in client.get("/settings/stops").content.decode()
    )
    assert len(moments(estate)) == 1
    waits.refresh_from_db()
    assert waits.execution == Execution.QUEUED


@pytest.mark.oversight("HO-006")
def test_pause_survives_kill(shared_database: str, tmp_path: Path) -> None:
    estate = simulated(tmp_path)
    pending = factories.waiting_action()
    home = pending.group_id
    assert home is not None
    pause = pull(PAUSE, GROUP, home)
    queued = decided(5)
    with runner(shared_database) as process:
        until(lambda: acknowledged(process, pause.pk))
        process.kill()
        process.wait()
    with runner(shared_database) as process:
        until(lambda: acknowledged(process, pause.pk))
        until(lambda: Stop.objects.get(pk=pause.pk).quiet_at)
        assert moments(estate) == []
        order = Action.objects.running().order_by("queued_at", "pk").values_list("pk", flat=True)
        assert list(order) == [action.pk for action in queued]
        assert list(Action.objects.waiting()) == [pending]
        lift(pause)
        until(lambda: len(moments(estate)) == 5, "what waited was not taken up again")


@SQLITE
@pytest.mark.oversight("HO-008")
@pytest.mark.parametrize("place", [place for place in PLACES if place != "inside the fence"])
@pytest.mark.sampled(2)
def test_silent_runner_alarms(
    shared_database: str, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen before the stop and woken after it: alarmed about, and it sends nothing."""
    monkeypatch.setattr(runners, "SILENT_AFTER", LONG_ENOUGH)
    factories.person("noa")
    estate = simulated(tmp_path)
    (action,) = decided(1)
    with runner(shared_database, freeze=place) as process:
        assert is_frozen(process)
        stop = pull()
        until(lambda: runners.silent().exists(), "its silence went unnoticed")
        assert [watching.raise_alarms(RUNNER) for _ in range(2)] == [1, 0]
        assert runners.roll_call(stop.pk, runners.known()).acknowledged == ()
        process.send_signal(signal.SIGCONT)
        until(lambda: acknowledged(process, stop.pk), "it never heard of the stop")
        until(lambda: Stop.objects.get(pk=stop.pk).quiet_at)
        assert moments(estate) == []
        lift(stop)
        Attempt.objects.filter(next_poll_at__isnull=False).update(next_poll_at=stop.pulled_at)
        ActionTarget.objects.update(not_before=None)
        until(lambda: Action.objects.get(pk=action.pk).history_at, "it never went on")

    assert len(moments(estate)) == 1
    (event,) = Event.objects.filter(kind="runner.silent")
    assert event.subject == f"runner:{beat_name(process.pid)}"
    (notice,) = Notice.objects.filter(kind="runner.silent", user__username="noa")
    assert notice.severity == Severity.URGENT


@SQLITE
@pytest.mark.parametrize("place", ["within the intent", "before the touch"])
@pytest.mark.sampled(1)
def test_a_runner_that_does_not_look_again_is_seen(shared_database: str, tmp_path: Path, place: str) -> None:
    estate = simulated(tmp_path)
    decided(1)
    with runner(shared_database, freeze=place, plant="hasty") as process:
        assert is_frozen(process)
        stop = pull()
        process.send_signal(signal.SIGCONT)
        until(lambda: acknowledged(process, stop.pk))
        until(lambda: moments(estate), "the mistake has no effect")


def beat_name(pid: int) -> str:
    (name,) = Event.objects.filter(subject__endswith=f":{pid}").values_list("subject", flat=True)
    return name.removeprefix("runner:")


@pytest.mark.postgres
@pytest.mark.long
@pytest.mark.parametrize("shared_database", [pytest.param("postgres")], indirect=True)
def test_a_runner_frozen_inside_the_fence_keeps_nobody_from_stopping(
    shared_database: str, tmp_path: Path
) -> None:
    estate = simulated(tmp_path)
    decided(1)
    with runner(shared_database, freeze="inside the fence") as process:
        assert is_frozen(process)
        stop = pull()
        process.send_signal(signal.SIGCONT)
        until(lambda: acknowledged(process, stop.pk))
        assert moments(estate) == []


def by_page(url: str, file: Path) -> None:
    client = Client()
    client.force_login(factories.person("kim"))
    assert client.post("/settings/stops/pull").status_code == 302


def by_command(url: str, file: Path) -> None:
    done = command(url, "stop", "--reason", "Look", ACTIONCENTER_BROKER_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stderr
    assert "acknowledged: " in done.stdout


def by_command_without_database(url: str, file: Path) -> None:
    done = command(NOBODY_THERE, "stop", "--reason", "Look", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["file"] == str(file)
    assert file.read_text() == "Look\n"


def by_file(url: str, file: Path) -> None:
    file.touch()


@SQLITE
@pytest.mark.oversight("HO-008", "A01")
@pytest.mark.parametrize("way", [by_page, by_command, by_command_without_database, by_file])
@pytest.mark.sampled(2)
def test_stop_channels_independent(
    shared_database: str, tmp_path: Path, stop_file: Path, way: Callable[[str, Path], None]
) -> None:
    """Each way alone, without the others; the runner does no housekeeping that would help."""
    estate = simulated(tmp_path)
    with runner(shared_database, tidy=False) as process:
        decided(1)
        until(lambda: len(moments(estate)) == 1)
        way(shared_database, stop_file)
        decided(3)
        until(lambda: beats_again(process), "the runner is gone")
        assert len(moments(estate)) == 1
        stop_file.unlink(missing_ok=True)
        for stop in Stop.objects.in_force():
            lift(stop)
        until(lambda: len(moments(estate)) == 4, "it never went on")


def beats_again(process: object, *, times: int = 3) -> bool:
    """A runner that was heard that often has looked for work more often still."""
    seen = {until(lambda: beat_of(process)).seen_at}  # type: ignore[arg-type]
    while len(seen) <= times:
        seen.add(beat_of(process).seen_at)  # type: ignore[arg-type,union-attr]
        time.sleep(0.05)
    return True


@pytest.mark.django_db
@pytest.mark.oversight("HO-006")
def test_resume_rechecks(run: Callable[..., None], estate: Estate) -> None:
    """Fifty targets are changed while everything is stopped: none is sent afterwards."""
    stop = pull(STOP, StopScope.ALL)
    actions = decided(50)
    run()
    ActionTarget.objects.update(entity="f" * 64)
    lift(stop)
    run()

    assert estate.effects() == {}
    ends = set(
        Action.objects.filter(pk__in=[action.pk for action in actions]).values_list("execution", "code")
    )
    assert ends == {(Execution.CANCELLED, "fingerprint_changed")}


@pytest.mark.django_db
def test_what_was_not_changed_is_sent_after_all(run: Callable[..., None], estate: Estate) -> None:
    for kind in StopKind:
        stop = pull(kind, ALL)
        decided(1)
        run()
        lift(stop)
    run()
    assert len(estate.effects()) == 2
