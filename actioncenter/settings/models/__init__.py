"""Settings that decide what may run. Split by subject; import from here."""

from actioncenter.settings.models.connectors import ConnectorInstance
from actioncenter.settings.models.groups import DeviceGroup, GroupError, GroupRule, LevelError, LevelRaise
from actioncenter.settings.models.lists import FolderExclusion, FolderRule, Indicator, SourceVerdicts
from actioncenter.settings.models.rules import ApprovalRule, RailUse, Stop

__all__ = [
    "ApprovalRule",
    "ConnectorInstance",
    "DeviceGroup",
    "FolderExclusion",
    "FolderRule",
    "GroupError",
    "GroupRule",
    "Indicator",
    "LevelError",
    "LevelRaise",
    "RailUse",
    "SourceVerdicts",
    "Stop",
]
