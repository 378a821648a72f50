"""From evidence to actions: idempotent, strictest outcome, explained."""

import pytest
from django.db import connection

from actioncenter.actions import planning, reasons
from actioncenter.actions.enums import ActionType, Decision, Execution, Source
from actioncenter.actions.models import Action, ActionEvidence, Conflict
from actioncenter.settings.enums import AutomationLevel, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import FolderExclusion, Indicator
from investigations.enums import EvidenceType, RemediationStatus, Verdict
from investigations.models import Evidence
from tests import factories

pytestmark = pytest.mark.django_db
DOCUMENTS = r"C:\Users\bo\Documents\a.exe"
WINDOWS = r"C:\Windows\System32\a.dll"


def test_full_runs_by_itself_and_names_automation() -> None:
    kiosks = factories.group("Kiosks", AutomationLevel.FULL)
    action = factories.planned(factories.file_evidence(factories.device(in_group=kiosks)))[0]
    assert (action.decision, action.execution) == (Decision.NOT_REQUIRED, Execution.QUEUED)
    assert (action.decided_by_name, action.source) == ("Automation", Source.AUTOMATED_DEVICE)
    assert action.automatic


def test_the_same_evidence_twice_makes_one_action() -> None:
    evidence = factories.file_evidence(factories.device(in_group=factories.group()))
    assert len(planning.plan([evidence.pk])) == 1
    assert planning.plan([evidence.pk]) == []
    assert Action.objects.count() == 1


def test_several_findings_become_one_action_and_the_strictest_wins() -> None:
    core = factories.group("Servers", AutomationLevel.SEMI_CORE)
    machine, found_in = factories.device(in_group=core), factories.investigation()
    same = "b" * 64
    outside = factories.file_evidence(machine, found_in, path=DOCUMENTS, sha256=same)
    Evidence.objects.filter(pk=outside.pk).update(key="first")
    inside = factories.file_evidence(machine, found_in, path=WINDOWS, sha256=same)
    (action,) = factories.planned(outside, inside)
    assert action.decision == Decision.PENDING
    assert action.reason_code == "semi_core_in_core"
    links = ActionEvidence.objects.filter(action=action).values_list("evidence_id", "outcome_code")
    assert set(links) == {(outside.pk, "semi_core_outside_core"), (inside.pk, "semi_core_in_core")}


def test_the_reason_can_be_said_in_a_sentence_after_settings_change() -> None:
    core = factories.group("Finance laptops", AutomationLevel.SEMI_CORE)
    (action,) = factories.planned(factories.file_evidence(factories.device(in_group=core), path=WINDOWS))
    core.name = "Renamed"
    core.save()
    sentence = reasons.render(action.reason_code, action.policy["params"])
    assert (
        sentence
        == r"Waiting because Finance laptops is set to Semi – core folders and the file lies in \Windows\."
    )


def test_a_worse_verdict_asks_anew() -> None:
    evidence = factories.file_evidence(
        factories.device(in_group=factories.group()), verdict=Verdict.SUSPICIOUS
    )
    (first,) = factories.planned(evidence)
    Evidence.objects.update(verdict=Verdict.MALICIOUS)
    (second,) = planning.plan([evidence.pk])
    first.refresh_from_db()
    assert (first.decision, first.code) == (Decision.WITHDRAWN, "withdrawn_superseded")
    assert (second.round, second.verdict) == (2, Verdict.MALICIOUS)


def test_a_better_verdict_withdraws_what_is_undecided() -> None:
    evidence = factories.file_evidence(factories.device(in_group=factories.group()))
    (action,) = factories.planned(evidence)
    Evidence.objects.update(verdict=Verdict.NO_THREATS_FOUND)
    planning.plan([evidence.pk])
    action.refresh_from_db()
    assert (action.decision, action.code) == (Decision.WITHDRAWN, "withdrawn_verdict")


def test_a_rejected_intent_never_comes_back_as_automatic() -> None:
    home = factories.group("Kiosks", AutomationLevel.SEMI_ALL)
    machine, same = factories.device(in_group=home), "c" * 64
    (action,) = factories.planned(factories.file_evidence(machine, sha256=same))
    action.reject(by=factories.person("mira").actor(), comment="our own tool")
    type(home).objects.filter(pk=home.pk).update(level=AutomationLevel.FULL)
    (again,) = factories.planned(
        factories.file_evidence(machine, factories.investigation("later"), sha256=same)
    )
    assert (again.decision, again.reason_code) == (Decision.PENDING, "rejected_before")
    assert "Mira Chen" in reasons.render(again.reason_code, again.policy["params"])


