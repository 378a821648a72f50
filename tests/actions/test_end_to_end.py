"""A real document in, every proposed action out, read back, and taken back again."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from actioncenter.actions.enums import ALLOWED, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.audit.verify import first_bad_row
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup
from investigations.enums import EvidenceType, InvestigationState, Verdict
from investigations.models import Evidence, Investigation
from tests import factories

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
NATIVE = Path(__file__).parents[1] / "fixtures" / "intake" / "native.json"


@pytest.fixture
def ingested(run: Run) -> list[Action]:
    DeviceGroup.objects.filter(is_default=True).update(level=AutomationLevel.SEMI_ALL)
    call_command("ingest", str(NATIVE), stdout=StringIO())
    run()
    return list(Action.objects.order_by("pk"))


def test_every_bad_finding_with_a_remedy_is_proposed(ingested: list[Action]) -> None:
    bad = Evidence.objects.filter(verdict__in=[Verdict.SUSPICIOUS, Verdict.MALICIOUS])
    without = {EvidenceType(item.type).name for item in bad.filter(actions__isnull=True)}
    assert without <= {"IP", "USER", "DEVICE", "MAILBOX", "SUBMISSION", "SECURITY_GROUP", "OTHER"}
    assert len({action.type for action in ingested}) >= 10


def test_everything_approved_succeeds_and_can_be_taken_back(ingested: list[Action], run: Run) -> None:
    by = factories.actor(factories.person("noa"))
    for action in ingested:
        action.approve(by=by)
    run(*ingested)
    results = {
        action.entry.code: (Execution(action.execution).name, action.status_detail) for action in ingested
    }
    assert {state for state, _ in results.values()} == {"SUCCEEDED"}, results
    undone = [a.undo(by=by, comment="false positive") for a in ingested if a.entry.inverse is not None]
    run(*undone)
    taken_back = {a.entry.code: (Execution(a.execution).name, a.status_detail) for a in undone}
    assert {state for state, _ in taken_back.values()} == {"SUCCEEDED"}, taken_back
    assert first_bad_row() is None


def test_the_investigations_complete_when_everything_is_decided_and_done(
    ingested: list[Action], run: Run
) -> None:
    states = set(Investigation.objects.values_list("state", flat=True))
    assert states <= {InvestigationState.PENDING_APPROVAL, InvestigationState.NO_THREATS_FOUND,
                      InvestigationState.PARTIALLY_INVESTIGATED}  # fmt: skip
    by = factories.actor(factories.person("noa"))
    first, *rest = ingested
    first.reject(by=by, comment="known")
    for action in rest:
        action.approve(by=by)
    run(*ingested)
    assert not Investigation.objects.filter(ended_at=None).exists()
    assert not Action.objects.filter(decision=Decision.PENDING).exists()


def test_replaying_the_document_changes_nothing(ingested: list[Action], run: Run) -> None:
    out = StringIO()
    call_command("ingest", str(NATIVE), stdout=out)
    run()
    assert "unchanged" in out.getvalue()
    assert list(Action.objects.order_by("pk")) == ingested


def test_at_full_what_may_run_by_itself_does(run: Run) -> None:
    call_command("ingest", str(NATIVE), stdout=StringIO())
    run()
    automatic = Action.objects.filter(decision__in=sorted(ALLOWED))
    assert automatic.exists()
    assert set(automatic.values_list("execution", flat=True)) == {Execution.SUCCEEDED}
    assert not automatic.filter(verdict=Verdict.SUSPICIOUS).exists()
