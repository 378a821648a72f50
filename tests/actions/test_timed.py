"""Isolate for so many hours: it ends by itself, once, whatever dies, unless somebody was there before."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, Source
from actioncenter.actions.execution import loop, timers
from actioncenter.actions.models import Action, Conflict, Invalid, standing, timing
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import ConnectorInstance, Stop
from actioncenter.web.clock import database_now
from investigations.enums import IsolationState
from investigations.models import Device
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken
from tests.actions.real_processes import in_processes
from tests.actions.test_failed_undo import at_once
from tests.actions.timer_runners import PLACES

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
Timed = Callable[..., Action]
ISOLATE, RELEASE = ActionType.ISOLATE_DEVICE, ActionType.RELEASE_DEVICE
HOUR = timedelta(hours=1)


@pytest.fixture
def since(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What succeeds from now on has succeeded so many hours ago, as far as its end is concerned."""

    def shift(hours: float) -> None:
        monkeypatch.setattr(standing, "database_now", lambda: database_now() - hours * HOUR)

    return shift


@pytest.fixture
def isolated(machine: Device, run: Run, since: Callable[[float], None]) -> Timed:
    def isolate(hours: int = 4, ago: float = 0, kind: ActionType = ISOLATE) -> Action:
        since(ago)
        action = taken(kind, machine, by="noa", hours=hours)
        loop.drain(by=RUNNER)
        action.refresh_from_db()
        assert action.execution == Execution.SUCCEEDED
        since(0)
        return action

    return isolate


def releases(action: Action) -> list[Action]:
    return list(Action.objects.filter(undo_of=action).order_by("pk"))


def events(action: Action, kind: str) -> list[Event]:
    return list(Event.objects.filter(stream=f"action:{action.pk}", kind=kind).order_by("seq"))


# When it ends


@pytest.mark.parametrize("kind", sorted(timing.TIMED), ids=lambda kind: kind.name.lower())
def test_its_end_is_so_many_hours_after_it_succeeded(kind: ActionType, isolated: Timed) -> None:
    action = isolated(4, kind=kind)
    assert action.ends_at is not None
    assert action.finished_at is not None
    assert abs(action.ends_at - action.finished_at - 4 * HOUR) < timedelta(minutes=1)
    (told,) = events(action, "action.succeeded")
    assert told.after is not None
    assert told.after["ends_at"] == action.ends_at.isoformat()


def test_every_type_that_ends_by_itself_can_be_taken_back() -> None:
    assert ISOLATE in timing.TIMED
    assert ActionType.RESTRICT_EXECUTION in timing.TIMED
    assert all(CATALOGUE[kind].inverse and CATALOGUE[kind].lasting for kind in timing.TIMED)


def test_without_hours_it_stays(isolated: Timed) -> None:
    assert isolated(0).ends_at is None


def test_what_had_been_done_already_is_nothing_to_end(isolated: Timed, machine: Device, run: Run) -> None:
    isolated(0)
    again = taken(ISOLATE, machine, hours=4)
    run(again)
    assert (again.execution, again.ends_at) == (Execution.SUCCEEDED, None)


# At the end


def test_at_its_end_it_is_released(isolated: Timed, machine: Device, run: Run, estate: Estate) -> None:
    action = isolated(4, ago=5)
    run(action)
    (release,) = releases(action)
    machine.refresh_from_db()
    assert (release.type, release.source, release.execution) == (RELEASE, Source.TIMER, Execution.SUCCEEDED)
    assert (release.decision, release.decided_by_name) == (Decision.NOT_REQUIRED, "System (timer)")
    assert not release.automatic
    assert (action.undone_by, action.ends_at) == (release, None)
    assert machine.isolation == IsolationState.NONE
    (told,) = events(action, "action.undone")
    assert (told.actor_name, told.after) == ("System (timer)", {"undone_by": release.pk})
    state = estate.state("device", machine.bindings.get().remote)
    assert state is not None
    assert state["isolation"] == "none"


def test_before_its_end_it_is_not(isolated: Timed, run: Run) -> None:
    action = isolated(4, ago=3.9)
    run(action)
    assert (releases(action), action.undone_by) == ([], None)
    assert action.ends_at is not None


def test_it_ends_once(isolated: Timed, run: Run) -> None:
    action = isolated(4, ago=5)
    for _ in range(3):
        housekeeping.tidy(by=RUNNER)
    run(action)
    assert len(releases(action)) == 1


def test_an_idle_runner_has_nothing_to_do_for_it(isolated: Timed) -> None:
    isolated(4)
    assert not timers.waiting()


# What comes before it


