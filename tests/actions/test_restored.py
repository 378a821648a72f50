"""A database that was restored from a backup doesn't know what was done since. Nothing is done twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import anchoring, claiming, loop
from actioncenter.actions.models import Action, ActionTarget, Attempt, restoring
from actioncenter.audit.models import Event
from actioncenter.audit.verify import first_bad_row
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings import anchoring as anchors
from actioncenter.settings.enums import StopSource
from actioncenter.settings.models import Installation, RestoreError, Stop
from actioncenter.settings.models.stops import StopError
from tests import factories
from tests.actions.backups import back_up
from tests.actions.conftest import RUNNER
from tests.actions.stopping import command, decided, runner, simulated, until
from tests.faults.harness import effects

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
    estate = simulated(tmp_path)
    noa, later = factories.person("noa"), factories.waiting_action()
    carry_out(shared_database, *decided(1))
    restore = back_up(shared_database, tmp_path)
    (lost,) = decided(1)
    carry_out(shared_database, approved(later), lost)
    used, newest = keys(), Event.objects.latest("pk").pk
    restore()
    for _ in range(2):
        with runner(shared_database):
            until(lambda: Stop.objects.in_force().filter(source=StopSource.RESTORE).exists())
    assert Notice.objects.filter(user=noa, kind="restore.found", severity=3).count() == 1
    (new,) = decided(1)
    assert new.pk > lost.pk, "a number was given twice"
    with runner(shared_database):
        assert (Attempt.objects.count(), len(effects(estate))) == (1, 3)
    accept()
    carry_out(shared_database, new, approved(later))
    assert not Action.objects.exclude(execution=Execution.SUCCEEDED).exists()
    assert (len(effects(estate)), twice(estate)) == (4, []), "what was approved again is not done again"
    assert not {str(attempt.public_id) for attempt in new.attempts.all()} & used
    assert Event.objects.filter(kind="restore.accepted").get().pk > newest
    assert first_bad_row() is None


def approved(action: Action) -> Action:
    return action.approve(by=factories.person("mira").actor())


def carry_out(url: str, *actions: Action) -> None:
    """A real runner until these are over."""
    numbers = [action.pk for action in actions]
    with runner(url):
        until(lambda: Action.objects.ended().filter(pk__in=numbers).count() == len(numbers))


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_nothing_is_resumed_or_accepted_by_the_wrong_hand(shared_database: str, tmp_path: Path) -> None:
    noa, mira = factories.person("noa"), factories.person("mira")
    simulated(tmp_path)
    with pytest.raises(RestoreError) as nothing:
        accept()
    anchoring.look(by=RUNNER)
    restore = back_up(shared_database, tmp_path)
    decided(1)
    work()
    restore()
    work()
    stop = Stop.objects.in_force().get()
    codes = [nothing.value.code]
    for person, said in ((mira, LOOKED), (noa, " ")):
        with pytest.raises(RestoreError) as refused:
            restoring.accept(by=factories.actor(person), comment=said)
        codes.append(refused.value.code)
    with pytest.raises(RestoreError) as unproved:
        restoring.accept(by=noa.actor(), comment=LOOKED)
    assert [*codes, unproved.value.code] == ["not_held", "role", "comment", "reauthenticate"]
    with pytest.raises(StopError) as kept:
        stop.lift(by=factories.actor(noa))
    assert kept.value.code == "restored"
    accept()
    stop.refresh_from_db()
    assert (stop.lifted_by_name, Installation.current().epoch) == (noa.shown_name, 2)


STATES = ["waiting", "queued", "claimed", "offline before", "long"]


def put(state: str, action: Action, estate: Estate) -> None:
    """How the action stood when the backup was made."""
    if state != "waiting":
        approved(action)
    if state == "claimed":
        assert claiming.claim_one(action.pk, "dead:1", by=RUNNER)
    if state == "long":
        estate.behave("slow", 0.5)
        loop.drain(by=RUNNER)
        estate.behave_normally()


def go_on(state: str, action: Action, estate: Estate) -> None:
    """What was done with it afterwards."""
    if state == "waiting":
        approved(action)
    if state == "offline before":
        # Its first attempt sends nothing, so it is done under another key.
        estate.behave("offline", True)
        loop.drain(by=RUNNER)
        estate.behave_normally()
    Attempt.objects.filter(ended_at=None).update(lease_until=Now())
    work()


CASES = [
    pytest.param("sqlite", delivery, state, id=f"sqlite-{delivery}-{state}")
    for delivery in ("keyed", "queryable", "blind")
    for state in STATES
] + [
    pytest.param("postgres", "queryable", state, marks=pytest.mark.postgres, id=f"postgres-queryable-{state}")
    for state in STATES
]


@pytest.mark.parametrize(("shared_database", "delivery", "state"), CASES, indirect=["shared_database"])
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
    if state == "waiting":
        approved(Action.objects.get(pk=action.pk))
    work()
    assert effects(estate) == done
    action.refresh_from_db()
    if delivery == "blind":
        assert action.execution == Execution.OUTCOME_UNKNOWN, "a person looks"
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


@pytest.mark.parametrize("state", ["waiting", "queued"])
@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_what_nobody_can_be_asked_about_is_sent_once_a_person_has_looked(
    shared_database: str, tmp_path: Path, state: str
) -> None:
    estate = simulated(tmp_path, delivery="blind")
    action = factories.waiting_action()
    put(state, action, estate)
    restore = back_up(shared_database, tmp_path)
    decided(1)
    work()
    restore()
    work()
    accept()
    if state == "waiting":
        approved(Action.objects.get(pk=action.pk))
    before = sum(effects(estate).values())
    work()
    action.refresh_from_db()
    assert (action.execution, sum(effects(estate).values())) == (Execution.OUTCOME_UNKNOWN, before)
    mira = factories.person("mira").actor()
    action.resolve_unknown(by=mira, happened=False, comment="The file is still there.")
    assert action.retry(by=mira).execution == Execution.QUEUED
    work()
    action.refresh_from_db()
    assert (action.execution, sum(effects(estate).values())) == (Execution.SUCCEEDED, before + 1)


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
    shared_database: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = simulated(tmp_path, delivery="queryable")
    (action,) = decided(1)
    restore = back_up(shared_database, tmp_path)
    go_on("offline before", action, estate)
    restore()
    settings.ANCHOR_DIR = tmp_path / "another"
    monkeypatch.setattr(anchors, "_files", {})
    work()
    assert twice(estate) != []


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_the_command_notices_and_accepts_without_a_runner(shared_database: str, tmp_path: Path) -> None:
    simulated(tmp_path)
    waiting = factories.waiting_action()
    restore = back_up(shared_database, tmp_path)
    decided(1)
    work()
    restore()
    said = command(shared_database, "restored", "--json")
    told = json.loads(said.stdout)
    assert (said.returncode, told["held"], told["waiting"], told["open"]) == (1, True, 1, 0)
    assert command(shared_database, "restored", "--accept").returncode == 1, "without a reason"
    done = command(shared_database, "restored", "--accept", "--reason", LOOKED)
    assert (done.returncode, done.stdout) == (0, "Dispatch is not held. Epoch 2.\n")
    approved(waiting)
    work()
    waiting.refresh_from_db()
    assert waiting.execution == Execution.SUCCEEDED


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_a_host_that_has_done_more_than_was_accepted_holds_again(
    shared_database: str, tmp_path: Path
) -> None:
    simulated(tmp_path)
    anchoring.look(by=RUNNER)
    restore = back_up(shared_database, tmp_path)
    decided(1)
    work()
    here = anchors.file_of(Installation.current())
    restore()
    work()
    accept()
    work()
    assert Installation.current().held_at is None
    mine = here.read()
    assert mine
    assert mine.epoch == 2
    for number, held in ((mine.numbers["actions_action"], False), (10**6, True)):
        other = replace(mine, epoch=1, numbers={"actions_action": number})
        here.change(lambda _, other=other: other)  # type: ignore[misc]
        work()
        assert bool(Installation.current().held_at) is held


def test_an_anchor_that_cannot_be_read_or_written_lets_nothing_be_sent(
    estate: Estate, db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_files", {})
    settings.ANCHOR_DIR = tmp_path / "anchor"
    action = approved(factories.waiting_action())
    file = anchors.file_of(Installation.current())
    file.change(lambda anchor: replace(anchor, epoch=1))
    file.path.write_text("{")
    loop.drain(by=RUNNER)
    assert action.attempts.count() == 0
    file.path.unlink()
    (tmp_path / "anchor" / file.path.with_suffix(".draft").name).mkdir()
    loop.drain(by=RUNNER)
    assert sum(estate.effects().values()) == 0
    action.refresh_from_db()
    assert action.execution == Execution.QUEUED
