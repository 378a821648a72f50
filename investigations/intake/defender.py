"""Incidents of the Microsoft Defender XDR API, with alerts, their devices and flat entities.

`investigationState` tells what their automation did or why it didn't; it says nothing about ours.
"""

from collections.abc import Callable, Mapping
from typing import Any

from investigations.enums import EvidenceType
from investigations.intake import microsoft, words
from investigations.intake.building import Builder
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.entities import registry_facts, registry_name, some, text_path
from investigations.intake.identities import address
from investigations.intake.reading import Reader
from investigations.intake.text import DESCRIPTION_CAP, FREE_CAP, SUBJECT_CAP, URL_CAP

SOURCE, LABEL = "microsoft-defender", "Microsoft Defender XDR"

_T = EvidenceType
Made = tuple[EvidenceType, str, dict[str, Any]]


def to_document(raw: Mapping[str, Any], source: str = "") -> Document:
    """Raises Rejected."""
    reader = Reader(raw)
    if "alerts" in raw:
        alerts = tuple(_alert(alert, reader) for alert in reader.children("alerts"))
    else:
        alerts = (_alert(reader, reader),)
    if not alerts:
        raise reader.refuse("alerts", "an incident needs at least one alert")
    return Document(source=source or SOURCE, source_label=LABEL, alerts=alerts)


def _alert(reader: Reader, incident: Reader) -> AlertDoc:
    reader = reader.fresh()
    builder = Builder()
    for device in reader.children("devices"):
        microsoft.device(builder, device)
    for entity in reader.children("entities"):
        _add(builder, entity.fresh())
    investigation = reader.text("investigationId")
    return AlertDoc(
        external_id=reader.required_ident("alertId"),
        title=reader.required("title"),
        created=reader.when("creationTime") or incident.required_when("createdTime"),
        incident_id=incident.ident("redirectIncidentId")
        or reader.ident("incidentId")
        or incident.ident("incidentId"),
        description=reader.text("description", cap=DESCRIPTION_CAP),
        severity=words.severity(reader.code("severity")),
        category=reader.text("category"),
        status=words.alert_status(reader.code("status")),
        detection_source=reader.text("detectionSource"),
        service_source=microsoft.service(reader, "serviceSource"),
        threat_family=reader.text("threatFamilyName"),
        first_activity=reader.when("firstActivity"),
        last_activity=reader.when("lastActivity"),
        techniques=reader.texts("mitreTechniques"),
        source_state=microsoft.stated(reader, "investigationState"),
        investigation_title=incident.text("incidentName"),
        facts=_facts(reader, incident) | some(source_investigation=investigation),
        devices=tuple(builder.devices),
        mailboxes=tuple(builder.mailboxes),
        evidence=builder.evidence,
        altered=reader.altered,
    )


def _facts(reader: Reader, incident: Reader) -> dict[str, Any]:
    return some(
        incident_name=incident.text("incidentName"),
        classification=microsoft.stated(reader, "classification"),
        determination=microsoft.stated(reader, "determination"),
        assigned_to=reader.text("assignedTo"),
        actor=reader.text("actorName"),
        tags=list(incident.texts("tags")),
    )


def _add(builder: Builder, reader: Reader) -> None:
    kind, name, facts = _READERS.get(reader.code("entityType"), _other)(reader)
    mailbox = None
    if kind == _T.MAILBOX:
        mailbox = builder.mailbox(
            facts.get("address", ""), upn=facts.get("upn", ""), display_name=facts.get("display_name", "")
        )
    elif kind == _T.MAIL_MESSAGE:
        # Its user principal name repeats the recipient's address.
        mailbox = builder.mailbox(facts.get("recipient", ""))
    builder.add(
        kind, name, facts,
        device=builder.device(microsoft.claims(reader)) if reader.text("deviceId") else None,
        mailbox=mailbox,
        verdict=words.verdict(reader.code("verdict")),
        status=words.status(reader.code("remediationStatus")),
        status_details=reader.text("remediationStatusDetails"),
        first_seen=reader.when("evidenceCreationTime"),
        altered=reader.altered,
    )  # fmt: skip