def test_a_critical_device_always_waits() -> None:
    full = factories.group("Servers", AutomationLevel.FULL)
    (action,) = factories.planned(factories.file_evidence(factories.device(in_group=full, critical=True)))
    assert (action.decision, action.reason_code) == (Decision.PENDING, "critical_device")


def test_without_a_connector_it_waits_and_cannot_be_approved() -> None:
    full = factories.group("Servers", AutomationLevel.FULL)
    machine = factories.device(in_group=full)
    machine.bindings.all().delete()
    (action,) = factories.planned(factories.file_evidence(machine))
    assert (action.decision, action.reason_code) == (Decision.PENDING, "no_route")
    with pytest.raises(Conflict, match="No connector"):
        action.approve(by=factories.person("mira").actor())


def test_an_allow_indicator_suppresses_and_an_exclusion_hides() -> None:
    machine = factories.device(in_group=factories.group())
    allowed = factories.file_evidence(machine, sha256="d" * 64)
    hidden = factories.file_evidence(machine, path=r"D:\Builds\out\tool.exe")
    Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value="D" * 64, effect=IndicatorEffect.ALLOW)
    FolderExclusion.objects.create(folder=r"D:\Builds")
    assert factories.planned(allowed, hidden) == []


def test_a_block_indicator_makes_an_unknown_item_bad() -> None:
    machine = factories.device(in_group=factories.group())
    item = factories.file_evidence(machine, sha256="e" * 64, verdict=Verdict.UNKNOWN)
    Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value="e" * 64, effect=IndicatorEffect.BLOCK)
    assert [action.type for action in factories.planned(item)] == [ActionType.QUARANTINE_FILE]


def test_an_altered_text_waits_for_a_person() -> None:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    (action,) = factories.planned(factories.file_evidence(factories.device(in_group=full), altered=True))
    assert (action.decision, action.reason_code) == (Decision.PENDING, "altered_text")


@pytest.mark.parametrize("status", list(RemediationStatus), ids=lambda status: status.name.lower())
def test_what_the_source_has_dealt_with_is_not_proposed_again(status: RemediationStatus) -> None:
    machine = factories.device(in_group=factories.group())
    proposed = factories.planned(factories.file_evidence(machine, remediation=status))
    assert bool(proposed) is (status not in planning.DONE_BY_THE_SOURCE)


def test_isolation_comes_only_from_a_recommendation_or_the_recipe_of_the_group() -> None:
    plain = factories.group("Plain")
    recipe = factories.group("Isolating", recipe_isolates=True)
    types = {
        home.name: {
            action.type
            for action in factories.planned(factories.file_evidence(factories.device(in_group=home)))
        }
        for home in (plain, recipe)
    }
    assert ActionType.ISOLATE_DEVICE not in types["Plain"]
    assert ActionType.ISOLATE_DEVICE in types["Isolating"]


def test_what_a_crash_left_unplanned_is_found_later() -> None:
    factories.file_evidence(factories.device(in_group=factories.group()))
    assert Action.objects.count() == 0
    assert len(planning.plan_unplanned(by=factories.SETUP)) == 1
    assert not planning.unplanned().exists()


def test_the_same_file_on_ten_devices_waits_for_a_person() -> None:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    found_in, same = factories.investigation(), "f" * 64
    items = [
        factories.file_evidence(factories.device(in_group=full), found_in, sha256=same) for _ in range(10)
    ]
    assert {action.reason_code for action in factories.planned(*items)} == {"expansion"}


@pytest.mark.parametrize("kind", list(EvidenceType), ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("verdict", list(Verdict), ids=lambda verdict: verdict.name.lower())
def test_every_kind_of_evidence_can_be_planned(kind: EvidenceType, verdict: Verdict) -> None:
    """Also with nothing but a name known of it."""
    machine = factories.device(in_group=factories.group())
    item = factories.file_evidence(machine, verdict=verdict)
    Evidence.objects.filter(pk=item.pk).update(type=kind, facts={}, path="", sha256="")
    for action in factories.planned(item):
        assert action.targets.exists()


def test_planning_needs_no_more_queries_to_judge_more_evidence(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    machine = factories.device(in_group=factories.group())
    clean = [factories.file_evidence(machine, verdict=Verdict.NO_THREATS_FOUND).pk for _ in range(100)]
    fence = 1 if connection.vendor == "postgresql" else 0
    with django_assert_max_num_queries(15 + fence):
        planning.plan(clean)
