"""Silence is noticed at half time."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, RoleGrant, User
from actioncenter.actions import escalation, housekeeping
from actioncenter.actions.enums import Choice, Decision
from actioncenter.actions.models import Action, Review, Vote
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests import factories
from tests.services.database import as_default

pytestmark = pytest.mark.django_db
BY = Actor.system("runner")
HOUR = timedelta(hours=1)


@pytest.fixture
def mira() -> User:
    return factories.person("mira")


def clocked(action: Action, *, waited: timedelta, left: timedelta, answer: bool = True) -> Action:
    """As if it had waited for so long and so much were left, by the database's own clock."""
    now = timezone.now()
    end = {"answer_by": now + left} if answer else {"answer_by": None, "expires_at": now + left}
    Action.objects.filter(pk=action.pk).update(created_at=now - waited, **end)
    action.refresh_from_db()
    return action


def late(action: Action | None = None) -> Action:
    return clocked(action or factories.waiting_action(), waited=2 * HOUR, left=HOUR)


def titles(user: User) -> list[str]:
    return list(user.notices.order_by("pk").values_list("title", flat=True))


@pytest.mark.oversight("HO-003")
@pytest.mark.parametrize("answer", [True, False], ids=["answer by", "expiry"])
@pytest.mark.parametrize("whole", [timedelta(minutes=15), timedelta(days=7)], ids=["15 min", "7 d"])
def test_escalates_at_half(whole: timedelta, answer: bool, mira: User) -> None:
    early, due = factories.waiting_actions(2)
    moment = timedelta(seconds=5)
    clocked(early, waited=whole / 2 - moment, left=whole / 2 + moment, answer=answer)
    clocked(due, waited=whole / 2 + moment, left=whole / 2 - moment, answer=answer)

    assert escalation.escalate(BY) == 1

    early.refresh_from_db()
    due.refresh_from_db()
    assert early.escalated_at is None
    assert due.escalated_at is not None
    event = Event.objects.get(kind="action.escalated")
    assert (event.subject, event.actor) == (f"action:{due.pk}", "system:runner")
    assert titles(mira)[0].startswith(f"{due.label} waits and must be answered by ")


def test_the_answer_is_due_before_the_expiry(mira: User) -> None:
    action = factories.waiting_action()
    now = timezone.now()
    Action.objects.filter(pk=action.pk).update(
        created_at=now - HOUR, answer_by=now + 2 * HOUR, expires_at=now + 3 * HOUR
    )

    assert escalation.escalate(BY) == 0


def test_it_is_said_once(mira: User) -> None:
    late()

    assert [escalation.escalate(BY) for _ in range(3)] == [1, 0, 0]

    assert len(titles(mira)) == 1


def test_many_are_one_notice_per_person_in_their_own_time() -> None:
    mira = factories.person("mira")
    User.objects.update(time_zone="Asia/Tokyo")
    rows = [late(action) for action in factories.waiting_actions(12)]
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    Action.objects.filter(pk=rows[5].pk).update(answer_by=first)

    assert escalation.escalate(BY) == 12

    clock = (first + 9 * HOUR).strftime("%b %d, %H:%M JST")
    assert titles(mira) == [f"12 actions wait, the first must be answered by {clock}"]
    notice = mira.notices.get()
    assert (notice.url, notice.severity) == ("/action-center/pending", Severity.WARNING)
    assert Event.objects.filter(kind="action.escalated").count() == 12


@pytest.mark.parametrize(("username", "told"), [
    ("mira", True), ("sam", True), ("noa", True), ("aiko", False), ("kim", False), ("ivo", False), ("nobody", False),
])  # fmt: skip
def test_those_are_told_who_may_decide(username: str, told: bool) -> None:
    user = factories.person(username)
    factories.person("sam")
    late()

    escalation.escalate(BY)

    assert bool(titles(user)) is told


def test_nobody_hears_of_what_they_may_not_see(mira: User) -> None:
    noa = factories.person("noa")
    late(factories.waiting_action(factories.closed_group()))

    escalation.escalate(BY)

    assert titles(mira) == []
    assert len(titles(noa)) == 1


def test_mail_is_for_those_who_decide_on_mail(mira: User) -> None:
    aiko = factories.person("aiko")
    late(factories.waiting_mail_action())

    escalation.escalate(BY)

    assert (titles(mira), len(titles(aiko))) == ([], 1)


def has_voted(action: Action, user: User) -> None:
    Vote.objects.create(
        action=action, revision=action.revision, fingerprint=action.fingerprint, choice=Choice.APPROVE,
        user=user, user_ref=user.ref, user_name=user.shown_name,
    )  # fmt: skip