def test_a_release_by_hand_makes_the_timer_void(isolated: Timed, machine: Device, run: Run) -> None:
    action = isolated(4)
    run(taken(RELEASE, machine))
    run(action)
    assert (action.ends_at, releases(action)) == (None, [])
    (told,) = events(action, "action.timer_ended")
    assert told.detail == {"code": "timer_void", "detail": "It was taken back before."}


def test_an_undo_by_hand_makes_the_timer_void(isolated: Timed, run: Run) -> None:
    action = isolated(4)
    undo = action.undo(by=factories.person("mira").actor(), comment="Clean")
    run(action)
    assert (action.ends_at, releases(action)) == (None, [undo])


def test_isolated_again_after_a_release_by_hand_it_is_another_one_s_end(
    isolated: Timed, machine: Device, run: Run
) -> None:
    first = isolated(4)
    run(taken(RELEASE, machine))
    second = isolated(2, ago=3)
    run(first, second)
    assert releases(first) == []
    assert len(releases(second)) == 1


def test_what_runs_there_is_waited_for(isolated: Timed, machine: Device, estate: Estate) -> None:
    action = isolated(4, ago=5)
    estate.behave("offline", True)
    later = taken(ISOLATE, machine)
    loop.drain(by=RUNNER)
    housekeeping.tidy(by=RUNNER)
    action.refresh_from_db()
    assert (releases(action), action.ends_at is None) == ([], False)
    later.request_cancel(by=factories.person("mira").actor())
    later.targets.update(not_before=None)
    loop.drain(by=RUNNER)
    housekeeping.tidy(by=RUNNER)
    assert len(releases(action)) == 1


def test_a_later_one_without_end_holds_it(isolated: Timed, machine: Device, run: Run) -> None:
    action = isolated(4, ago=5)
    noa = factories.person("noa")
    later = taken(ISOLATE, machine)
    loop.drain(by=RUNNER)
    run(action)
    assert (action.ends_at, releases(action)) == (None, [])
    notice = Notice.objects.get(user=noa, kind="action.timer_void")
    assert f"{later.label} is active on the same target" in notice.title


@pytest.mark.parametrize("hours", [2, 24])
def test_a_later_one_with_an_end_moves_it(hours: int, isolated: Timed, machine: Device, run: Run) -> None:
    action = isolated(4, ago=5)
    later = taken(ISOLATE, machine, hours=hours)
    loop.drain(by=RUNNER)
    later.refresh_from_db()
    run(action)
    assert later.finished_at is not None
    assert action.ends_at == later.finished_at + hours * HOUR
    assert releases(action) == []
    assert events(action, "action.extended")[0].actor_name == "System (timer)"


def test_an_offboarded_device_is_left_alone(isolated: Timed, machine: Device, run: Run) -> None:
    action = isolated(4, ago=5)
    Device.objects.update(offboarded=True)
    factories.person("noa")
    run(action)
    assert (action.ends_at, releases(action)) == (None, [])
    assert Notice.objects.filter(kind="action.timer_void", title__contains="offboarded").exists()


# Gates


@pytest.mark.parametrize("kind", list(StopKind))
def test_a_switch_holds_it_and_it_runs_on_resume(
    kind: StopKind, isolated: Timed, machine: Device, run: Run
) -> None:
    noa = factories.actor(factories.person("noa"))
    action = isolated(4, ago=5)
    stop = Stop.pull(kind, StopScope.ALL, by=noa, reason="Exercise")
    run(action)
    assert [release.execution for release in releases(action)] == [Execution.QUEUED]
    Action.objects.filter(undo_of=action).update(queued_at=timezone.now() - 3 * HOUR)
    stop.lift(by=noa, comment="Over")
    run(action)
    assert [release.execution for release in releases(action)] == [Execution.SUCCEEDED]
    machine.refresh_from_db()
    assert machine.isolation == IsolationState.NONE


