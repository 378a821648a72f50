"""An investigation ends exactly when domain §5.1 says."""

from dataclasses import replace
from typing import Any

import pytest

from actioncenter.actions import housekeeping
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from investigations import lifecycle
from investigations.enums import (
    ACTIVE_STATES,
    AlertStatus,
    EvidenceType,
    InvestigationState,
    RemediationStatus,
    Verdict,
)
from investigations.lifecycle import INVESTIGATION_NEXT, Counts
from investigations.models import Alert, Evidence, Investigation
from tests import factories

pytestmark = pytest.mark.django_db
S = InvestigationState
BY = Actor.system("housekeeping")
DONE = Counts(total=1, approved=1, succeeded=1)


def found(investigation: Investigation, verdict: Verdict, *, planned: bool = True, **more: Any) -> Evidence:
    """Evidence of a kind that no recipe acts on."""
    return Evidence.objects.create(
        investigation=investigation,
        key=f"ip-{investigation.evidence.count()}",
        type=EvidenceType.IP,
        name="198.51.100.7",
        verdict=verdict,
        planned_verdict=verdict if planned else None,
        **more,
    )


def state(investigation: Investigation) -> InvestigationState:
    investigation.refresh_from_db()
    return InvestigationState(investigation.state)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(total=3, undecided=1, running=1, failed=1), S.PENDING_APPROVAL),
        (Counts(total=2, running=1, failed=1), S.RUNNING),
        (Counts(total=2, running=1, unreachable=1, succeeded=1), S.PENDING_RESOURCE),
        (Counts(total=2, undecided=1, running=1, unreachable=1), S.PENDING_APPROVAL),
        (DONE, S.REMEDIATED),
        (Counts(total=2, rejected=2), S.REMEDIATED),
        (Counts(total=2, approved=1, failed=1, rejected=1), S.PARTIALLY_REMEDIATED),
        (Counts(total=2, approved=1, succeeded=1, expired_last=True), S.TERMINATED_BY_SYSTEM),
    ],
)
def test_state_follows_the_actions(counts: Counts, expected: InvestigationState) -> None:
    investigation = factories.investigation()
    found(investigation, Verdict.MALICIOUS)

    lifecycle.advance(investigation, counts, by=BY)

    assert state(investigation) == expected
    assert (investigation.ended_at is None) == (expected in ACTIVE_STATES)
    assert investigation.action_count == counts.total
    assert investigation.threat_count == 1


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([Verdict.NO_THREATS_FOUND], S.NO_THREATS_FOUND),
        ([Verdict.MALICIOUS, Verdict.NO_THREATS_FOUND], S.PARTIALLY_INVESTIGATED),
        ([Verdict.SUSPICIOUS], S.PARTIALLY_INVESTIGATED),
        ([Verdict.UNKNOWN], S.PARTIALLY_INVESTIGATED),
        ([Verdict.UNKNOWN, Verdict.NO_THREATS_FOUND], S.PARTIALLY_INVESTIGATED),
        ([], S.PARTIALLY_INVESTIGATED),
    ],
)
def test_without_actions_the_evidence_tells(verdicts: list[Verdict], expected: InvestigationState) -> None:
    investigation = factories.investigation()
    for verdict in verdicts:
        found(investigation, verdict)

    lifecycle.advance(investigation, Counts(), by=BY)

    assert state(investigation) == expected


@pytest.mark.parametrize("status", RemediationStatus)
def test_findings_that_their_source_settled_need_no_action(status: RemediationStatus) -> None:
    investigation = factories.investigation()
    found(investigation, Verdict.MALICIOUS, remediation=status)

    lifecycle.advance(investigation, Counts(), by=BY)

    settled = status in lifecycle.TAKEN_CARE_OF
    assert state(investigation) == (S.REMEDIATED if settled else S.PARTIALLY_INVESTIGATED)


def test_verdicts_that_nobody_planned_keep_it_open() -> None:
    investigation = factories.investigation()
    found(investigation, Verdict.NO_THREATS_FOUND, planned=False)

    assert not lifecycle.advance(investigation, Counts(), by=BY)
    assert state(investigation) == S.RUNNING


@pytest.mark.parametrize("ended", [S.FAILED, S.TERMINATED_BY_USER, S.TERMINATED_BY_THROTTLING])
def test_what_was_given_up_stays_so(ended: InvestigationState) -> None:
    investigation = factories.investigation()
    if ended == S.TERMINATED_BY_THROTTLING:
        Investigation.objects.update(state=S.QUEUED)
    lifecycle.enter(investigation, ended, "test", by=BY)

    assert not lifecycle.advance(investigation, DONE, by=BY)
    assert state(investigation) == ended


