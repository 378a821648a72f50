"""Automation that goes wrong too often loses its licence until a person gives it back, step by step."""

import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping, planning, rails, reasons
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel, BreakerState, Role
from actioncenter.settings.models import (
    Breaker,
    BreakerError,
    DeviceGroup,
    GroupError,
    LevelError,
    Safeguards,
)
from tests import factories

pytestmark = pytest.mark.django_db
L = AutomationLevel
SYSTEM = Actor.system("housekeeping")
QUARANTINE = ActionType.QUARANTINE_FILE


@pytest.fixture
def noa() -> Actor:
    return factories.person("noa").actor(proved_at=time.time())


@pytest.fixture
def home() -> DeviceGroup:
    return factories.group("Kiosks", L.FULL)


def planned(home: DeviceGroup, number: int = 1) -> list[Action]:
    return factories.planned(
        *(factories.file_evidence(factories.device(in_group=home)) for _ in range(number))
    )


def ended(actions: Sequence[Action], execution: Execution, code: str = "") -> None:
    over = None if execution == Execution.OUTCOME_UNKNOWN else Now()
    Action.objects.filter(pk__in=[action.pk for action in actions]).update(
        execution=execution, finished_at=over, history_at=over, code=code
    )


def gone_wrong(home: DeviceGroup, bad: int = 4, of: int = 20) -> None:
    actions = planned(home, of)
    ended(actions, Execution.SUCCEEDED)
    ended(actions[:bad], Execution.FAILED)


def tripped(home: DeviceGroup) -> Breaker:
    gone_wrong(home)
    planned(home)
    return Breaker.objects.get()


def cooled(breaker: Breaker, seconds: int = -1) -> None:
    """All of its cooling-off has passed but so many seconds."""
    Breaker.objects.filter(pk=breaker.pk).update(cool_until=Now() + timedelta(seconds=seconds))


@pytest.mark.oversight("HO-012")
def test_breaker_opens(home: DeviceGroup) -> None:
    factories.person("noa")
    gone_wrong(home, bad=3)
    assert planned(home)[0].automatic
    gone_wrong(home)

    (action,) = planned(home)

    assert (action.decision, action.reason_code) == (Decision.PENDING, "breaker_open")
    assert reasons.render(action.reason_code, action.policy["params"]) == (
        "Waiting because automation is off for this in Kiosks: 4 of the last 20 went wrong;"
        " a person has to give it back."
    )
    breaker = Breaker.objects.get()
    assert breaker.cool_until - breaker.opened_at == timedelta(days=7)
    assert Event.objects.filter(kind=Kind.BREAKER_OPENED).count() == 1
    assert Notice.objects.get(kind="breaker_opened").title == (
        "Automation is off: Stop and quarantine in Kiosks. 4 of the last 20 went wrong"
    )


@pytest.mark.parametrize(
    "execution",
    [Execution.FAILED, Execution.TIMED_OUT, Execution.PARTLY_SUCCEEDED, Execution.OUTCOME_UNKNOWN],
)
def test_what_counts_as_bad(home: DeviceGroup, execution: Execution) -> None:
    actions = planned(home, 20)
    ended(actions, Execution.SUCCEEDED)
    ended(actions[:4], execution)
    assert planned(home)[0].reason_code == "breaker_open"


@pytest.mark.parametrize(
    ("execution", "code"), [(Execution.CANCELLED, "kill_switch"), (Execution.TIMED_OUT, "patience_ended")]
)
def test_what_was_never_sent_says_nothing(home: DeviceGroup, execution: Execution, code: str) -> None:
    ended(planned(home, 10), execution, code)
    assert planned(home)[0].automatic


def test_what_was_undone_is_bad(home: DeviceGroup) -> None:
    actions = planned(home, 20)
    ended(actions, Execution.SUCCEEDED)
    for action in actions[:4]:
        Action.objects.filter(pk=action.pk).update(undone_by=actions[19])
    assert planned(home)[0].reason_code == "breaker_open"


def test_four_in_a_row_are_enough_before_there_are_twenty(home: DeviceGroup) -> None:
    ended(planned(home, 4), Execution.FAILED)
    assert planned(home)[0].reason_code == "breaker_open"


def test_what_people_do_is_no_reason(home: DeviceGroup) -> None:
    actions = planned(home, 20)
    ended(actions, Execution.FAILED)
    Action.objects.update(requested_by=factories.person("mira"))
    assert planned(home)[0].automatic


def test_a_breaker_is_about_one_group_and_type(home: DeviceGroup) -> None:
    tripped(home)
    other = factories.group("Servers", L.FULL)
    Action.objects.filter(reason_code="breaker_open").delete()
    DeviceGroup.objects.filter(pk=home.pk).update(recipe_isolates=True)

    assert planned(other)[0].automatic
    assert {action.type: action.automatic for action in planned(home)} == {
        QUARANTINE: False,
        ActionType.ISOLATE_DEVICE: True,
    }


def test_people_are_told_although_nothing_more_is_planned(home: DeviceGroup) -> None:
    gone_wrong(home, bad=3)
    assert rails.suspects(Safeguards.current()) == []
    gone_wrong(home)
    assert rails.suspects(Safeguards.current()) == [rails.Pair(home.pk, QUARANTINE)]

    assert next(c for c in housekeeping.CHORES if c.name == "breakers").do(SYSTEM) == 1

    assert Breaker.objects.get().state == BreakerState.OPEN
    assert rails.suspects(Safeguards.current()) == []