def _file(reader: Reader) -> Made:
    facts = microsoft.file_details(reader)
    return _T.FILE, facts.get("file_name", ""), facts


def _process(reader: Reader) -> Made:
    facts = microsoft.file_details(reader) | some(
        pid=reader.number("processId"),
        command_line=reader.text("processCommandLine", cap=FREE_CAP),
        created=reader.iso("processCreationTime"),
        parent_pid=reader.number("parentProcessId"),
        parent_created=reader.iso("parentProcessCreationTime"),
        account=microsoft.user_name(microsoft.user_facts(reader)),
    )
    return _T.PROCESS, facts.get("file_name") or facts.get("command_line", ""), facts


def _registry(reader: Reader) -> Made:
    facts = registry_facts(
        text_path(reader, "registryKey"),
        reader.text("registryHive"),
        value_name=reader.text("registryValueName"),
        value=reader.text("registryValue", cap=FREE_CAP),
        value_type=reader.text("registryValueType"),
    )
    return _T.REGISTRY, registry_name(facts), facts


def _ip(reader: Reader) -> Made:
    ip = address(reader.text("ipAddress")) or reader.text("ipAddress")
    return _T.IP, ip, some(ip=ip)


def _url(reader: Reader) -> Made:
    url = reader.text("url", cap=URL_CAP)
    return _T.URL, url, some(url=url)


def _user(reader: Reader) -> Made:
    facts = microsoft.user_facts(reader)
    return _T.USER, microsoft.user_name(facts), facts


def _mailbox(reader: Reader) -> Made:
    upn = reader.text("userPrincipalName")
    mail = reader.text("mailboxAddress") or upn
    return _T.MAILBOX, mail, some(address=mail, upn=upn, display_name=reader.text("mailboxDisplayName"))


def _message(reader: Reader) -> Made:
    subject = reader.text("subject", cap=SUBJECT_CAP)
    facts = some(
        message_id=reader.text("networkMessageId"),
        internet_message_id=reader.text("internetMessageId", cap=SUBJECT_CAP),
        sender=reader.text("sender"),
        recipient=reader.text("recipient") or reader.text("mailboxAddress", "userPrincipalName"),
        subject=subject,
        received=reader.iso("receivedDate", "receivedDateTime"),
        delivery_action=reader.text("deliveryAction"),
    )
    return _T.MAIL_MESSAGE, subject, facts


def _cluster(reader: Reader) -> Made:
    by = reader.text("clusterBy")
    facts = some(
        cluster_by=by,
        cluster_value=reader.text("clusterByValue", cap=FREE_CAP),
        query=reader.text("query", cap=FREE_CAP),
        email_count=reader.number("emailCount", "mailCount"),
    )
    return _T.MAIL_CLUSTER, by, facts


def _group(reader: Reader) -> Made:
    name = reader.text("securityGroupName")
    facts = some(group_id=reader.text("securityGroupId"), name=name)
    return _T.SECURITY_GROUP, name or facts.get("group_id", ""), facts


def _other(reader: Reader) -> Made:
    kind = reader.text("entityType") or "entity"
    name = reader.text("name", "displayName", "fileName", "url", "ipAddress", "accountName")
    return _T.OTHER, f"{kind} {name}".strip(), {"kind": kind, **reader.everything("entityType", "verdict")}


_READERS: Mapping[str, Callable[[Reader], Made]] = {
    "file": _file,
    "process": _process,
    "registry": _registry,
    "ip": _ip,
    "url": _url,
    "user": _user,
    "mailbox": _mailbox,
    "mailmessage": _message,
    "mailcluster": _cluster,
    "securitygroup": _group,
}