def test_an_alert_that_joins_opens_it_again() -> None:
    investigation = factories.investigation()
    lifecycle.advance(investigation, DONE, by=BY)

    lifecycle.advance(investigation, replace(DONE, total=2, undecided=1), by=BY)

    assert state(investigation) == S.PENDING_APPROVAL
    assert investigation.ended_at is None


@pytest.mark.parametrize("wanted", S)
def test_every_state_can_be_reached(wanted: InvestigationState) -> None:
    reached = {S.STARTING}
    for _ in S:
        reached |= {after for before in reached for after in INVESTIGATION_NEXT[before]}

    assert wanted in reached


@pytest.mark.parametrize("old", S)
@pytest.mark.parametrize("new", S)
def test_only_legal_transitions_are_made(old: InvestigationState, new: InvestigationState) -> None:
    ended = None if old in ACTIVE_STATES else "2026-11-01T00:00:00Z"
    investigation = factories.investigation(state=old, ended_at=ended)

    if new in INVESTIGATION_NEXT[old]:
        lifecycle.enter(investigation, new, "test", by=BY)
        assert state(investigation) == new
    else:
        with pytest.raises(lifecycle.IllegalState):
            lifecycle.enter(investigation, new, "test", by=BY)
        assert state(investigation) == old


def alert(investigation: Investigation) -> Alert:
    return Alert.objects.create(source="tests", external_id="1", title="Alert", investigation=investigation)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (DONE, AlertStatus.RESOLVED),
        (replace(DONE, failed=1), AlertStatus.NEW),
        (replace(DONE, undecided=1), AlertStatus.NEW),
        (replace(DONE, expired_last=True), AlertStatus.NEW),
    ],
)
def test_alerts_are_resolved_when_it_ends_well(counts: Counts, expected: AlertStatus) -> None:
    investigation = factories.investigation()
    raised = alert(investigation)

    lifecycle.advance(investigation, counts, by=BY)

    raised.refresh_from_db()
    assert raised.status == expected


def test_each_change_leaves_one_event() -> None:
    investigation = factories.investigation()

    lifecycle.advance(investigation, replace(DONE, undecided=1), by=BY)
    lifecycle.advance(investigation, replace(DONE, undecided=1), by=BY)
    lifecycle.advance(investigation, DONE, by=BY)

    events = Event.objects.filter(stream=f"investigation:{investigation.pk}").order_by("seq")
    assert [(event.kind, event.before, event.after) for event in events] == [
        (
            Kind.INVESTIGATION_CHANGED,
            {"state": "RUNNING"},
            {"state": "PENDING_APPROVAL", "reason": "undecided"},
        ),
        (
            Kind.INVESTIGATION_COMPLETED,
            {"state": "PENDING_APPROVAL"},
            {"state": "REMEDIATED", "reason": "decided"},
        ),
    ]


def test_stopping_ends_it_once() -> None:
    investigation = factories.investigation()
    mira = factories.person("mira")

    assert lifecycle.stop(investigation, by=mira.actor())
    assert not lifecycle.stop(investigation, by=mira.actor())

    assert state(investigation) == S.TERMINATED_BY_USER
    assert investigation.terminated_by_name == "Mira Chen"


def test_assertion_13_it_stays_open_until_the_last_action_is_decided_and_finished() -> None:
    investigation = factories.investigation()
    home = factories.group()
    evidence = [factories.file_evidence(factories.device(in_group=home), investigation) for _ in range(2)]
    first, second = factories.planned(*evidence)
    mira = factories.person("mira").actor()

    def now() -> InvestigationState:
        investigation.refresh_from_db()
        housekeeping.advance(investigation, by=BY)
        return state(investigation)

    assert now() == S.PENDING_APPROVAL
    first.reject(by=mira, comment="A known tool")
    assert now() == S.PENDING_APPROVAL
    second.approve(by=mira)
    assert now() == S.RUNNING
    second.refresh_from_db()
    second.request_cancel(by=mira, comment="On second thought")
    assert now() == S.RUNNING
    Action.objects.filter(pk=second.pk).update(execution=5, history_at="2026-11-23T12:00:00Z")
    assert now() == S.REMEDIATED


def test_a_mark_is_cleared_once_it_is_worked_off() -> None:
    investigation = factories.investigation()

    housekeeping.advance_investigations(BY)

    assert not housekeeping.dirty().filter(pk=investigation.pk).exists()


def test_one_that_cannot_be_advanced_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = factories.investigation(), factories.investigation()
    lifecycle.mark_dirty([bad.pk, good.pk])
    advance = housekeeping.advance

    def fragile(investigation: Investigation, **more: Any) -> bool:
        if investigation == bad:
            raise LookupError
        return advance(investigation, **more)

    monkeypatch.setattr(housekeeping, "advance", fragile)

    housekeeping.advance_investigations(BY)

    assert list(housekeeping.dirty()) == [bad]
