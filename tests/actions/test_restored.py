"""A database that was restored from a backup doesn't know what was done since. Nothing is done twice."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import anchoring, claiming, loop
from actioncenter.actions.models import Action, ActionTarget, Attempt, restoring
from actioncenter.audit.models import Event
from actioncenter.audit.verify import first_bad_row
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopSource
from actioncenter.settings.models import Installation, RestoreError, Stop
from actioncenter.settings.models.stops import StopError
from tests import factories
from tests.actions.backups import back_up
from tests.actions.conftest import RUNNER
from tests.actions.stopping import decided, runner, simulated, until
from tests.actions.test_crashes import effects

Restore = Callable[[], None]
LOOKED = "Compared with the far side"


def work() -> None:
    """A runner that begins, does what there is, and ends."""
    anchoring.look(by=RUNNER)
    for _ in range(5):
        Attempt.objects.filter(ended_at=None, next_poll_at__isnull=False).update(next_poll_at=Now())
        ActionTarget.objects.update(not_before=None)
        loop.drain(by=RUNNER)
    anchoring.look(by=RUNNER)


def accept() -> None:
    restoring.accept(by=factories.actor(factories.person("noa")), comment=LOOKED)


def twice(estate: Estate) -> list[str]:
    return [key for key, times in effects(estate).items() if times > 1]


def keys() -> set[str]:
    return {str(key) for key in Attempt.objects.values_list("public_id", flat=True)}


def test_a_runner_holds_over_a_restored_database_until_a_person_accepts(
    shared_database: str, tmp_path: Path
) -> None:
    noa, estate = factories.person("noa"), simulated(tmp_path)
    (before,) = decided(1)
    later = factories.waiting_action()
    with runner(shared_database):
        until(lambda: Action.objects.ended().filter(pk=before.pk).exists())
    restore = back_up(shared_database, tmp_path)
    later.approve(by=factories.person("mira").actor())
    (lost,) = decided(1)
    with runner(shared_database):
        until(lambda: Action.objects.ended().count() == 3)
    highest, used = lost.pk, keys()
    events = Event.objects.order_by("pk").last()
    assert events
    assert len(effects(estate)) == 3

    restore()
    for _ in range(2):
        with runner(shared_database):
            stop = until(lambda: Stop.objects.in_force().filter(source=StopSource.RESTORE).first())
    assert Installation.current().held_at
    assert Notice.objects.filter(user=noa, kind="restore.found", severity=3).count() == 1
    with pytest.raises(StopError, match="restored"):
        stop.lift(by=factories.actor(noa))
    later.refresh_from_db()
    (new,) = decided(1)
    assert new.pk > highest, "a number was given twice"
    with runner(shared_database):
        connection.close()
        until(lambda: Attempt.objects.count() == 1)
    assert (len(effects(estate)), twice(estate)) == (3, [])

    accept()
    later.approve(by=factories.person("mira").actor())
    with runner(shared_database):
        until(lambda: Action.objects.ended().filter(pk__in=[new.pk, later.pk]).count() == 2)
    assert not Action.objects.exclude(execution=Execution.SUCCEEDED).exists()
    assert (len(effects(estate)), twice(estate)) == (4, []), "what was approved again is not done again"
    assert not {str(attempt.public_id) for attempt in new.attempts.all()} & used
    assert Event.objects.filter(kind="restore.accepted").get().pk > events.pk
    assert first_bad_row() is None


STATES = ["waiting", "queued", "claimed", "offline before", "long"]


def put(state: str, action: Action, estate: Estate) -> None:
    """How the action stood when the backup was made."""
    if state != "waiting":
        action.approve(by=factories.person("mira").actor())
    if state == "claimed":
        assert claiming.claim_one(action.pk, "dead:1", by=RUNNER)
    if state == "long":
        estate.behave("slow", 0.5)
        loop.drain(by=RUNNER)
        estate.behave_normally()


def go_on(state: str, action: Action, estate: Estate) -> None:
    """What was done with it afterwards."""
    if state == "waiting":
        action.approve(by=factories.person("mira").actor())
    if state == "offline before":
        # Its first attempt sends nothing, so it is done under another key.
        estate.behave("offline", True)
        loop.drain(by=RUNNER)
        estate.behave_normally()
    Attempt.objects.filter(ended_at=None).update(lease_until=Now())
    work()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("delivery", ["keyed", "queryable", "blind"])
def test_what_was_sent_after_the_backup_is_not_sent_again(
    shared_database: str, tmp_path: Path, delivery: str, state: str
) -> None:
    estate = simulated(tmp_path, delivery=delivery)
    action = factories.waiting_action()
    put(state, action, estate)
    restore = back_up(shared_database, tmp_path)
    go_on(state, action, estate)
    done = effects(estate)
    assert sum(done.values()) == 1

    restore()
    work()
    assert Installation.current().held_at
    accept()
    work()
    assert effects(estate) == done
    action.refresh_from_db()
    if delivery == "blind" and state != "waiting":
        assert action.execution == Execution.OUTCOME_UNKNOWN, "a person looks"
    if delivery == "blind" or state == "waiting":
        return
    assert (action.execution, action.attempts.filter(ended_at=None).count()) == (Execution.SUCCEEDED, 0)


@pytest.mark.parametrize("delivery", ["keyed", "queryable"])
@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_what_was_never_sent_is_done_after_the_acceptance(
    shared_database: str, tmp_path: Path, delivery: str
) -> None:
    estate = simulated(tmp_path, delivery=delivery)
    (queued,) = decided(1)
    restore = back_up(shared_database, tmp_path)
    decided(1)
    work()
    estate_before = sum(effects(estate).values())
    restore()
    work()
    accept()
    work()
    queued.refresh_from_db()
    assert (queued.execution, sum(effects(estate).values())) == (Execution.SUCCEEDED, estate_before)


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_without_the_question_it_is_sent_again(
    shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted mistake: a restored database that is taken for what it says."""
    estate = simulated(tmp_path, delivery="queryable")
    (action,) = decided(1)
    restore = back_up(shared_database, tmp_path)
    go_on("offline before", action, estate)
    restore()
    monkeypatch.setattr(anchoring, "is_doubtful", lambda *_: False)
    work()
    accept()
    work()
    assert twice(estate) != []


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_without_the_anchor_nobody_notices(
    shared_database: str, tmp_path: Path, settings: object
) -> None:
    estate = simulated(tmp_path, delivery="queryable")
    (action,) = decided(1)
    restore = back_up(shared_database, tmp_path)
    go_on("offline before", action, estate)
    restore()
    settings.ANCHOR_DIR = tmp_path / "another"  # type: ignore[attr-defined]
    _forget(settings)
    work()
    assert twice(estate) != []


def _forget(settings: object) -> None:
    from actioncenter.settings import anchoring as files

    files._files.clear()
