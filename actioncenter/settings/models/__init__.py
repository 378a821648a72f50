"""Settings that decide what may run. Split by subject; import from here."""

from actioncenter.settings.models.approval import ApprovalRule
from actioncenter.settings.models.breakers import Breaker, BreakerError
from actioncenter.settings.models.connectors import ConnectorInstance, PaceError
from actioncenter.settings.models.groups import DeviceGroup, GroupError, GroupRule, LevelError, LevelRaise
from actioncenter.settings.models.hosts import Host, Installation
from actioncenter.settings.models.lists import FolderExclusion, FolderRule, Indicator, SourceVerdicts
from actioncenter.settings.models.rails import Rail, RailKey, RailUse
from actioncenter.settings.models.restoring import RestoreError
from actioncenter.settings.models.retention import LegalHold, Retention, RetentionError, Shortening
from actioncenter.settings.models.reviewing import ReviewError
from actioncenter.settings.models.safeguards import Safeguards, SafeguardsError
from actioncenter.settings.models.stops import Stop
from actioncenter.settings.models.streams import Destination, DestinationError

__all__ = [
    "ApprovalRule",
    "Breaker",
    "BreakerError",
    "ConnectorInstance",
    "Destination",
    "DestinationError",
    "DeviceGroup",
    "FolderExclusion",
    "FolderRule",
    "GroupError",
    "GroupRule",
    "Host",
    "Indicator",
    "Installation",
    "LegalHold",
    "LevelError",
    "LevelRaise",
    "PaceError",
    "Rail",
    "RailKey",
    "RailUse",
    "RestoreError",
    "Retention",
    "RetentionError",
    "ReviewError",
    "Safeguards",
    "SafeguardsError",
    "Shortening",
    "SourceVerdicts",
    "Stop",
]