@pytest.mark.oversight("AL-026")
def test_cooling_off(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    assert breaker.cool_until == breaker.opened_at + timedelta(days=7)
    DeviceGroup.objects.filter(pk=home.pk).update(level=L.SEMI_ALL)
    home.refresh_from_db()
    # Its seven days are exact, and nearly all of them have passed.
    cooled(breaker, seconds=30)
    breaker.refresh_from_db()
    with pytest.raises(BreakerError) as early:
        breaker.restore(by=noa, comment="Mended")
    with pytest.raises(LevelError) as raised:
        home.change_level(L.FULL, by=noa)
    assert (early.value.code, raised.value.code) == ("cooling_off", "cooling_off")

    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")
    assert home.change_level(L.FULL, by=noa) is not None
    assert Event.objects.get(kind=Kind.BREAKER_RESTORED).detail == {"comment": "Mended"}


def test_a_raise_that_waits_ends_with_the_licence(home: DeviceGroup, noa: Actor) -> None:
    DeviceGroup.objects.filter(pk=home.pk).update(level=L.SEMI_CORE)
    home.refresh_from_db()
    home.change_level(L.FULL, by=noa)
    actions = factories.planned(*(factories.file_evidence(factories.device(in_group=home)) for _ in range(4)))
    ended(actions, Execution.FAILED)

    housekeeping.tidy(by=SYSTEM)

    assert Breaker.objects.count() == 1
    assert home.pending_raise() is None


@pytest.mark.oversight("HO-012")
def test_probe_before_full(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")

    probe, *rest = planned(home, 4)
    later = planned(home)

    assert probe.automatic
    assert {action.reason_code for action in [*rest, *later]} == {"breaker_open"}
    ended([probe], Execution.SUCCEEDED)
    assert all(action.automatic for action in planned(home, 3))
    breaker.refresh_from_db()
    assert breaker.state == BreakerState.CLOSED


def test_a_probe_that_goes_wrong_takes_the_licence_again(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")
    (probe,) = planned(home)
    ended([probe], Execution.FAILED)

    housekeeping.tidy(by=SYSTEM)

    breaker.refresh_from_db()
    assert (breaker.state, breaker.probe_id) == (BreakerState.OPEN, None)
    assert breaker.cool_until - breaker.opened_at == timedelta(days=7)
    assert planned(home)[0].reason_code == "breaker_open"


def test_a_probe_that_never_ran_is_replaced(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")
    ended(planned(home), Execution.CANCELLED)
    assert [action.automatic for action in planned(home, 2)] == [True, False]


def test_after_the_licence_is_back_old_harm_no_longer_counts(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")
    ended(planned(home), Execution.SUCCEEDED)
    ended(planned(home), Execution.FAILED)
    assert planned(home)[0].automatic


@pytest.mark.parametrize(
    ("who", "comment", "code"),
    [("mira", "Mended", "role"), ("noa", " ", "comment"), ("noa", "Mended", "reauthenticate")],
)
def test_who_may_restore(home: DeviceGroup, who: str, comment: str, code: str) -> None:
    breaker = tripped(home)
    cooled(breaker)
    with pytest.raises(BreakerError) as refused:
        breaker.restore(by=factories.person(who).actor(), comment=comment)
    assert refused.value.code == code


@pytest.mark.parametrize("by", [Actor.automation(), Actor.command("x"), SYSTEM], ids=lambda by: by.ref)
def test_no_machine_restores(home: DeviceGroup, by: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    with pytest.raises(BreakerError, match="person"):
        breaker.restore(by=by, comment="Mended")


def test_neither_level_nor_deletion_is_a_way_around(home: DeviceGroup, noa: Actor) -> None:
    tripped(home)
    home.change_level(L.SEMI_CORE, by=noa)
    assert planned(home)[0].reason_code == "breaker_open"
    with pytest.raises(GroupError, match="Automation is off"):
        home.remove(by=noa)


def test_what_was_queued_before_asks_a_person(home: DeviceGroup) -> None:
    gone_wrong(home)
    (queued,) = factories.planned(
        factories.file_evidence(factories.device(in_group=factories.group("Later", L.FULL)))
    )
    Action.objects.filter(pk=queued.pk).update(group=home)
    rails.watch(SYSTEM)
    queued.refresh_from_db()
    outcome = planning.judged_again(queued)
    assert outcome is not None
    assert outcome.code == "breaker_open"


def test_of_two_who_restore_the_second_is_told(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    cooled(breaker)
    factories.person("mira").grant(Role.ADMIN, by=factories.SETUP)
    breaker.restore(by=noa, comment="Mended")
    with pytest.raises(BreakerError) as late:
        breaker.restore(by=factories.person("mira").actor(proved_at=time.time()), comment="Mended")
    assert late.value.code == "changed"


def test_a_probe_stays_within_the_cap(home: DeviceGroup, noa: Actor) -> None:
    breaker = tripped(home)
    Safeguards(pk=1, entity_cap=0, entity_cap_percent=0).save()
    cooled(breaker)
    breaker.restore(by=noa, comment="Mended")
    assert planned(home)[0].reason_code == "rail_reached"
    breaker.refresh_from_db()
    assert breaker.probe_id is None
