"""Which rule an action is proposed under, and what of a proposal may run at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, Risk, TargetKind
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.deciding import BULK_LIMIT
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule
from actioncenter.settings.models.approval import (
    ANSWER_MINUTES,
    LOOSER,
    RELEASES,
    SECOND_PERSON,
    SWITCHES,
    RuleError,
)
from investigations.enums import Verdict
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
T = ActionType
AT_ONCE = {"decision": Decision.NOT_REQUIRED}


def taken(kind: ActionType, who: str = "noa", **more: Any) -> Action:
    """What becomes of it when a person wants it done now."""
    return proposed(kind, by=factories.actor(factories.person(who)), **AT_ONCE, **more)


def rule(**fields: Any) -> ApprovalRule:
    return ApprovalRule.add(by=factories.actor(factories.person("noa")), **fields)


def test_the_most_specific_row_counts() -> None:
    group = factories.group()
    rule(expiry_days=1)
    rule(risk=Risk.MEDIUM, expiry_days=2)
    assert proposed().approval_rule["expiry_days"] == 2
    rule(group_id=group.pk, expiry_days=3)
    assert proposed(group_id=group.pk, on="b").approval_rule["expiry_days"] == 3
    rule(action_type=T.QUARANTINE_FILE, expiry_days=4)
    assert proposed(group_id=group.pk, on="c").approval_rule["expiry_days"] == 4
    assert proposed(T.KILL_PROCESS).approval_rule["expiry_days"] == 2


@pytest.mark.parametrize("kind", ActionType)
def test_built_in_defaults_of_every_type(kind: ActionType) -> None:
    asked = proposed(kind, verdict=Verdict.SUSPICIOUS).approval_rule
    assert asked["second_person"] == (kind in SECOND_PERSON)
    assert asked["reauthenticate"] == (CATALOGUE[kind].dangerous or kind in SECOND_PERSON)
    assert (asked["quorum"], asked["deny_quorum"], asked["expiry_days"]) == (1, 1, 7)
    assert (asked["comment_on_approve"], asked["comment_on_reject"], asked["comment_on_undo"]) == (
        False, True, True,
    )  # fmt: skip
    assert not asked["four_eyes"]


@pytest.mark.parametrize("kind", sorted(RELEASES))
def test_releasing_what_is_malicious_takes_two(kind: ActionType) -> None:
    action = proposed(kind, verdict=Verdict.MALICIOUS)
    assert (action.approval_rule["second_person"], action.approval_rule["reauthenticate"]) == (True, True)
    assert action.risk == Risk.HIGH


def test_a_general_row_never_loosens_the_defaults_but_one_for_the_type_does() -> None:
    rule(expiry_days=3)
    assert proposed(T.OFFBOARD_DEVICE).approval_rule["second_person"]
    rule(action_type=T.OFFBOARD_DEVICE, expiry_days=3)
    loosened = proposed(T.OFFBOARD_DEVICE, on="b").approval_rule
    assert not loosened["second_person"]
    assert not loosened["reauthenticate"]


def test_a_change_of_rules_leaves_what_waits_alone() -> None:
    action, made = proposed(), rule(quorum=3)
    action.refresh_from_db()
    assert action.approval_rule["quorum"] == 1
    made.change(by=factories.actor(factories.person("noa")), quorum=2)
    assert proposed(on="b").approval_rule["quorum"] == 2
    made.remove(by=factories.actor(factories.person("noa")))
    assert proposed(on="c").approval_rule["quorum"] == 1


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"expiry_days": 0}, "expiry_days"), ({"expiry_days": 31}, "expiry_days"), ({"quorum": 0}, "quorum"),
        ({"quorum": 21}, "quorum"), ({"deny_quorum": 0}, "deny_quorum"), ({"action_type": 999}, "action_type"),
        ({"risk": 9}, "risk"), ({"group_id": 999}, "group"), ({"answer_within_minutes": 0}, "answer_within_minutes"),
        ({"answer_within_minutes": 1441, "expiry_days": 1}, "answer_within_minutes"),
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_names_its_field(fields: dict[str, int], name: str) -> None:
    with pytest.raises(RuleError) as refused:
        rule(**fields)
    assert refused.value.name == name
    assert not ApprovalRule.objects.exists()


def test_two_rules_for_the_same_are_refused() -> None:
    rule(risk=Risk.LOW)
    with pytest.raises(RuleError, match="already"):
        rule(risk=Risk.LOW, quorum=2)


@pytest.mark.parametrize("who", sorted(set(factories.CAST) - {"noa"}))
def test_only_admins_change_rules(who: str) -> None:
    made, by = rule(), factories.person(who).actor()
    for change in (
        lambda: ApprovalRule.add(by=by, risk=Risk.LOW),
        lambda: made.change(by=by, quorum=2),
        lambda: made.remove(by=by),
    ):
        with pytest.raises(RuleError) as refused:
            change()
        assert refused.value.name == "role"


def test_a_token_of_an_admin_changes_no_rule() -> None:
    with pytest.raises(RuleError, match="admin"):
        ApprovalRule.add(by=factories.person("noa").actor(Via.TOKEN))


def test_every_change_of_a_rule_is_told_and_recorded() -> None:
    noa = factories.person("noa")
    by = factories.actor(noa)
    made = rule(quorum=2)
    number = made.pk
    made.change(by=by, quorum=3, revision=made.revision)
    with pytest.raises(RuleError, match="since you opened"):
        made.change(by=by, quorum=4, revision=1)
    made.remove(by=by)
    events = Event.objects.filter(stream=f"rule:{number}").order_by("seq")
    assert [event.kind for event in events] == ["rule.added", "rule.changed", "rule.removed"]
    assert (events[1].before["quorum"], events[1].after["quorum"]) == (2, 3)
    assert set(noa.notices.values_list("severity", flat=True)) == {Severity.WARNING}
    assert list(noa.notices.order_by("pk").values_list("title", flat=True)) == [
        "Noa Levi added an approval rule",
        "Noa Levi changed an approval rule",
        "Noa Levi removed an approval rule: less is asked for now",
    ]


STRICT: dict[str, Any] = {
    "quorum": 2, "deny_quorum": 1, "expiry_days": 3, "answer_within_minutes": 10, "four_eyes": True,
    "second_person": True, "reauthenticate": True, "comment_on_approve": True, "comment_on_reject": True,
    "comment_on_undo": True,
}  # fmt: skip
LESS: dict[str, Any] = {
    name: value + way for name, way in LOOSER.items() if not isinstance(value := STRICT[name], bool)
}
LESS |= dict.fromkeys(SWITCHES, False)


def test_every_figure_of_a_rule_has_a_looser_side() -> None:
    assert LOOSER.keys() == ApprovalRule().frozen().keys() == LESS.keys()


@pytest.mark.parametrize("name", LOOSER)
def test_asking_for_less_needs_a_fresh_password(name: str) -> None:
    """Changing one figure, and adding a row that stands before a stricter one."""
    unproved = factories.person("noa").actor()
    made = ApprovalRule.add(by=unproved, **STRICT)
    for loosen in (
        lambda: made.change(by=unproved, **{name: LESS[name]}),
        lambda: ApprovalRule.add(by=unproved, **{**STRICT, name: LESS[name]}, risk=Risk.LOW),
        lambda: made.remove(by=unproved),
    ):
        with pytest.raises(RuleError) as refused:
            loosen()
        assert refused.value.name == "reauthenticate"
    made.refresh_from_db()
    assert made.frozen() == STRICT
    made.change(by=factories.actor(factories.person("noa")), **{name: LESS[name]})
    made.change(by=unproved, **{name: STRICT[name]})
    assert made.frozen() == STRICT


def test_a_row_for_a_type_that_drops_its_defaults_needs_a_fresh_password() -> None:
    unproved = factories.person("noa").actor()
    with pytest.raises(RuleError, match="password"):
        ApprovalRule.add(by=unproved, action_type=T.OFFBOARD_DEVICE, expiry_days=3)
    kept = {"second_person": True, "reauthenticate": True, "answer_within_minutes": 10}
    assert ApprovalRule.add(by=unproved, action_type=T.OFFBOARD_DEVICE, expiry_days=3, **kept).pk


def test_moving_a_strict_row_elsewhere_is_asking_for_less_where_it_was() -> None:
    unproved = factories.person("noa").actor()
    made = ApprovalRule.add(by=unproved, risk=Risk.HIGH, quorum=3)
    with pytest.raises(RuleError, match="password"):
        made.change(by=unproved, risk=Risk.LOW)


@pytest.mark.oversight("HO-003")
@pytest.mark.parametrize("days", [1, 30])
@pytest.mark.parametrize(("minutes", "risk"), [(None, None), (30, None), (1440, None)])
def test_strictest_clock_wins(days: int, minutes: int | None, risk: Risk | None) -> None:
    rule(expiry_days=days, answer_within_minutes=minutes)
    for kind in (T.OFFBOARD_DEVICE, T.QUARANTINE_FILE, T.ANTIVIRUS_SCAN):
        action = proposed(kind)
        action.refresh_from_db()
        assert action.expires_at is not None
        assert action.answer_by is not None
        assert action.answer_by <= action.expires_at
        within = minutes or ANSWER_MINUTES[Risk(action.risk)]
        assert action.answer_by - action.created_at <= timedelta(minutes=within, seconds=5)
        assert action.expires_at - action.created_at <= timedelta(days=days, seconds=5)


@pytest.mark.oversight("HO-003")
@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("number", [10, pytest.param(1_000, marks=pytest.mark.long)])
def test_timeout_never_executes(
    number: int, off: int, monkeypatch: pytest.MonkeyPatch, estate: Estate
) -> None:
    """The sweeper is off and this host's clock is wrong by an hour: the database's counts."""
    rule(expiry_days=1)
    actions = [proposed(on=f"host-{at}") for at in range(number)]
    Action.objects.update(expires_at=timezone.now() - timedelta(milliseconds=1))
    wrong = timezone.now() + timedelta(hours=off)
    monkeypatch.setattr("django.utils.timezone.now", lambda: wrong)
    by = factories.actor(factories.person("noa"))
    for action in actions[:5]:
        with pytest.raises(Conflict, match="expired undecided"):
            action.approve(by=by)
    numbers = [action.pk for action in actions]
    for start in range(0, number, BULK_LIMIT):
        results = Action.objects.approve_many(numbers[start : start + BULK_LIMIT], by=by)
        assert {result.code for result in results} == {"expired"}
    loop.drain(by=RUNNER)
    assert set(Action.objects.values_list("execution", flat=True)) == {Execution.NONE}
    assert estate.effects() == {}


def test_the_clocks_are_set_by_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = timezone.now(), timezone.now() + timedelta(days=3)
    monkeypatch.setattr("django.utils.timezone.now", lambda: wrong)
    action = proposed()
    assert action.expires_at is not None
    assert abs(action.expires_at - right - timedelta(days=7)) < timedelta(minutes=5)


@pytest.mark.parametrize("kind", ActionType)
def test_what_a_person_with_the_right_wants_runs_at_once_unless_it_takes_two(kind: ActionType) -> None:
    action = taken(kind, verdict=Verdict.SUSPICIOUS)
    if kind in SECOND_PERSON:
        assert (action.decision, action.reason_code) == (Decision.PENDING, "second_person")
        assert action.approval_rule["four_eyes"]
        assert action.proposers == [factories.person("noa").ref]
    elif CATALOGUE[kind].kind == TargetKind.CLUSTER:
        # What it stands for has to be read first; then nobody else is needed.
        assert (action.decision, action.reason_code) == (Decision.PENDING, "plan_first")
        assert not action.approval_rule["four_eyes"]
    else:
        assert (action.decision, action.execution) == (Decision.NOT_REQUIRED, Execution.QUEUED)


@pytest.mark.parametrize("kind", sorted(RELEASES))
def test_a_release_of_what_is_malicious_waits_for_a_second_person(kind: ActionType) -> None:
    assert taken(kind, verdict=Verdict.MALICIOUS).decision == Decision.PENDING


def test_without_the_right_it_waits_for_somebody_else() -> None:
    action = taken(T.QUARANTINE_FILE, "kim")
    assert (action.decision, action.reason_code) == (Decision.PENDING, "proposed_by")
    assert action.approval_rule["four_eyes"]
    factories.person("kim").grant(Role.RESPONDER, by=factories.SETUP)
    with pytest.raises(Refused, match="proposed"):
        action.approve(by=factories.person("kim").actor())
    action.targets.update(instance=1)
    assert action.approve(by=factories.person("mira").actor()).decision == Decision.APPROVED


@pytest.mark.parametrize("rules", [{"quorum": 2}, {"four_eyes": True}, {"second_person": True}])
def test_a_rule_for_several_holds_for_those_who_could_act_alone(rules: dict[str, Any]) -> None:
    rule(**rules)
    assert taken(T.QUARANTINE_FILE).decision == Decision.PENDING


def test_automation_too_waits_where_two_people_are_asked_for() -> None:
    rule(action_type=T.QUARANTINE_FILE, second_person=True)
    action = proposed(**AT_ONCE)
    assert (action.decision, action.reason_code) == (Decision.PENDING, "second_person")


def test_a_manual_action_needs_a_comment_a_right_and_what_is_dangerous_a_password() -> None:
    with pytest.raises(Invalid, match="comment"):
        taken(T.QUARANTINE_FILE, comment=" ")
    with pytest.raises(Refused, match="needs the role"):
        taken(T.QUARANTINE_FILE, "ivo")
    with pytest.raises(NotVisible):
        taken(T.QUARANTINE_FILE, "mira", group_id=factories.closed_group().pk)
    with pytest.raises(Refused) as unproved:
        proposed(T.ISOLATE_DEVICE, by=factories.person("mira").actor(), **AT_ONCE)
    assert unproved.value.code == "reauthenticate"
    assert not Action.objects.exists()


def test_a_token_proposes_and_its_owner_stays_out_of_the_decision() -> None:
    mira = factories.person("mira")
    token = Actor("token:7", "Mira's script", Via.TOKEN, user_id=mira.pk)
    action = proposed(by=token, **AT_ONCE)
    assert action.decision == Decision.PENDING
    with pytest.raises(Refused, match="proposed"):
        action.approve(by=mira.actor())
    with pytest.raises(Refused, match="signed-in"):
        action.approve(by=token)
