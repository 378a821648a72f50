"""What is in force is looked at again; a difference is shown and told, and nobody repairs it unasked."""

from collections.abc import Callable

import pytest

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, JobKind, JobState, TargetKind
from actioncenter.actions.execution import drifting as reading
from actioncenter.actions.execution import jobs, loop
from actioncenter.actions.models import Action, ActionTarget, Conflict, ConnectorJob, Invalid, drifting
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ApprovalRule, ConnectorInstance, Stop
from actioncenter.web.clock import database_now
from investigations.models import Device
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken
from tests.actions.in_force import HOUR, events, isolate_there, look, set_free, time_passes
from tests.connectors.simulator_harness import facts

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
ISOLATE, RELEASE = ActionType.ISOLATE_DEVICE, ActionType.RELEASE_DEVICE
LASTING = [kind for kind in ActionType if CATALOGUE[kind].lasting]


@pytest.fixture
def isolated(machine: Device, run: Run) -> Action:
    action = taken(ISOLATE, machine)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    return action


# What is looked at, and when


def in_tenant_or_on_something(kind: ActionType) -> Action:
    known = facts(CATALOGUE[kind].kind, 7)
    if CATALOGUE[kind].kind in {TargetKind.URL, TargetKind.SENDER}:
        bind_to_simulator([])
        return taken(kind, None, known, by="noa")
    mail = CATALOGUE[kind].kind == TargetKind.MAILBOX
    return taken(kind, factories.mailbox() if mail else factories.device(), known, by="noa")


@pytest.mark.parametrize("kind", LASTING, ids=lambda kind: kind.name.lower())
def test_what_lasts_is_in_force_until_it_is_taken_back(kind: ActionType, run: Run) -> None:
    action = in_tenant_or_on_something(kind)
    assert not action.targets.get().in_force
    run(action)
    assert action.targets.get().in_force
    look(action)
    assert (action.drifted_at, events(action, "action.drifted")) == (None, [])
    run(action.undo(by=factories.person("noa").actor(), comment="Not that one"))
    assert not action.targets.get().in_force


@pytest.mark.parametrize(
    "kind", [kind for kind in ActionType if not CATALOGUE[kind].lasting], ids=lambda kind: kind.name.lower()
)
def test_what_does_not_last_is_never_in_force(kind: ActionType) -> None:
    entry = CATALOGUE[kind]
    assert not entry.device_wide or entry.inverse is None or entry.is_inverse


def test_it_is_not_looked_at_before_its_time(isolated: Action) -> None:
    assert not reading.waiting()
    time_passes(0.9)
    assert not reading.waiting()
    time_passes(0.2)
    assert reading.waiting()


def test_looking_changes_nothing_but_when_it_was_seen(isolated: Action, estate: Estate) -> None:
    before, seen = estate.digest(), isolated.read_back_at
    look(isolated)
    assert estate.digest() == before
    assert seen is not None
    assert isolated.read_back_at is not None
    assert isolated.read_back_at > seen
    assert not reading.waiting()


def test_the_longest_unseen_come_first_and_a_few_at_a_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    home = factories.group()
    made = [taken(ISOLATE, factories.device(in_group=home)) for _ in range(5)]
    run(*made)
    for hours, action in enumerate(made, 2):
        action.targets.update(checked_at=database_now() - hours * HOUR)
    for expected in (made[4:2:-1], made[2:0:-1], made[:1]):
        assert reading.ask(RUNNER) == len(expected)
        assert reading.ask(RUNNER) == 0 or len(expected) == 1
        queued = ConnectorJob.objects.filter(kind=JobKind.VERIFY, state=JobState.QUEUED).order_by("pk")
        assert [job.action for job in queued] == expected
        loop.drain(by=RUNNER)
    assert not reading.waiting()


def test_only_the_newest_reading_is_kept(isolated: Action) -> None:
    for _ in range(3):
        look(isolated)
    assert ConnectorJob.objects.filter(kind=JobKind.VERIFY).count() == 1


def test_a_connector_that_is_off_is_not_asked(isolated: Action) -> None:
    ConnectorInstance.objects.update(enabled=False)
    look(isolated)
    assert not ConnectorJob.objects.filter(kind=JobKind.VERIFY).exists()


# A difference


