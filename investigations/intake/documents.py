"""What every input format is turned into. Plain data: no database, no format.

Facts of evidence use one vocabulary, whatever the source calls them:

file, process    path, file_name, sha1, sha256, md5, size, publisher, signer, detection
process          pid, command_line, created, parent_pid, parent_created, parent_path, parent_command_line,
                 account
registry         hive, key, value_name, value, value_type
service, driver, task, persistence   name, path (of the image), command_line, sha1, sha256, md5
ip               ip, port, host_name · url: url
user             account, domain, sid, entra_id, upn, address, display_name
mailbox          address, upn, display_name
message          message_id, internet_message_id, sender, recipient, subject, received, sender_ip,
                 delivery_action, delivery_location, urls
cluster          cluster_id, name, cluster_by, cluster_value, query, query_time, email_count, counts, message_ids,
                 members [{mailbox, message_id, internet_message_id, folder}], volume_anomaly
submission       submission_id, submitter, report_type, submitted and those of a message
attachment       file_name, sha1, sha256, md5, size, message_id, internet_message_id, sender, recipient, subject
forwarding       address, rule_id, rule_name, kind · delegation: delegate, rights
security group   group_id, name · other: kind and what the source said

Times inside facts are ISO 8601 text in UTC, sizes bytes, hashes lower-case hexadecimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from investigations.enums import (
    AlertStatus,
    EvidenceType,
    Namespace,
    NotStarted,
    OsFamily,
    RemediationStatus,
    Severity,
    Verdict,
)

Identity = tuple[Namespace, str]
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDoc:
    """`identities` are in canonical form, strongest first; `critical` is None when the source is silent."""

    name: str
    identities: tuple[Identity, ...]
    dns_name: str = ""
    domain: str = ""
    os_platform: str = ""
    os_family: OsFamily = OsFamily.UNKNOWN
    os_version: str = ""
    ips: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    health: str = ""
    onboarding: str = ""
    risk: str = ""
    critical: bool | None = None
    altered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxDoc:
    address: str
    identities: tuple[Identity, ...]
    upn: str = ""
    display_name: str = ""
    altered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceDoc:
    """`device` and `mailbox` are positions in the alert's own lists.

    `altered`: a text was changed on the way in, so a target made of it may not be the real one.
    """

    type: EvidenceType
    name: str
    facts: Facts
    verdict: Verdict = Verdict.UNKNOWN
    status: RemediationStatus = RemediationStatus.NONE
    status_details: str = ""
    device: int | None = None
    mailbox: int | None = None
    roles: tuple[str, ...] = ()
    origin: str = ""
    first_seen: datetime | None = None
    threats: tuple[str, ...] = ()
    altered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDoc:
    """`source_state` is what the source says of its own automation; it never decides about ours.

    `not_started` is set only where the source says that *we* shall not investigate (own format).
    """

    external_id: str
    title: str
    created: datetime
    incident_id: str = ""
    description: str = ""
    severity: Severity = Severity.UNKNOWN
    category: str = ""
    status: AlertStatus = AlertStatus.NEW
    detection_source: str = ""
    service_source: str = ""
    threat_family: str = ""
    first_activity: datetime | None = None
    last_activity: datetime | None = None
    techniques: tuple[str, ...] = ()
    not_started: NotStarted | None = None
    source_state: str = ""
    investigation_id: str = ""
    investigation_title: str = ""
    recommends_isolation: bool = False
    facts: Facts = field(default_factory=dict)
    devices: tuple[DeviceDoc, ...] = ()
    mailboxes: tuple[MailboxDoc, ...] = ()
    evidence: tuple[EvidenceDoc, ...] = ()
    altered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One item of input. `source` is the stable short name that external ids belong to."""

    source: str
    alerts: tuple[AlertDoc, ...]
    source_label: str = ""
