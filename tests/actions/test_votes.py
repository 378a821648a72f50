"""Several people, one decision: distinct, entitled, blind to each other, for what they saw."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Choice, Decision
from actioncenter.actions.models import Action, Conflict, Plan, Vote
from actioncenter.actions.permissions import Refused
from actioncenter.audit import triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
T = ActionType


@pytest.fixture(autouse=True)
def admins() -> None:
    """Sam and Mira may decide everything beside Noa."""
    for name in ("sam", "mira"):
        factories.person(name).grant(Role.ADMIN, by=factories.SETUP)


def by(name: str) -> Actor:
    return factories.actor(factories.person(name))


def ready(kind: ActionType = T.QUARANTINE_FILE, **more: Any) -> Action:
    """Routed, and with a plan where its type wants one."""
    action = proposed(kind, **more)
    action.targets.update(instance=1)
    if action.entry.plan_required:
        planned(action)
    return action


def planned(action: Action, digest: str = "a" * 64, **body: Any) -> Plan:
    ends = timezone.now() + timedelta(days=1)
    return Plan.objects.create(
        action=action, revision=action.revision, digest=digest, body=body, expires_at=ends
    )


def naive_count(action: Action) -> int:
    """What a quorum looks like to whoever counts rows: the mistake that these tests must see."""
    return Vote.objects.filter(action=action, choice=Choice.APPROVE).count()


def deactivate(person: User) -> None:
    person.deactivate(by=factories.SETUP)


def demote(person: User) -> None:
    person.grant(Role.ANALYST, by=factories.SETUP)
    for role in (Role.ADMIN, Role.RESPONDER, Role.EMAIL_RESPONDER):
        person.revoke(role, by=factories.SETUP)


@pytest.mark.parametrize("lose", [deactivate, demote])
def test_votes_of_people_who_may_no_longer_decide_are_not_counted(lose: Callable[[User], None]) -> None:
    ApprovalRule.objects.create(quorum=2)
    action = ready()
    action.approve(by=by("mira"))
    lose(factories.person("mira"))
    action.approve(by=by("noa"))
    assert naive_count(action) == 2
    assert action.decision == Decision.PENDING
    action.approve(by=by("sam"))
    assert action.decision == Decision.APPROVED


def test_a_vote_written_into_the_table_is_not_counted() -> None:
    """Somebody with a hand on the database can make rows, but no event with its place in the keyed chain."""
    ApprovalRule.objects.create(quorum=2)
    action = factories.waiting_action()
    forged = factories.person("sam")
    Vote.objects.create(
        action=action, revision=1, fingerprint=action.fingerprint, choice=Choice.APPROVE, user=forged,
        user_ref=forged.ref, user_name=forged.shown_name,
    )  # fmt: skip

    action.approve(by=by("mira"))

    assert naive_count(action) == 2
    assert action.decision == Decision.PENDING
    action.approve(by=by("noa"))
    assert action.decision == Decision.APPROVED


@pytest.mark.oversight("HO-007")
def test_edit_voids_votes() -> None:
    ApprovalRule.objects.create(quorum=2)
    action = ready(T.ISOLATE_DEVICE)
    action.approve(by=by("mira"))
    action.edit({"isolation": "selective"}, by=by("sam"), revision=1)
    action.approve(by=by("noa"))
    assert naive_count(action) == 2
    assert action.decision == Decision.PENDING
    assert action.approve(by=by("mira")).decision == Decision.APPROVED


@pytest.mark.oversight("HO-007")
def test_new_target_own_approval() -> None:
    """An approval holds for the very targets it was given for; another target is another action."""
    first, second = ready(name="a.exe"), ready(name="b.exe")
    first.approve(by=by("mira"))
    second.refresh_from_db()
    assert (first.decision, second.decision) == (Decision.APPROVED, Decision.PENDING)
    assert first.approved_fingerprint != second.fingerprint
    assert first.intent_key != second.intent_key


def test_approvals_of_a_plan_that_changed_are_void_and_may_be_given_again() -> None:
    ApprovalRule.objects.create(quorum=2)
    action = ready()
    planned(action)
    action.approve(by=by("mira"), plan="a" * 64)
    planned(action, "b" * 64)
    action.approve(by=by("noa"), plan="b" * 64)
    assert naive_count(action) == 2
    assert action.decision == Decision.PENDING
    action.approve(by=by("mira"), plan="b" * 64)
    assert action.decision == Decision.APPROVED
    assert [vote.user_name for vote in action.votes.all()] == ["Mira Chen", "Noa Levi", "Mira Chen"]


def test_rejections_have_a_threshold_of_their_own() -> None:
    ApprovalRule.objects.create(quorum=3, deny_quorum=2)
    action = ready()
    action.reject(by=by("mira"), comment="no")
    assert action.decision == Decision.PENDING
    assert action.reject(by=by("noa"), comment="no").decision == Decision.REJECTED


def test_one_rejection_is_enough_where_nothing_else_is_asked_for() -> None:
    action = ready(T.OFFBOARD_DEVICE)
    assert action.reject(by=by("mira"), comment="no").decision == Decision.REJECTED


def test_a_second_person_beside_a_human_proposer() -> None:
    action = ready(T.OFFBOARD_DEVICE, by=by("noa"))
    assert action.approve(by=by("mira")).decision == Decision.APPROVED


def test_two_approvers_where_a_machine_proposed() -> None:
    action = ready(T.OFFBOARD_DEVICE)
    assert action.approve(by=by("mira")).decision == Decision.PENDING
    assert action.approve(by=by("noa")).decision == Decision.APPROVED


def _same_human(action: Action) -> None:
    action.approve(by=by("mira"))
    action.approve(by=by("mira"))


def _token(action: Action) -> None:
    action.approve(by=by("mira"))
    action.approve(by=factories.person("noa").actor(Via.TOKEN, proved_at=timezone.now().timestamp()))


def _command(action: Action) -> None:
    action.approve(by=by("mira"))
    action.approve(by=factories.SETUP)


def _proposer(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(
        proposers=[factories.person("mira").ref], approval_rule={**action.approval_rule, "four_eyes": True}
    )
    action.approve(by=by("mira"))


def _token_proposed(action: Action) -> None:
    """The owner of the token is no second human."""
    Action.objects.filter(pk=action.pk).update(proposers=[f"behind:{factories.person('noa').ref}"])
    action.approve(by=by("mira"))


def _editor(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(proposers=["automation", factories.person("mira").ref])
    action.approve(by=by("mira"))


def _demoted(action: Action) -> None:
    action.approve(by=by("mira"))
    demote(factories.person("mira"))
    action.approve(by=by("noa"))


def _lost_proposer(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(proposers=[factories.person("noa").ref])
    deactivate(factories.person("noa"))
    action.approve(by=by("mira"))


@pytest.mark.oversight("HO-004")
@pytest.mark.parametrize(
    "attempt",
    [_same_human, _token, _command, _proposer, _token_proposed, _editor, _demoted, _lost_proposer],
)
@pytest.mark.parametrize("kind", [T.OFFBOARD_DEVICE, T.HARD_DELETE_EMAIL, T.RELEASE_FILE])
def test_dual_control(attempt: Callable[[Action], None], kind: ActionType) -> None:
    action = ready(kind)
    # Being told no and not counting are both fine.
    with suppress(Refused, Conflict):
        attempt(action)
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


@pytest.mark.oversight("HO-001")
@pytest.mark.parametrize("in_front", ["mira", "ivo"])
def test_second_vote_blind(in_front: str, client: Client) -> None:
    """Who may still vote doesn't read what others said; who may not, or has voted, does."""
    ApprovalRule.objects.create(quorum=3)
    action = ready()
    action.approve(by=by("sam"), comment="obviously evil")
    client.force_login(factories.person(in_front))
    pages = (f"/action-center/actions/{action.pk}", f"/action-center/pending?open={action.pk}")
    hidden = in_front == "mira"
    for page in pages:
        shown = client.get(page).content.decode()
        assert ("obviously evil" not in shown) == hidden
        assert "Sam Okoye" in shown
    if hidden:
        action.approve(by=by("mira"))
        assert "obviously evil" in client.get(pages[0]).content.decode()