def test_a_difference_is_shown_and_told(isolated: Action, machine: Device, estate: Estate) -> None:
    noa = factories.person("noa")
    set_free(estate, machine)
    look(isolated)
    target = isolated.targets.get()
    assert isolated.drifted_at is not None
    assert target.drifted_at is not None
    assert target.drift["isolation"] == "none"
    (told,) = events(isolated, "action.drifted")
    assert told.after == {"targets": [target.name], "number": 1}
    for user in (noa, factories.person("mira")):
        notice = Notice.objects.get(user=user, kind="action.drifted")
        assert notice.severity == Severity.URGENT
        assert isolated.label in notice.title


def test_it_is_never_repaired_by_itself(isolated: Action, machine: Device, estate: Estate, run: Run) -> None:
    set_free(estate, machine)
    for _ in range(3):
        look(isolated)
        run(isolated)
    state = estate.state("device", machine.bindings.get().remote)
    assert state is not None
    assert state["isolation"] == "none"
    assert Action.objects.count() == 1
    assert len(events(isolated, "action.drifted")) == 1


def test_it_needs_a_look(isolated: Action, machine: Device, estate: Estate) -> None:
    assert not Action.objects.needs_a_look().exists()
    set_free(estate, machine)
    look(isolated)
    assert list(Action.objects.needs_a_look()) == [isolated]
    assert list(Action.objects.pending()) == [isolated]


def test_back_to_normal_it_ends(isolated: Action, machine: Device, estate: Estate) -> None:
    set_free(estate, machine)
    look(isolated)
    isolate_there(estate, machine)
    look(isolated)
    target = isolated.targets.get()
    assert (isolated.drifted_at, target.drifted_at, target.drift) == (None, None, {})
    assert len(events(isolated, "action.drift_ended")) == 1


def test_taken_back_by_hand_it_ends(isolated: Action, machine: Device, estate: Estate, run: Run) -> None:
    set_free(estate, machine)
    look(isolated)
    run(taken(RELEASE, machine), isolated)
    assert isolated.drifted_at is None
    assert len(events(isolated, "action.drift_ended")) == 1


def test_what_can_not_be_reached_is_no_difference(isolated: Action, machine: Device, estate: Estate) -> None:
    set_free(estate, machine)
    estate.behave("offline", True)
    look(isolated)
    assert isolated.drifted_at is None
    assert ConnectorJob.objects.get(kind=JobKind.VERIFY).state == JobState.FAILED
    assert not reading.waiting()
    estate.behave_normally()
    look(isolated)
    assert isolated.drifted_at is not None


