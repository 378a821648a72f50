"""Who lets an action happen: once, on what he saw, or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.actions.enums import ENDS, LEGAL_PAIRS, Decision, Execution
from actioncenter.actions.models import Action, Conflict, Invalid, Vote, writing
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from investigations.enums import RemediationStatus
from tests import factories

pytestmark = pytest.mark.django_db


def kinds(action: Action) -> list[str]:
    return list(
        Event.objects.filter(stream=f"action:{action.pk}").order_by("seq").values_list("kind", flat=True)
    )


def test_approval_queues_the_action_and_says_who() -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor(), comment="seen before")
    assert (action.decision, action.execution) == (Decision.APPROVED, Execution.QUEUED)
    assert action.decided_by_name == "Mira Chen"
    assert action.decision_comment == "seen before"
    assert action.approved_fingerprint == action.fingerprint
    assert kinds(action) == ["action.proposed", "action.approved"]


def test_rejection_is_final_and_goes_to_history() -> None:
    action = factories.waiting_action()
    action.reject(by=factories.person("mira").actor(), comment="our own tool")
    assert (action.decision, action.execution) == (Decision.REJECTED, Execution.NONE)
    assert action.history_at is not None
    assert list(Action.objects.ended()) == [action]
    with pytest.raises(Conflict, match="already rejected by Mira Chen"):
        action.approve(by=factories.person("noa").actor())


@pytest.mark.parametrize(
    ("decide", "status"),
    [
        (lambda action, by: action.approve(by=by), RemediationStatus.RUNNING),
        (lambda action, by: action.reject(by=by, comment="no"), RemediationStatus.DECLINED),
        (lambda action, by: action.withdraw("withdrawn_allowed", by=by), RemediationStatus.UNREMEDIATED),
    ],
    ids=["approved", "rejected", "withdrawn"],
)
def test_evidence_says_what_was_decided(decide: Any, status: RemediationStatus) -> None:
    action = factories.waiting_action()
    assert action.evidence.get().remediation == RemediationStatus.PENDING_APPROVAL
    decide(action, factories.person("mira").actor())
    assert action.evidence.get().remediation == status


def test_rejection_needs_a_comment() -> None:
    with pytest.raises(Invalid, match="comment"):
        factories.waiting_action().reject(by=factories.person("mira").actor())


def test_the_second_person_is_told_who_was_first() -> None:
    action = factories.waiting_action()
    stale = Action.objects.get(pk=action.pk)
    action.approve(by=factories.person("mira").actor())
    with pytest.raises(Conflict, match=r"already approved by Mira Chen at .* UTC and is queued") as lost:
        stale.approve(by=factories.person("sam").actor())
    assert lost.value.action.decided_by_name == "Mira Chen"
    assert Vote.objects.filter(action=action).count() == 1


def test_what_expired_can_no_longer_be_decided_even_before_the_sweeper_ran() -> None:
    action = factories.waiting_action()
    Action.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Conflict, match="expired undecided"):
        action.approve(by=factories.person("mira").actor())
    assert not Action.objects.waiting().exists()
    assert Action.objects.expire_due(by=Actor.system("sweeper")) == 1
    action.refresh_from_db()
    assert (action.decision, action.decided_by_name) == (Decision.EXPIRED, "")
    assert kinds(action)[-1] == "action.expired"


def test_a_page_that_is_old_is_told_to_look_again() -> None:
    action = factories.waiting_action()
    with pytest.raises(Conflict, match="changed since you opened it"):
        action.approve(by=factories.person("mira").actor(), revision=action.revision + 1)


def test_a_quorum_counts_distinct_people() -> None:
    action = factories.waiting_action()
    Action.objects.update(approval_rule={**action.approval_rule, "quorum": 2}, quorum=2)
    action.approve(by=factories.person("mira").actor())
    assert action.decision == Decision.PENDING
    with pytest.raises(Conflict, match="already voted"):
        action.approve(by=factories.person("mira").actor())
    action.approve(by=factories.person("noa").actor())
    assert action.decision == Decision.APPROVED


def test_votes_of_people_since_deactivated_do_not_count() -> None:
    action = factories.waiting_action()
    Action.objects.update(approval_rule={**action.approval_rule, "quorum": 2}, quorum=2)
    action.approve(by=factories.person("mira").actor())
    factories.person("mira").deactivate(by=factories.SETUP)
    action.approve(by=factories.person("noa").actor())
    assert action.decision == Decision.PENDING


def test_votes_of_people_who_lost_the_role_do_not_count() -> None:
    action, mira = factories.waiting_action(), factories.person("mira")
    Action.objects.update(approval_rule={**action.approval_rule, "quorum": 2}, quorum=2)
    action.approve(by=mira.actor())
    mira.grant(Role.ANALYST, by=factories.SETUP)
    mira.revoke(Role.RESPONDER, by=factories.SETUP)
    action.approve(by=factories.person("noa").actor())
    assert action.decision == Decision.PENDING


def test_an_edit_asks_for_a_new_plan() -> None:
    machine = factories.device(in_group=factories.group())
    item = factories.file_evidence(machine, recommends_isolation=True)
    action = next(found for found in factories.planned(item) if found.entry.code == "isolate")
    action.edit({"isolation": "selective"}, by=factories.person("mira").actor(), revision=1)
    assert action.jobs.count() == 2


def test_four_eyes_keeps_the_proposer_out() -> None:
    action = factories.waiting_action()
    Action.objects.update(
        approval_rule={**action.approval_rule, "four_eyes": True}, proposers=[factories.person("mira").ref]
    )
    with pytest.raises(Refused, match="proposed"):
        action.approve(by=factories.person("mira").actor())


DEVICE_DECIDERS = {"mira", "sam", "noa"}
EMAIL_DECIDERS = {"aiko", "sam", "noa"}


@pytest.mark.parametrize("who", sorted(set(factories.CAST) - {"nobody"}))
@pytest.mark.parametrize("area", ["device", "email"])
def test_only_the_right_roles_decide(who: str, area: str) -> None:
    action = factories.waiting_action() if area == "device" else factories.waiting_mail_action()
    may = who in (DEVICE_DECIDERS if area == "device" else EMAIL_DECIDERS)
    if may:
        action.reject(by=factories.person(who).actor(), comment="no")
        assert action.decision == Decision.REJECTED
    else:
        with pytest.raises(Refused, match="needs the role"):
            action.reject(by=factories.person(who).actor(), comment="no")


def test_without_a_role_nothing_exists() -> None:
    with pytest.raises(NotVisible):
        factories.waiting_action().approve(by=factories.person("nobody").actor())


def test_a_revoked_role_holds_from_the_next_decision_on() -> None:
    action, mira = factories.waiting_action(), factories.person("mira")
    by = mira.actor()
    mira.grant(Role.ANALYST, by=factories.SETUP)
    mira.revoke(Role.RESPONDER, by=factories.SETUP)
    with pytest.raises(Refused):
        action.approve(by=by)


def test_machines_never_decide() -> None:
    with pytest.raises(Refused, match="person"):
        factories.waiting_action().approve(by=Actor.automation())


def test_bulk_reports_every_row_and_keeps_the_good_ones() -> None:
    first, taken, third = factories.waiting_actions(3)
    taken.reject(by=factories.person("noa").actor(), comment="no")
    results = Action.objects.approve_many(
        [first.pk, taken.pk, 999_999, third.pk], by=factories.person("mira").actor()
    )
    assert [(r.number, r.ok, r.code) for r in results] == [
        (first.pk, True, "approved"),
        (taken.pk, False, "decided"),
        (999_999, False, "unknown"),
        (third.pk, True, "approved"),
    ]
    assert "Noa Levi" in results[1].message
    assert len(set(Action.objects.filter(decision=Decision.APPROVED).values_list("approval_id"))) == 1


def statements_of_bulk(number: int) -> list[str]:
    by = factories.person("mira").actor()
    rows = [row.pk for row in factories.waiting_actions(number)]
    with CaptureQueriesContext(connection) as said:
        results = Action.objects.approve_many(rows, by=by)
    assert all(result.ok for result in results)
    control = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT")
    return [query["sql"] for query in said if not query["sql"].startswith(control)]


def test_bulk_needs_the_same_number_of_statements_for_many() -> None:
    few = writing.FOLLOWED_AT_ONCE

    assert len(statements_of_bulk(1)) == len(statements_of_bulk(few))
    assert len(statements_of_bulk(few + 1)) == len(statements_of_bulk(few + 15))


@pytest.mark.postgres
def test_bulk_needs_four_statements_on_postgresql(on_postgres: str) -> None:
    assert len(statements_of_bulk(writing.FOLLOWED_AT_ONCE + 1)) == 4


def test_bulk_of_two_types_is_refused() -> None:
    with pytest.raises(Invalid, match="same type"):
        Action.objects.approve_many(
            [factories.waiting_action().pk, factories.waiting_mail_action().pk],
            by=factories.person("sam").actor(),
        )


def test_if_the_event_cannot_be_written_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    action = factories.waiting_action()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("actioncenter.audit.log._chained", full)
    with pytest.raises(OSError, match="disk full"), transaction.atomic():
        action.approve(by=factories.person("mira").actor())
    assert Action.objects.get(pk=action.pk).decision == Decision.PENDING


ILLEGAL = [(d, e) for d in Decision for e in Execution if e not in LEGAL_PAIRS[d]]


@pytest.mark.parametrize(("decision", "execution"), ILLEGAL, ids=lambda state: state.name)
def test_the_database_refuses_illegal_pairs(decision: Decision, execution: Execution) -> None:
    action = factories.waiting_action()
    now = timezone.now()
    ended = (
        now
        if execution in ENDS or decision in (Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN)
        else None
    )
    who = {} if decision == Decision.PENDING else {"decided_at": now, "decided_by_name": "x"}
    if decision == Decision.EXPIRED:
        who["decided_by_name"] = ""
    with pytest.raises(IntegrityError, match="action_legal_pair"), transaction.atomic():
        Action.objects.filter(pk=action.pk).update(
            decision=decision, execution=execution, history_at=ended, approved_fingerprint="x", **who
        )


@pytest.mark.parametrize(
    "change",
    [{"decided_by_name": "Mira"}, {"decided_at": timezone.now()}, {"history_at": timezone.now()}],
    ids=["person alone", "time alone", "history without an end"],
)
def test_person_time_and_decision_go_together(change: dict[str, object]) -> None:
    action = factories.waiting_action()
    with pytest.raises(IntegrityError), transaction.atomic():
        Action.objects.filter(pk=action.pk).update(**change)
