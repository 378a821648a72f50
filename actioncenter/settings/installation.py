"""What every installation has from its first migration on."""

from typing import Any, Final, Protocol

from actioncenter.settings import defaults
from actioncenter.settings.enums import AutomationLevel

DEFAULT_GROUP: Final = "Ungrouped devices (default)"
SIMULATOR: Final = "Simulator"


class Registry(Protocol):
    """Django's apps, or those of a migration."""

    def get_model(self, app_label: str, model_name: str) -> Any: ...


def ensure(registry: Registry) -> None:
    """Create what is missing of the default group, the documented folders and the simulator.

    The default group is at Full because nothing but the simulator is connected (domain Q1).
    """
    registry.get_model("settings", "DeviceGroup").objects.get_or_create(
        is_default=True, defaults={"name": DEFAULT_GROUP, "rank": None, "level": AutomationLevel.FULL.value}
    )
    registry.get_model("settings", "ConnectorInstance").objects.get_or_create(
        kind="simulator",
        defaults={"name": SIMULATOR, "enabled": True, "simulated": True, "priority": 1000, "settings": {}},
    )
    folders = registry.get_model("settings", "FolderRule").objects
    if not folders.exists():
        folders.bulk_create(
            folders.model(
                which=rule.which.value,
                pattern=rule.pattern,
                documented=_is_documented(rule.note),
                note=rule.note,
            )
            for rule in defaults.FOLDER_RULES
        )


def _is_documented(note: str) -> bool:
    return note.startswith("Documented")
