"""What is named as not to be touched is not touched by automation, whatever the level."""

from collections.abc import Callable

import pytest

from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import FolderExclusion, Indicator
from investigations.models import Device, Evidence
from tests import factories

pytestmark = pytest.mark.django_db
PATH = r"C:\Users\bo\Downloads\tool.exe"


def excluded(evidence: Evidence) -> None:
    FolderExclusion.objects.create(folder=r"C:\Users\bo\Downloads")


def allowed(evidence: Evidence) -> None:
    Indicator.objects.create(
        kind=IndicatorKind.FILE_HASH, value=evidence.sha256, effect=IndicatorEffect.ALLOW
    )


def critical(evidence: Evidence) -> None:
    Device.objects.filter(pk=evidence.device_id).update(critical=True)


def found(level: AutomationLevel) -> Evidence:
    return factories.file_evidence(factories.device(in_group=factories.group(level=level)), path=PATH)


@pytest.mark.oversight("SE-009")
@pytest.mark.parametrize("name", [excluded, allowed, critical])
@pytest.mark.parametrize("level", AutomationLevel)
def test_deny_list_wins(level: AutomationLevel, name: Callable[[Evidence], None]) -> None:
    evidence = found(level)
    name(evidence)
    evidence = Evidence.objects.get(pk=evidence.pk)

    factories.planned(evidence)

    assert not Action.objects.filter(decision=Decision.NOT_REQUIRED).exists()
    if name is not critical:
        assert not Action.objects.exists()


@pytest.mark.parametrize(
    "level", [AutomationLevel.SEMI_NONTEMP, AutomationLevel.SEMI_CORE, AutomationLevel.FULL]
)
def test_without_it_the_same_finding_is_handled_automatically(level: AutomationLevel) -> None:
    (action,) = factories.planned(found(level))

    assert action.decision == Decision.NOT_REQUIRED
