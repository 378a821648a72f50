"""Groups at full automation whose recipe isolates, and findings that say everything is malicious."""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from investigations.enums import EvidenceType, OsFamily, Verdict
from investigations.models import Binding, Device, Evidence, Investigation
from tests import factories

PATH = r"C:\Users\bo\Documents\a.exe"


def fleet(
    name: str, size: int, *, critical: int = 0, known_for: timedelta = timedelta(days=1)
) -> DeviceGroup:
    """Devices behind two connectors by turns; the first few are critical."""
    home = factories.group(name, AutomationLevel.FULL, recipe_isolates=True)
    devices = Device.objects.bulk_create(
        Device(
            name=f"{name}-{at:04}",
            group=home,
            os_family=OsFamily.WINDOWS,
            critical=at < critical,
            first_seen=timezone.now() - known_for,
        )
        for at in range(size)
    )
    connectors = two_connectors()
    Binding.objects.bulk_create(
        Binding(device=machine, instance=connectors[at % 2], remote=machine.name)
        for at, machine in enumerate(devices)
    )
    return home


def two_connectors() -> Sequence[ConnectorInstance]:
    first = ConnectorInstance.objects.get(kind="simulator", name__istartswith="simul")
    second, _ = ConnectorInstance.objects.get_or_create(
        name="Second", defaults={"kind": "simulator", "simulated": True, "enabled": True}
    )
    return [first, second]


def verdicts(home: DeviceGroup, times: int, kind: EvidenceType = EvidenceType.FILE) -> list[int]:
    """So many malicious findings on every device, each in an investigation of its own; their numbers."""
    devices = list(home.devices.order_by("pk")) * times
    opened = Investigation.objects.bulk_create(
        Investigation(source="poison", title="Everything is bad") for _ in devices
    )
    found = Evidence.objects.bulk_create(
        Evidence(
            investigation=investigation, key=f"{investigation.pk}", type=kind, name="a.exe", device=machine,
            group=home, verdict=Verdict.MALICIOUS, path=PATH, sha256=f"{investigation.pk:064x}",
            facts={"path": PATH, "file_name": "a.exe", "sha256": f"{investigation.pk:064x}"},
        )
        for investigation, machine in zip(opened, devices, strict=True)
    )  # fmt: skip
    return [item.pk for item in found]


def automatic(home: DeviceGroup, kind: ActionType) -> int:
    return Action.objects.filter(group=home, type=kind, decision=Decision.NOT_REQUIRED).count()


def waiting(home: DeviceGroup, kind: ActionType, code: str) -> int:
    return Action.objects.filter(group=home, type=kind, decision=Decision.PENDING, reason_code=code).count()
