"""Settings that decide what may run. Split by subject; import from here."""

from actioncenter.settings.models.connectors import ConnectorInstance
from actioncenter.settings.models.groups import DeviceGroup, GroupRule, LevelRaise
from actioncenter.settings.models.lists import FolderExclusion, FolderRule, Indicator, SourceVerdicts
from actioncenter.settings.models.rules import ApprovalRule, RailUse, Stop

__all__ = [
    "ApprovalRule",
    "ConnectorInstance",
    "DeviceGroup",
    "FolderExclusion",
    "FolderRule",
    "GroupRule",
    "Indicator",
    "LevelRaise",
    "RailUse",
    "SourceVerdicts",
    "Stop",
]