def test_what_is_changing_meanwhile_says_nothing(
    isolated: Action, machine: Device, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release had its effect and hasn't been written down yet, when it is read."""
    release = taken(RELEASE, machine)
    set_free(estate, machine)
    release.targets.update(state=3)
    time_passes()
    reading.ask(RUNNER)
    job = jobs.claim_next()
    assert job is not None
    jobs.work(job, by=RUNNER)
    isolated.refresh_from_db()
    assert isolated.drifted_at is None


def test_a_reading_older_than_the_result_says_nothing(isolated: Action) -> None:
    target = isolated.targets.get()
    early = target.changed_at - HOUR
    drifting.note(isolated, {target.pk: drifting.Reading(False)}, asked_at=early, by=RUNNER)
    isolated.refresh_from_db()
    assert isolated.drifted_at is None


def test_one_that_is_offline_hides_no_other(machine: Device, run: Run, estate: Estate) -> None:
    action = taken(ISOLATE, machine)
    other = factories.device(in_group=machine.group)
    run(action)
    first = action.targets.get()
    copy = {**ActionTarget.objects.values().get(pk=first.pk), "id": None, "device_id": other.pk}
    remote = other.bindings.get().remote
    ActionTarget.objects.create(**{**copy, "remote": remote, "name": remote, "lane": f"net:{other.pk}"})
    estate.behave("offline", True, owner=machine.bindings.get().remote)
    estate.change("device", remote, isolation="none", online=True)
    look(action)
    drifted = action.targets.get(drifted_at__isnull=False)
    assert drifted.device == other


def test_a_reading_that_sees_no_difference_is_noticed(
    isolated: Action, machine: Device, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drifting, "_write_gone", lambda *_, **__: None)
    with pytest.raises(AssertionError):
        test_a_difference_is_shown_and_told(isolated, machine, estate)


# What people do about it


@pytest.fixture
def drifted(isolated: Action, machine: Device, estate: Estate) -> Action:
    set_free(estate, machine)
    look(isolated)
    assert isolated.drifted_at is not None
    return isolated


def test_taking_note_ends_the_alarm_and_not_the_difference(drifted: Action) -> None:
    drifted.acknowledge_drift(by=factories.person("sam").actor(), comment="Being rebuilt")
    assert drifted.drifted_at is None
    assert drifted.targets.get().drifted_at is not None
    (told,) = events(drifted, "action.drift_acknowledged")
    assert (told.actor_name, told.detail) == ("Sam Okoye", {"comment": "Being rebuilt"})
    look(drifted)
    assert drifted.drifted_at is None
    with pytest.raises(Conflict, match="no difference"):
        drifted.acknowledge_drift(by=factories.person("sam").actor(), comment="Again")


def test_taking_note_needs_the_right_and_words(drifted: Action) -> None:
    with pytest.raises(Invalid):
        drifted.acknowledge_drift(by=factories.person("mira").actor(), comment=" ")
    with pytest.raises(Refused):
        drifted.acknowledge_drift(by=factories.person("kim").actor(), comment="Seen")
    Action.objects.update(group=factories.closed_group())
    with pytest.raises(NotVisible):
        drifted.acknowledge_drift(by=factories.person("mira").actor(), comment="Seen")


def test_proposed_again_it_is_a_new_action(
    drifted: Action, machine: Device, estate: Estate, run: Run
) -> None:
    again = drifted.do_again(by=factories.actor(factories.person("mira")), comment="Still infected")
    assert again.pk != drifted.pk
    assert (again.type, again.requested_by_name) == (ISOLATE, "Mira Chen")
    assert drifted.drifted_at is None
    run(again)
    assert again.execution == Execution.QUEUED, "what was changed outside pauses its like"
    Stop.objects.in_force().get().lift(by=factories.actor(factories.person("noa")))
    run(again, drifted)
    state = estate.state("device", machine.bindings.get().remote)
    assert state is not None
    assert (again.execution, state["isolation"]) == (Execution.SUCCEEDED, "full")
    assert [each.targets.get().in_force for each in (drifted, again)] == [False, True]
    look(drifted, again)
    assert (drifted.drifted_at, again.drifted_at) == (None, None)


@pytest.mark.parametrize("why", ["a rule", "no right"])
def test_proposed_again_it_passes_the_rules(why: str, drifted: Action) -> None:
    if why == "a rule":
        ApprovalRule.objects.create(action_type=ISOLATE, second_person=True)
    who = factories.person("mira" if why == "a rule" else "kim")
    again = drifted.do_again(by=factories.actor(who), comment="Still infected")
    assert again.decision == Decision.PENDING


def test_proposed_again_from_evidence_it_is_another_round(run: Run, estate: Estate) -> None:
    mira = factories.person("mira").actor()
    action = factories.waiting_action().approve(by=mira)
    run(action)
    target = action.targets.get()
    assert target.in_force
    drifting.note(
        action,
        {target.pk: drifting.Reading(False, {"status": "present"})},
        asked_at=database_now(),
        by=RUNNER,
    )
    again = action.do_again(by=mira, comment="It came back")
    assert (again.round, again.proposal_key) == (2, action.proposal_key)
    assert again.investigation == action.investigation


def test_the_same_form_proposes_once(drifted: Action) -> None:
    mira = factories.actor(factories.person("mira"))
    first, second = (
        drifted.do_again(by=mira, comment="Still infected", idempotency_key="k1") for _ in range(2)
    )
    assert first == second


def test_what_shows_what_was_done_is_not_proposed_again(isolated: Action) -> None:
    with pytest.raises(Conflict, match="shows what was done"):
        isolated.do_again(by=factories.actor(factories.person("mira")), comment="To be sure")


# Held for long


@pytest.mark.parametrize(("half_days", "asked"), [(5, 0), (7, 1), (13, 2)])
def test_after_three_days_people_are_asked_whether_it_is_still_needed(
    half_days: int, asked: int, isolated: Action
) -> None:
    noa = factories.person("noa")
    for _ in range(half_days):
        look(isolated, hours=12)
    notices = Notice.objects.filter(user=noa, kind="action.still_held")
    assert notices.count() == asked
    assert all("Is it still needed?" in notice.title for notice in notices)


def test_what_ends_by_itself_is_not_asked_about(machine: Device, run: Run) -> None:
    factories.person("noa")
    action = taken(ISOLATE, machine, hours=720)
    run(action)
    look(action, hours=100)
    assert not Notice.objects.filter(kind="action.still_held").exists()