CHANGES: dict[str, Callable[[Vote], object]] = {
    "save": lambda vote: vote.save(),
    "update": lambda vote: Vote.objects.update(choice=Choice.REJECT),
    "delete": lambda vote: vote.delete(),
    "delete all": lambda vote: Vote.objects.all().delete(),
    "delete the action": lambda vote: vote.action.delete(),
    "insert again": lambda vote: Vote.objects.bulk_create([vote]),
}
if connection.vendor == "sqlite":
    CHANGES["replace"] = lambda vote: _sql("REPLACE INTO actions_vote SELECT * FROM actions_vote")
else:
    CHANGES["truncate"] = lambda vote: _sql("TRUNCATE actions_vote")


def _sql(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


@pytest.mark.parametrize("way", CHANGES)
def test_votes_are_append_only_in_the_database(way: str) -> None:
    ready().approve(by=by("mira"), comment="seen")
    before = list(Vote.objects.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        CHANGES[way](Vote.objects.get())
    assert list(Vote.objects.values()) == before


def test_nothing_starts_while_votes_can_be_changed() -> None:
    triggers.require()
    with connection.cursor() as cursor:
        on = " ON actions_vote" if connection.vendor == "postgresql" else ""
        name = "actions_vote_no_change" if on else "actions_vote_no_update"
        cursor.execute(f"DROP TRIGGER {name}{on}")
    with pytest.raises(Exception, match=f"{name} missing"):
        triggers.require()
    triggers.install(connection)
    triggers.require()


@pytest.mark.oversight("HO-001")
def test_approval_record_complete() -> None:
    """Who, when, why, for which revision and plan, and how: in the row, the vote and the log."""
    actions = [ready(on=f"host-{number}") for number in range(5)]
    for number, action in enumerate(actions):
        plan = planned(action, f"{number}" * 64)
        action.approve(by=by("mira"), comment=f"why {number}", revision=1, plan=plan.digest, mode="key")
    for number, action in enumerate(actions):
        vote, event = (
            action.votes.get(),
            Event.objects.get(stream=f"action:{action.pk}", kind="action.approved"),
        )
        assert (action.decided_by_name, action.decision_comment) == ("Mira Chen", f"why {number}")
        assert (vote.user_name, vote.comment, vote.revision, vote.mode) == (
            "Mira Chen",
            f"why {number}",
            1,
            "key",
        )
        assert (vote.plan, vote.fingerprint) == (action.approved_plan, action.approved_fingerprint)
        assert event.detail is not None
        assert event.detail["plan"] == f"{number}" * 64
        assert (event.detail["revision"], event.detail["mode"]) == (1, "key")
        assert action.decided_at is not None
        assert abs(event.at - action.decided_at) < timedelta(seconds=60)


def test_the_approval_keeps_the_seal_of_the_plan_it_saw() -> None:
    actions = [ready(on=f"host-{number}") for number in range(3)]
    plans = [planned(action, f"{at}" * 64, targets=[{"at": at}]) for at, action in enumerate(actions[:2])]
    Action.objects.approve_many([action.pk for action in actions], by=by("mira"))
    for action, plan in zip(actions, [*plans, None], strict=True):
        action.refresh_from_db()
        assert action.approved_plan == plan
        assert action.approved_plan_digest == (plan.seal if plan else "")
    changed = plans[0]
    changed.body = {"targets": [{"at": 7}]}
    assert changed.seal != actions[0].approved_plan_digest


@pytest.mark.parametrize("seen", ["", "b" * 64, "b" * 8, "a", "a" * 7])
def test_a_page_with_another_plan_is_refused(seen: str) -> None:
    action = ready()
    planned(action)
    with pytest.raises(Conflict, match="plan") as stale:
        action.approve(by=by("mira"), plan=seen)
    assert stale.value.code == "plan_changed"
    assert not Vote.objects.exists()
    action.reject(by=by("mira"), comment="no plan is needed to say no")


@pytest.mark.parametrize("seen", [None, "a" * 64, "a" * 8])
def test_the_same_plan_made_again_is_no_change(seen: str | None) -> None:
    action = ready()
    planned(action)
    again = planned(action)
    assert action.approve(by=by("mira"), plan=seen).approved_plan == again


def test_a_plan_that_is_too_old_is_refused_where_one_is_needed() -> None:
    needing, other = ready(T.OFFBOARD_DEVICE, by=by("noa")), ready()
    planned(other)
    Plan.objects.update(expires_at=timezone.now())
    with pytest.raises(Conflict) as old:
        needing.approve(by=by("mira"))
    assert old.value.code == "plan_expired"
    other.approve(by=by("mira"))
    assert (other.approved_plan, other.approved_plan_digest) == (None, "")


def test_a_dangerous_verb_asks_for_a_fresh_password_and_a_rejection_does_not() -> None:
    action, mira = ready(T.ISOLATE_DEVICE), factories.person("mira")
    stale = mira.actor(proved_at=timezone.now().timestamp() - 601)
    for who in (mira.actor(), stale):
        with pytest.raises(Refused) as asked:
            action.approve(by=who)
        assert asked.value.code == "reauthenticate"
    assert Action.objects.approve_many([action.pk], by=stale)[0].code == "reauthenticate"
    action.reject(by=mira.actor(), comment="no")