TAMPERINGS: dict[str, Callable[[Action], object]] = {
    "its end": lambda action: Action.objects.filter(pk=action.pk).update(ends_at=timezone.now() - HOUR),
    "its target": lambda action: action.targets.update(remote="another"),
    "its parameters": lambda action: Action.objects.filter(pk=action.pk).update(parameters={"hours": 1}),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_what_somebody_edited_is_not_taken_back(what: str, isolated: Timed, run: Run) -> None:
    action = isolated(4, ago=0 if what == "its end" else 5)
    noa = factories.person("noa")
    TAMPERINGS[what](action)
    run(action)
    assert (releases(action), action.ends_at) == ([], None)
    assert Notice.objects.filter(user=noa, kind="fingerprint_changed").exists()
    (told,) = events(action, "action.timer_ended")
    assert (told.detail or {})["code"] == "fingerprint_changed"


def test_a_timer_that_believes_the_row_is_noticed(
    isolated: Timed, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "_is_genuine", lambda _: True)
    with pytest.raises(AssertionError):
        test_what_somebody_edited_is_not_taken_back("its end", isolated, run)


# Two runners, and runners that die


@pytest.fixture
def over(shared_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Action:
    """On a database that other processes share."""
    ConnectorInstance.objects.update(settings={"path": str(tmp_path / "estate.sqlite3"), "pace": 0})
    monkeypatch.setattr(standing, "database_now", lambda: database_now() - 5 * HOUR)
    action = taken(ISOLATE, factories.device(in_group=factories.group()), hours=4)
    loop.drain(by=RUNNER)
    assert timers.waiting()
    return action


def test_two_runners_make_one_release(over: Action, shared_database: str) -> None:
    answers = at_once(shared_database, [lambda: timers.mind(RUNNER)] * 2)
    assert answers == ["done", "done"]
    assert len(releases(over)) == 1


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_the_moment_it_still_makes_one(over: Action, shared_database: str, place: str) -> None:
    told = in_processes("tests.actions.timer_runners", shared_database, {"die": place})
    assert told == {"killed": True}
    assert [release.execution for release in releases(over)] == [Execution.SUCCEEDED]
    assert Device.objects.get().isolation == IsolationState.NONE


# Extending


def extend(action: Action, who: str = "mira", **more: Any) -> Action:
    sent = {"hours": 8, "comment": "Forensics isn't done"} | more
    return action.extend(by=factories.actor(factories.person(who)), **sent)


def test_extending_moves_the_end_from_where_it_is(isolated: Timed, run: Run) -> None:
    action = isolated(4)
    was = action.ends_at
    extend(action)
    assert was is not None
    assert action.ends_at == was + 8 * HOUR
    (told,) = events(action, "action.extended")
    assert (told.actor_name, told.detail) == ("Mira Chen", {"comment": "Forensics isn't done", "hours": 8})
    assert told.before == {"ends_at": was.isoformat()}


def test_what_was_extended_ends_later(isolated: Timed, run: Run) -> None:
    action = isolated(4, ago=3.99)
    extend(action, hours=1)
    run(action)
    assert releases(action) == []


def test_its_new_end_is_kept_too(isolated: Timed, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    action = isolated(4)
    monkeypatch.setattr(timing, "LONGEST", timedelta(days=60))
    monkeypatch.setattr(timing, "database_now", lambda: database_now() - 30 * HOUR)
    Action.objects.filter(pk=action.pk).update(ends_at=None)
    action.refresh_from_db()
    extend(action, hours=20)
    monkeypatch.setattr(timing, "database_now", database_now)
    run(action)
    assert len(releases(action)) == 1


def test_what_had_no_end_gets_one(isolated: Timed) -> None:
    action = extend(isolated(0))
    assert action.ends_at is not None
    assert abs(action.ends_at - database_now() - 8 * HOUR) < timedelta(minutes=1)


def test_who_saw_another_end_is_told(isolated: Timed) -> None:
    action = isolated(4)
    assert action.ends_at is not None
    seen = action.ends_at.isoformat()
    extend(action, seen=seen)
    with pytest.raises(Conflict, match="was moved since") as caught:
        extend(action, "sam", seen=seen)
    assert caught.value.code == "changed"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"hours": 0}, "hours"), ({"hours": 24 * 31}, "hours"), ({"comment": " "}, "comment")],
)
def test_what_an_extension_may_not_be(wrong: dict[str, Any], field: str, isolated: Timed) -> None:
    action = isolated(4)
    with pytest.raises(Invalid) as caught:
        extend(action, **wrong)
    assert caught.value.name == field


def test_extending_needs_the_right(isolated: Timed) -> None:
    action = isolated(4)
    with pytest.raises(Refused):
        extend(action, "kim")
    with pytest.raises(Refused) as caught:
        action.extend(by=factories.person("mira").actor(), hours=1, comment="No password given")
    assert caught.value.code == "reauthenticate"
    Action.objects.filter(pk=action.pk).update(group=factories.closed_group())
    with pytest.raises(NotVisible):
        extend(action)


def test_what_is_over_is_not_extended(isolated: Timed, run: Run) -> None:
    action = isolated(4, ago=5)
    run(action)
    with pytest.raises(Conflict, match="is taken back by"):
        extend(action)


def test_what_never_ends_by_itself_is_not_extended(run: Run) -> None:
    action = factories.waiting_action().approve(by=factories.person("mira").actor())
    run(action)
    with pytest.raises(Conflict, match="doesn't end by itself"):
        extend(action)


def test_the_admins_hear_of_one_who_extends_what_took_several(isolated: Timed) -> None:
    action, noa = isolated(4), factories.person("noa")
    Action.objects.update(approval_rule={**action.approval_rule, "quorum": 2})
    extend(action)
    assert Notice.objects.filter(user=noa, kind="action.extended").exists()
