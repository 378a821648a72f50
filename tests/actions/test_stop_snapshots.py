"""When everything is stopped, what was open is sealed elsewhere and can be read back exactly."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Model

from actioncenter.actions.execution import claiming, snapshots
from actioncenter.actions.models import Action, ActionTarget, Attempt, Plan, Vote
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup, Stop
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import decided, decided_cluster, runner, simulated, until
from tests.settings.stopping import GROUP, PAUSE, pull, stop_file

__all__ = ["stop_file"]
MODELS: tuple[type[Model], ...] = (Action, ActionTarget, Attempt, Plan, Vote, DeviceGroup, Stop)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.SNAPSHOTS_DIR = tmp_path / "elsewhere"
    return tmp_path / "elsewhere"


def rows() -> dict[tuple[str, Any], dict[str, Any]]:
    return {
        (model.__name__, row.pk): columns(row)
        for model in MODELS
        for row in model._default_manager.order_by("pk")
    }


def columns(row: Model) -> dict[str, Any]:
    found = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in found.items()}


def read_back(stop: Stop) -> dict[tuple[str, Any], dict[str, Any]]:
    made = snapshots.restored(stop.pk)
    return {(type(row).__name__, row.pk): columns(row) for row in made if isinstance(row, MODELS)}


def open_ones(estate: Any) -> None:
    """Waiting, queued, under way, with plan, votes and restore data."""
    factories.waiting_actions(3)
    queued = decided(3)
    decided_cluster(20)
    claiming.claim_one(queued[0].pk, "somebody:1", by=RUNNER)


@pytest.mark.django_db
@pytest.mark.oversight("HO-008")
@pytest.mark.usefixtures("stop_file")
def test_what_was_open_is_read_back_exactly(estate: Any) -> None:
    open_ones(estate)
    stop = pull()
    Stop.objects.update(pulled_at=F("pulled_at") - timedelta(seconds=31))
    before = rows()
    assert snapshots.is_due()
    assert snapshots.tend(RUNNER) == Action.objects.count() > 6
    Action.objects.update(risk=1, group_name="Somebody meddled")
    ActionTarget.objects.update(remote="dc-01", restore=b"")
    DeviceGroup.objects.update(level=AutomationLevel.FULL)

    assert read_back(stop) == before
    assert not snapshots.is_due()


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_it_is_encrypted_and_nothing_else_is_taken_for_it(folder: Path) -> None:
    factories.waiting_action()
    stop = pull()
    snapshots.take(stop, by=RUNNER)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    assert b"Quarantine" not in content
    assert b"Finance" not in content
    for spoilt in (
        content[:-20],
        content + content,
        content.replace(content[40:41], b"A" if content[40:41] != b"A" else b"B", 1),
    ):
        path.write_bytes(spoilt)
        with pytest.raises(snapshots.Unreadable, match="is not the snapshot"):
            list(snapshots.restored(stop.pk))
    path.unlink()
    with pytest.raises(snapshots.Unreadable, match="can't be read"):
        list(snapshots.restored(stop.pk))
    with pytest.raises(CommandError, match="knows of no snapshot"):
        call_command("snapshot", stop.pk + 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_only_when_everything_is_stopped() -> None:
    pull(PAUSE)
    pull(scope=GROUP, value=factories.group().pk)
    Stop.objects.update(pulled_at=F("pulled_at") - timedelta(seconds=31))
    assert not snapshots.is_due()


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_after_a_year_it_is_dropped(folder: Path) -> None:
    stop = pull()
    snapshots.take(stop, by=RUNNER)
    (path,) = folder.iterdir()
    for days, kept in ((365, True), (367, False)):
        past = time.time() - days * 86400
        os.utime(path, (past, past))
        snapshots.tend(RUNNER)
        assert path.exists() == kept
    assert Event.objects.filter(kind="retention.purged", subject="snapshots").count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_the_command_lists_and_reads(capsys: pytest.CaptureFixture[str]) -> None:
    action, stop = factories.waiting_action(), pull()
    snapshots.take(stop, by=RUNNER)
    call_command("snapshot", "--json")
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["stop"], listed["actions"]) == (stop.pk, 1)
    call_command("snapshot", stop.pk, "--json")
    told = json.loads(capsys.readouterr().out)
    assert action.pk in [row["pk"] for row in told if row["model"] == "actions.action"]


@pytest.fixture
def shown_to_runners(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_SNAPSHOTS_DIR", str(folder))


@pytest.mark.oversight("HO-008")
@pytest.mark.usefixtures("stop_file", "shown_to_runners")
def test_stop_snapshot_60s(shared_database: str, tmp_path: Path) -> None:
    """By a real runner, while one that is slow keeps something in flight."""
    estate = simulated(tmp_path, slow=0.2)
    waiting = factories.waiting_action()
    decided(20)
    with runner(shared_database):
        until(lambda: Attempt.objects.exists(), "nothing was begun")
        stop = pull()
        sealed = until(lambda: Event.objects.filter(kind="switch.sealed").first(), "it was not sealed")
    assert sealed.at - stop.pulled_at < timedelta(seconds=60)
    found = read_back(stop)
    assert found["Action", waiting.pk] == columns(Action.objects.get(pk=waiting.pk))
    done = len(estate.effects())
    assert sum(model == "Action" for model, _ in found) >= 21 - done


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_one_who_slept_over_it_spoils_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen while it wrote; another took its duty over and was through by the time it woke."""
    factories.waiting_actions(2)
    stop, chunks = pull(), snapshots._chunks
    sleeps, slept = iter([True]), []

    def sleeping(of: Stop) -> Any:
        for at, chunk in enumerate(chunks(of)):
            if at == 1 and next(sleeps, False):
                slept.append(snapshots.take(of, by=RUNNER))
            yield chunk

    monkeypatch.setattr(snapshots, "_chunks", sleeping)
    assert snapshots.take(stop, by=RUNNER) == 0
    assert slept == [2]
    assert list(snapshots.restored(stop.pk))
    assert len([*folder.iterdir()]) == Event.objects.filter(kind="switch.sealed").count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_what_a_killed_one_left_is_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (killed, writing) = (folder / "stop-1-aa.draft", folder / "stop-1-bb.draft")
    for path in (killed, writing):
        path.write_bytes(b"half a line")
    os.utime(killed, (time.time() - 2 * 86400,) * 2)

    stop = pull()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        snapshots.take(stop, by=RUNNER)
    assert [*folder.iterdir()] == [writing], "nor does a failed one leave anything"


def full(_: int) -> None:
    raise OSError("No space left on device")
