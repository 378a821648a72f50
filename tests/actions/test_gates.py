"""Everything is checked again before anything is sent, however long ago it was decided."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.accounts.models import RoleGrant, User
from actioncenter.actions import housekeeping, wishes
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.execution import claiming, gates, loop
from actioncenter.actions.models import Action
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import (
    AutomationLevel,
    IndicatorEffect,
    IndicatorKind,
)
from actioncenter.settings.models import ApprovalRule, DeviceGroup, FolderExclusion, Indicator
from investigations.enums import Verdict
from investigations.models import Binding, Device, Evidence
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


def approved(**more: Any) -> Action:
    return factories.waiting_action(**more).approve(by=factories.person("mira").actor())


def automatic(**more: Any) -> Action:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    action = factories.planned(factories.file_evidence(factories.device(in_group=full), **more))[0]
    assert action.automatic
    return action


def effects(estate: Estate) -> int:
    return sum(estate.effects().values())


def ago(minutes: float, *, action: Action, **also: Any) -> None:
    changes = {"queued_at": Now() - timedelta(minutes=minutes), **also}
    Action.objects.filter(pk=action.pk).update(**changes)


# Who approved it


def leave(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def be_demoted(user: User) -> None:
    RoleGrant.objects.filter(user=user).delete()


def lose_sight(user: User) -> None:
    DeviceGroup.objects.filter(name="Finance laptops").first().access.set(
        factories.closed_group().access.all()
    )  # type: ignore[union-attr]


LOSSES = [leave, be_demoted, lose_sight]


@pytest.mark.parametrize("lose", LOSSES)
def test_an_approval_holds_only_as_long_as_its_author_may_give_it(
    lose: Callable[[User], None], run: Run, estate: Estate
) -> None:
    action = approved()
    lose(factories.person("mira"))
    run(action)
    assert (action.execution, action.code, effects(estate)) == (Execution.CANCELLED, "approver_lost", 0)
    assert Action.objects.waiting().get().round == 2


def test_of_two_approvals_both_have_to_hold(run: Run) -> None:
    ApprovalRule.objects.create(quorum=2)
    action = factories.waiting_action()
    for name in ("mira", "sam"):
        action.approve(by=factories.person(name).actor())
    assert action.decision == Decision.APPROVED
    leave(factories.person("mira"))
    run(action)
    assert action.code == "approver_lost"


@pytest.mark.parametrize("leaves", [True, False])
def test_one_who_broke_the_glass_has_to_be_there_still(leaves: bool, run: Run) -> None:
    ApprovalRule.objects.create(quorum=2)
    action = factories.waiting_action()
    mira = factories.person("mira")
    action.break_the_glass(by=mira.actor(proved_at=time.time()), comment="Nobody else is here")
    if leaves:
        be_demoted(mira)
    run(action)
    assert action.execution == (Execution.CANCELLED if leaves else Execution.SUCCEEDED)


# Expiry


def test_expiry_holds_without_a_sweeper(estate: Estate) -> None:
    Action.objects.filter(pk=factories.waiting_action().pk).update(expires_at=Now() - timedelta(seconds=1))
    loop.drain(by=RUNNER)
    assert effects(estate) == 0
    assert not Action.objects.pending().exists()


def test_what_was_approved_after_its_expiry_is_not_sent(run: Run, estate: Estate) -> None:
    action = approved()
    Action.objects.update(expires_at=F("decided_at"))
    run(action)
    assert (action.execution, action.code, effects(estate)) == (Execution.CANCELLED, "approved_late", 0)


# What automation may do still


def exclude(action: Action) -> None:
    FolderExclusion.objects.create(folder=r"C:\Users")


def allow(action: Action) -> None:
    value = action.targets.get().facts["sha256"]
    Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value=value, effect=IndicatorEffect.ALLOW)


def lower(action: Action) -> None:
    DeviceGroup.objects.filter(pk=action.group_id).update(level=AutomationLevel.SEMI_ALL)


def switch_off(action: Action) -> None:
    DeviceGroup.objects.filter(pk=action.group_id).update(level=AutomationLevel.NONE)


def move(action: Action) -> None:
    Device.objects.update(group=factories.group("Board"))


def become(**changes: Any) -> Callable[[Action], Any]:
    return lambda action: Device.objects.update(**changes)


def be_rejected_elsewhere(action: Action) -> None:
    other = factories.planned(factories.file_evidence(factories.device(in_group=factories.group())))[0]
    other.reject(by=factories.person("mira").actor(), comment="Ours")
    Action.objects.filter(pk=other.pk).update(intent_key=action.intent_key)


def be_cleared(action: Action) -> None:
    Evidence.objects.filter(links__action=action).update(verdict=Verdict.NO_THREATS_FOUND)


CHANGES: dict[str, tuple[Callable[[Action], Any], str]] = {
    "exclusion": (exclude, "excluded_now"),
    "indicator": (allow, "allowed_now"),
    "lowered level": (lower, "level_lowered"),
    "no automation": (switch_off, "level_lowered"),
    "another group": (move, "level_lowered"),
    "critical": (become(critical=True), "critical_now"),
    "critical group": (lambda action: DeviceGroup.objects.update(critical=True), "critical_now"),
    "stale membership": (become(membership_stale=True), "membership_unsure"),
    "offboarded": (become(offboarded=True), "offboarded"),
    "rejected": (be_rejected_elsewhere, "no_longer_automatic"),
    "cleared": (be_cleared, "verdict_withdrawn"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_policy_would_no_longer_let_run_is_not_sent(name: str, estate: Estate) -> None:
    action, (change, code) = automatic(), CHANGES[name]
    change(action)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert (action.execution, action.code, effects(estate)) == (Execution.CANCELLED, code, 0)
    asked = {"lowered level", "another group", "critical", "critical group", "stale membership", "rejected"}
    waiting = Action.objects.waiting().filter(proposal_key=action.proposal_key)
    assert [again.round for again in waiting] == ([2] if name in asked else [])


def test_a_person_s_approval_outlives_what_only_binds_automation(run: Run, estate: Estate) -> None:
    action = approved()
    exclude(action)
    Device.objects.update(critical=True)
    run(action)
    assert (action.execution, effects(estate)) == (Execution.SUCCEEDED, 1)


# The truth changes


@pytest.mark.oversight("X-2")
def test_verdict_change_recalls(run: Run, estate: Estate) -> None:
    action = approved()
    be_cleared(action)
    run(action)
    assert (action.execution, action.code, effects(estate)) == (Execution.CANCELLED, "verdict_withdrawn", 0)
    assert not Action.objects.waiting().exists()
    Evidence.objects.update(verdict=Verdict.MALICIOUS)
    again = factories.planned(Evidence.objects.get())[-1]
    assert (again.round, again.decision) == (2, Decision.PENDING)


def test_one_bad_finding_among_several_keeps_it(run: Run) -> None:
    action = factories.waiting_action()
    other = factories.file_evidence(factories.device())
    action.links.create(evidence=other, verdict=Verdict.MALICIOUS)
    action.approve(by=factories.person("mira").actor())
    Evidence.objects.exclude(pk=other.pk).update(verdict=Verdict.NO_THREATS_FOUND)
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_after_the_run_an_undo_is_offered(run: Run) -> None:
    action = approved()
    run(action)
    be_cleared(action)
    undone = action.undo(by=factories.person("mira").actor(), comment="It was clean after all")
    run(undone)
    assert undone.execution == Execution.SUCCEEDED


# What follows


def test_a_round_that_was_replaced_is_not_a_failure(run: Run) -> None:
    action = approved()
    ago(61, action=action)
    run(action)
    assert action.investigation is not None
    counts = housekeeping.counts_of(action.investigation)
    assert (counts.total, counts.undecided, counts.failed, counts.approved) == (1, 1, 0, 0)


@pytest.mark.oversight("HO-007")
def test_rejection_is_remembered(estate: Estate) -> None:
    full = factories.device(in_group=factories.group("Kiosks", AutomationLevel.FULL))
    asks = factories.device(in_group=factories.group())
    first = factories.planned(factories.file_evidence(asks, sha256="7" * 64))[0]
    first.reject(by=factories.person("mira").actor(), comment="Ours")
    Device.objects.filter(pk=asks.pk).update(group=full.group)
    asks.refresh_from_db()
    made = []
    for number in range(100):
        source = ("defender", "wazuh", "antivirus", "mail gateway")[number % 4]
        found = factories.investigation(f"Again {number}")
        found.source = source
        found.save()
        made += factories.planned(factories.file_evidence(asks, found, sha256="7" * 64))
    assert len(made) == 100
    assert {action.decision for action in made} == {Decision.PENDING}
    assert {action.reason_code for action in made} == {"rejected_before"}
    loop.drain(by=RUNNER)
    assert effects(estate) == 0


@pytest.mark.oversight("HO-007")
@pytest.mark.parametrize("known", [[], ["sha1"]], ids=["by its path", "by another hash"])
def test_a_rejected_file_does_not_come_back_by_another_name(known: list[str]) -> None:
    machine = factories.device(in_group=factories.group())

    def named(*hashes: str) -> Evidence:
        found = factories.file_evidence(machine, factories.investigation("one more source"))
        whole = {**found.facts, "sha256": "7" * 64, "sha1": "5" * 40}
        found.facts = {key: value for key, value in whole.items() if key in {"path", "file_name", *hashes}}
        found.sha256 = found.facts.get("sha256", "")
        found.save()
        return found

    (first,) = factories.planned(named(*known))
    first.reject(by=factories.person("mira").actor(), comment="Ours")
    Device.objects.filter(pk=machine.pk).update(group=factories.group("Kiosks", AutomationLevel.FULL))
    machine.refresh_from_db()
    (again,) = factories.planned(named("sha256", "sha1"))
    assert again.intent_key != first.intent_key
    assert (again.decision, again.reason_code) == (Decision.PENDING, "rejected_before")


@pytest.mark.oversight("HO-007")
def test_an_edit_before_it_does_not_hide_a_rejection() -> None:
    group = factories.group(recipe_isolates=True)
    device = factories.device(in_group=group)

    def isolation() -> Action:
        found = factories.file_evidence(Device.objects.get(pk=device.pk))
        return next(made for made in factories.planned(found) if made.type == ActionType.ISOLATE_DEVICE)

    first, mira = isolation(), factories.actor(factories.person("mira"))
    first.edit({"isolation": "selective", "hours": 2}, by=mira, revision=first.revision)
    first.reject(by=mira, comment="Never this one")
    DeviceGroup.objects.filter(pk=group.pk).update(level=AutomationLevel.FULL)
    again = isolation()
    assert (again.decision, again.reason_code) == (Decision.PENDING, "rejected_before")


@pytest.mark.parametrize("decision", [Decision.WITHDRAWN, Decision.EXPIRED, Decision.APPROVED])
def test_only_a_rejection_of_what_was_edited_is_remembered(decision: Decision) -> None:
    action = approved()
    fields = {"decided_by_name": ""} if decision == Decision.EXPIRED else {}
    over = {} if decision == Decision.APPROVED else {"execution": Execution.NONE, "history_at": Now()}
    Action.objects.filter(pk=action.pk).update(decision=decision, intent_key="e" * 64, **fields, **over)
    evidence = list(Evidence.objects.filter(links__action=action))
    wanted = wishes.wishes_of(evidence, wishes.Rules.read(evidence))
    assert wanted[0].intent_key == action.proposal_key
    assert not wishes.rejections(wanted)


# The tests can fail


@pytest.mark.parametrize("gate", gates.CHECKS, ids=lambda gate: gate.__name__.strip("_"))
def test_every_gate_is_needed(gate: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the runner would send what it has to refuse."""
    spoil, decided = SPOILT[gate.__name__]
    action = decided()
    spoil(action)
    without = tuple(check for check in gates.CHECKS if check is not gate and check.__name__ not in ALSO)
    with monkeypatch.context() as patched:
        patched.setattr(gates, "CHECKS", without)
        assert claiming.claim_one(action.pk, "r", by=RUNNER) is not None


ALSO = {"_no_longer_automatic"}
"""Sees most of what the special gates see, so that it may stand in for them."""
SPOILT: dict[str, tuple[Callable[[Action], Any], Callable[[], Action]]] = {
    "_approved_late": (lambda action: Action.objects.update(expires_at=F("decided_at")), approved),
    "_stale": (lambda action: ago(61, action=action), approved),
    "_approver_lost": (lambda action: leave(factories.person("mira")), approved),
    "_verdict_withdrawn": (be_cleared, approved),
    "_level_lowered": (lower, automatic),
    "_offboarded": (become(offboarded=True), automatic),
    "_no_longer_automatic": (exclude, automatic),
    "_stale_automatic": (lambda action: ago(61, action=action), automatic),
    "identity_changed": (lambda action: Binding.objects.update(remote="another"), approved),
}
