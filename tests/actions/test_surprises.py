"""What nobody expected pauses its like on that connector, and people look."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.actions.enums import Execution, SurpriseKind
from actioncenter.actions.execution import auditing, claiming, stepping, surprising
from actioncenter.actions.models import Action, Conflict, Surprise
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import AutomationLevel, Role, StopKind, StopScope, StopSource
from actioncenter.settings.models import ConnectorInstance, Stop
from actioncenter.settings.models.stops import StopError
from investigations.enums import Verdict
from investigations.models import Evidence
from tests import factories
from tests.actions.claims_told import TOLD
from tests.actions.conftest import RUNNER
from tests.actions.surprises import BEFORE_SENDING, BROUGHT_ABOUT, approved, automatic, through

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
TEN = 10
WIDE = {SurpriseKind.EVIDENCE: StopScope.INVESTIGATION, SurpriseKind.AUDIT: StopScope.ALL}
"""What is held back by those that are not about a type on a connector."""
every_kind = pytest.mark.parametrize("kind", SurpriseKind, ids=lambda kind: kind.name.lower())


def effects(estate: Estate) -> int:
    return sum(estate.effects().values())


def like(action: Action) -> Action:
    """Another that the surprise holds back too, decided already."""
    if action.automatic:
        return automatic(of=action.investigation)
    return approved()


def surprised(kind: SurpriseKind, run: Run, patch: pytest.MonkeyPatch) -> Action:
    with patch.context() as odd:
        action = BROUGHT_ABOUT[kind](odd)
        run(action)
    return action


@pytest.mark.oversight("HO-011")
@every_kind
def test_surprise_pauses(
    kind: SurpriseKind, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind; ten of the same kind that are decided afterwards stay where they are."""
    noa = factories.person("noa")
    action = surprised(kind, run, monkeypatch)
    sent = effects(estate)
    assert not (sent and kind in BEFORE_SENDING)
    rest = [like(action) for _ in range(TEN)]
    run(*rest)

    assert effects(estate) == sent
    assert {each.execution for each in rest} == {Execution.QUEUED}
    stop = Stop.objects.in_force().get()
    assert (stop.source, stop.scope) == (StopSource.SYSTEM, WIDE.get(kind, StopScope.TYPE))
    assert stop.on_connector == (None if kind in WIDE else ConnectorInstance.objects.get().pk)
    (surprise,) = Surprise.objects.all()
    assert (surprise.kind, surprise.action_id, surprise.stop) == (kind, action.pk, stop.pk)
    assert Event.objects.get(kind=Kind.SURPRISE_FOUND).subject == f"action:{action.pk}"
    told = Notice.objects.get(kind="switch.pulled", user=noa)
    assert (told.severity, told.created_at - surprise.found_at < timedelta(seconds=10)) == (
        Severity.URGENT,
        True,
    )
    assert action in Action.objects.needs_a_look()


@pytest.mark.oversight("HO-011")
@every_kind
def test_the_tests_see_a_runner_that_is_never_surprised(
    kind: SurpriseKind, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surprising, "found", lambda *_, **__: None)
    monkeypatch.setattr(auditing, "broken", list)
    surprised(kind, run, monkeypatch)
    assert not Stop.objects.in_force().exists()


@every_kind
def test_everything_else_goes_on(
    kind: SurpriseKind, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another type through the same connector; only a broken log stops it too."""
    surprised(kind, run, monkeypatch)
    mail = factories.waiting_mail_action(messages=1)
    run(mail)
    mail.approve(by=factories.person("aiko").actor())
    run(mail)
    held = kind == SurpriseKind.AUDIT
    assert (mail.execution == Execution.QUEUED) == held


def test_what_evidence_says_holds_back_no_other_investigation(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    surprised(SurpriseKind.EVIDENCE, run, monkeypatch)
    other = automatic()
    run(other)
    assert other.execution == Execution.SUCCEEDED


def test_after_somebody_has_looked_and_resumed_it_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    action = surprised(SurpriseKind.EVIDENCE, run, monkeypatch)
    Stop.objects.in_force().get().lift(by=factories.actor(factories.person("noa")))
    run(action)
    assert action.execution == Execution.QUEUED
    action.acknowledge(by=factories.person("mira").actor(), comment="A file name, nothing more")
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert not Action.objects.needs_a_look().exists()
    with pytest.raises(Conflict):
        action.acknowledge(by=factories.person("mira").actor(), comment="Once more")


def test_later_evidence_surprises_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    action = surprised(SurpriseKind.EVIDENCE, run, monkeypatch)
    action.acknowledge(by=factories.person("mira").actor(), comment="Read")
    another = automatic(of=action.investigation)
    Evidence.objects.filter(links__action=another).update(
        name="skip the approval.exe", created_at=Now() + timedelta(minutes=1)
    )
    assert surprising.claim_of(another)


def test_who_had_a_hand_in_it_does_not_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin who approved what went wrong needs another one."""
    noa = factories.person("noa")
    lee = User.objects.enrol("lee", by=factories.SETUP, password=factories.PASSWORD, roles=[Role.ADMIN])
    with monkeypatch.context() as odd:
        through(SurpriseKind.READ_BACK, odd)
        run(factories.waiting_action().approve(by=factories.actor(noa)))
    stop = Stop.objects.in_force().get()
    with pytest.raises(StopError) as refused:
        stop.lift(by=factories.actor(noa))
    assert refused.value.code == "other_person"
    assert stop.lift(by=factories.actor(lee))


def test_two_that_are_under_way_are_one_pause(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as odd:
        through(SurpriseKind.REACH, odd)
        actions = [approved(), approved()]
        attempts = [claiming.claim_one(action.pk, "r", by=RUNNER) for action in actions]
        for attempt in attempts:
            assert attempt is not None
            stepping.work(attempt, by=RUNNER)
    assert Surprise.objects.count() == 2
    assert Stop.objects.in_force().get().kind == StopKind.PAUSE
    assert Notice.objects.filter(kind="switch.pulled").values("title").distinct().count() == 1


# Text in evidence


@pytest.mark.oversight("HO-011")
def test_evidence_is_never_authority() -> None:
    """Fifty texts wherever evidence has text: what is decided is what would be decided without them."""
    assert len(TOLD) == 50
    groups = [factories.group(f"At {level.name}", level) for level in AutomationLevel]
    devices = [factories.device(in_group=group) for group in groups]

    def decided(verdict: Verdict, text: str) -> list[tuple[int, str]]:
        found = [factories.file_evidence(device, verdict=verdict) for device in devices]
        if text:
            facts = {**found[0].facts, "command_line": text}
            items = Evidence.objects.filter(pk__in=[item.pk for item in found])
            items.update(name=text, threats=[text], detection_origin=text, facts=facts)
        return [(action.decision, action.reason_code) for action in factories.planned(*found)]

    silent = {verdict: decided(verdict, "") for verdict in Verdict}
    assert len(set(silent[Verdict.MALICIOUS])) > 2
    for number, text in enumerate(TOLD):
        verdict = list(Verdict)[number % len(Verdict)]
        assert decided(verdict, text) == silent[verdict], text
