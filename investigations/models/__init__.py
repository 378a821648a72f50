"""What was found and where. Split by subject; import from here."""

from investigations.models.alert import Alert
from investigations.models.assets import Device, DeviceIdentity, Mailbox, MailboxIdentity, MergeProposal
from investigations.models.binding import Binding
from investigations.models.evidence import EmailCluster, Evidence, EvidenceAlert
from investigations.models.investigation import Investigation, Mark

__all__ = [
    "Alert",
    "Binding",
    "Device",
    "DeviceIdentity",
    "EmailCluster",
    "Evidence",
    "EvidenceAlert",
    "Investigation",
    "Mailbox",
    "MailboxIdentity",
    "Mark",
    "MergeProposal",
]