def has_proposed(action: Action, user: User) -> None:
    Action.objects.filter(pk=action.pk).update(proposers=[user.ref])


@pytest.mark.parametrize("did", [has_voted, has_proposed])
def test_the_second_person_is_told_not_the_first(did: Callable[[Action, User], None], mira: User) -> None:
    sam = factories.person("sam")
    did(late(), mira)

    escalation.escalate(BY)

    assert (titles(mira), len(titles(sam))) == ([], 1)


def test_a_vote_on_an_earlier_revision_is_no_vote(mira: User) -> None:
    action = late()
    has_voted(action, mira)
    Action.objects.filter(pk=action.pk).update(revision=action.revision + 1)

    escalation.escalate(BY)

    assert len(titles(mira)) == 1


@pytest.mark.oversight("X-5")
@pytest.mark.parametrize("did", [has_voted, has_proposed])
def test_nobody_on_duty(did: Callable[[Action, User], None]) -> None:
    """Nobody is left who may decide: the admins are told before the answer is due."""
    noa = factories.person("noa")
    action = late()
    did(action, noa)

    escalation.escalate(BY)

    notice = noa.notices.get()
    assert notice.title.startswith(f"Nobody is there to decide {action.label}; the answer is due ")
    assert (notice.severity, notice.kind) == (Severity.URGENT, "action.nobody_on_duty")
    assert action.answer_by is not None
    assert notice.created_at < action.answer_by


@pytest.mark.parametrize("change", [
    lambda user: user.deactivate(by=factories.SETUP), lambda user: user.revoke(Role.RESPONDER, by=factories.SETUP),
    lambda user: RoleGrant.objects.filter(user=user).update(ends_at=timezone.now()),
])  # fmt: skip
def test_those_who_no_longer_may_are_not_told(change: Callable[[User], Any], mira: User) -> None:
    noa = factories.person("noa")
    change(mira)
    late()

    escalation.escalate(BY)

    assert (titles(mira), len(titles(noa))) == ([], 1)


def test_what_is_decided_or_expired_is_not_escalated(mira: User) -> None:
    decided, expired = [late(action) for action in factories.waiting_actions(2)]
    decided.reject(by=factories.person("sam").actor(), comment="no")
    Action.objects.filter(pk=expired.pk).update(expires_at=timezone.now())

    assert escalation.escalate(BY) == 0
    assert decided.decision == Decision.REJECTED


def test_a_hostile_name_is_cut_not_split(mira: User) -> None:
    action = late()
    Action.objects.filter(pk=action.pk).update(target_name="x" * 512)

    escalation.escalate(BY)

    assert len(titles(mira)[0]) == 300


def test_as_many_statements_for_many_as_for_one(mira: User) -> None:
    needed = []
    for number in (1, 3, 100):
        for action in factories.waiting_actions(number):
            late(action)
        with CaptureQueriesContext(connection) as captured:
            assert escalation.escalate(BY) == number
        needed.append(len(captured))

    assert len(set(needed)) == 1, needed


@pytest.mark.postgres
def test_two_housekeepers_escalate_each_once(on_postgres: str) -> None:
    mira = factories.person("mira")
    for action in factories.waiting_actions(30):
        late(action)
    together, done = threading.Barrier(4), []

    def run() -> None:
        with as_default(on_postgres):
            together.wait(30)
            done.append(escalation.escalate(BY))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sum(done) == 30
    assert Event.objects.filter(kind="action.escalated").count() == 30
    assert len(titles(mira)) == sum(1 for number in done if number)


@pytest.mark.parametrize("chore", ["escalate", "reviews", "notices"])
def test_it_is_a_chore(chore: str) -> None:
    (found,) = [one for one in housekeeping.CHORES if one.name == chore]

    assert found.waiting() is False
    assert found.do(BY) == 0


@pytest.mark.oversight("X-9")
def test_an_overdue_review_is_said_once_to_the_admins(mira: User) -> None:
    noa = factories.person("noa")
    for due in (timezone.now() - HOUR, timezone.now() + HOUR):
        Review.objects.create(
            action=factories.waiting_action(),
            made_by_ref=mira.ref,
            made_by_name=mira.shown_name,
            reason="fire",
            due_at=due,
        )

    assert [escalation.remind_of_reviews(BY) for _ in range(2)] == [1, 0]

    notice = noa.notices.get()
    assert "Mira Chen" in notice.title
    assert notice.severity == Severity.URGENT
    assert not Notice.objects.filter(user=mira).exists()
