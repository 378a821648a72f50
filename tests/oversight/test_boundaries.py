"""What bounds automation is read again for every decision: nothing is kept from one to the next."""

from collections.abc import Callable

import pytest

from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import DeviceGroup, FolderExclusion, Indicator, Safeguards
from investigations.models import Device
from tests import factories

pytestmark = pytest.mark.django_db
PATH = r"C:\Users\bo\Downloads\tool.exe"
SHA = "7" * 64


def lower_the_level() -> None:
    DeviceGroup.objects.filter(name="Kiosks").update(level=AutomationLevel.SEMI_ALL)


def use_up_the_cap() -> None:
    Safeguards.objects.create(pk=1, entity_cap=0, entity_cap_percent=0)


def exclude_the_folder() -> None:
    FolderExclusion.objects.create(folder=r"C:\Users\bo\Downloads")


def allow_the_file() -> None:
    Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value=SHA, effect=IndicatorEffect.ALLOW)


def make_it_critical() -> None:
    Device.objects.update(critical=True)


def _by_itself(device: Device) -> bool:
    evidence = factories.file_evidence(Device.objects.get(pk=device.pk), path=PATH, sha256=SHA)
    factories.planned(evidence)
    return Action.objects.filter(links__evidence=evidence, decision=Decision.NOT_REQUIRED).exists()


@pytest.mark.oversight("AL-016")
@pytest.mark.parametrize(
    "change", [lower_the_level, use_up_the_cap, exclude_the_folder, allow_the_file, make_it_critical]
)
def test_boundaries_are_read_for_every_decision(change: Callable[[], None]) -> None:
    """Changed behind our back, as another process would: the very next decision is another."""
    home = factories.group("Kiosks", AutomationLevel.FULL)
    devices = [factories.device(in_group=home) for _ in range(2)]
    assert _by_itself(devices[0])
    change()
    assert not _by_itself(devices[1])
