"""Microsoft Graph security alerts (`alerts_v2`), alone or inside an incident with its alerts expanded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from investigations.enums import EvidenceType, RemediationStatus
from investigations.intake import microsoft, words
from investigations.intake.building import Builder
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.entities import hash_of, registry_facts, registry_name, some, text_path
from investigations.intake.identities import address
from investigations.intake.reading import Reader
from investigations.intake.text import DESCRIPTION_CAP, FREE_CAP, PATH_CAP, SUBJECT_CAP, URL_CAP

SOURCE, LABEL = "microsoft-graph", "Microsoft Graph security"

_COMMON = ("@odata.type", "createdDateTime", "verdict", "remediationStatus", "remediationStatusDetails",
           "roles", "detailedRoles", "tags")  # fmt: skip
_T = EvidenceType


@dataclass(frozen=True, slots=True)
class Found:
    """One evidence object read by its type; `mailbox` holds what names its mailbox."""

    kind: EvidenceType
    name: str
    facts: dict[str, Any]
    mailbox: Mapping[str, str] = field(default_factory=dict)
    threats: tuple[str, ...] = ()


def to_document(raw: Mapping[str, Any], source: str = "") -> Document:
    """Raises Rejected."""
    reader = Reader(raw)
    if "alerts" in raw and "evidence" not in raw:
        incident = reader.ident("id")
        alerts = tuple(_alert(alert, incident) for alert in reader.children("alerts"))
        if not alerts:
            raise reader.refuse("alerts", "an incident needs its alerts; ask the source to expand them")
    else:
        alerts = (_alert(reader, ""),)
    return Document(source=source or SOURCE, source_label=LABEL, alerts=alerts)


def _alert(reader: Reader, incident: str) -> AlertDoc:
    reader = reader.fresh()
    builder = Builder()
    evidence = list(reader.children("evidence"))
    for item in evidence:
        if _type(item) == "device":
            microsoft.device(builder, item)
    for item in evidence:
        _add(builder, item.fresh())
    return AlertDoc(
        external_id=reader.required_ident("id"),
        title=reader.required("title"),
        created=reader.required_when("createdDateTime"),
        incident_id=reader.ident("incidentId") or incident,
        description=reader.text("description", cap=DESCRIPTION_CAP),
        severity=words.severity(reader.code("severity")),
        category=reader.text("category"),
        status=words.alert_status(reader.code("status")),
        detection_source=microsoft.stated(reader, "detectionSource"),
        service_source=microsoft.service(reader, "serviceSource"),
        threat_family=reader.text("threatFamilyName"),
        first_activity=reader.when("firstActivityDateTime"),
        last_activity=reader.when("lastActivityDateTime"),
        techniques=reader.texts("mitreTechniques"),
        source_state=microsoft.stated(reader, "investigationState"),
        facts=_facts(reader),
        devices=tuple(builder.devices),
        mailboxes=tuple(builder.mailboxes),
        evidence=builder.evidence,
        altered=reader.altered,
    )


def _facts(reader: Reader) -> dict[str, Any]:
    return some(
        classification=microsoft.stated(reader, "classification"),
        determination=microsoft.stated(reader, "determination"),
        assigned_to=reader.text("assignedTo"),
        actor=reader.text("actorDisplayName"),
        threat=reader.text("threatDisplayName"),
        url=reader.text("alertWebUrl", cap=URL_CAP),
        recommended_actions=reader.text("recommendedActions", cap=DESCRIPTION_CAP),
        tags=list(reader.texts("systemTags")),
    )


def _type(reader: Reader) -> str:
    name = reader.text("@odata.type").rpartition(".")[2]
    return name.removesuffix("Evidence")


def _add(builder: Builder, reader: Reader) -> None:
    found = _READERS.get(_type(reader).lower(), _other)(reader)
    mailbox = builder.mailbox(**found.mailbox) if found.mailbox else None
    named = {"device"} if found.kind == _T.DEVICE else {"mdeDeviceId"} & reader.raw.keys()
    device = builder.device(microsoft.claims(reader), altered=False) if named else None
    builder.add(
        found.kind, found.name, found.facts,
        device=device,
        mailbox=mailbox,
        verdict=words.verdict(reader.code("verdict")),
        status=_status(reader),
        status_details=reader.text("remediationStatusDetails"),
        roles=(*reader.texts("roles"), *reader.texts("detailedRoles")),
        first_seen=reader.when("firstSeenDateTime", "createdDateTime"),
        threats=found.threats,
        altered=reader.altered,
    )  # fmt: skip


def _status(reader: Reader) -> RemediationStatus:
    """A sensor that stopped the threat at once reports it only as detection status."""
    status = words.status(reader.code("remediationStatus"))
    detected = words.status(reader.code("detectionStatus"))
    stopped = {RemediationStatus.BLOCKED, RemediationStatus.PREVENTED}
    return detected if status == RemediationStatus.NONE and detected in stopped else status


def _device(reader: Reader) -> Found:
    return Found(_T.DEVICE, reader.text("hostName", "deviceDnsName"), some(logged_on=_logged_on(reader)))


def _logged_on(reader: Reader) -> list[str]:
    users = (microsoft.user_name(microsoft.user_facts(user)) for user in reader.children("loggedOnUsers"))
    return [user for user in users if user]


def _file(reader: Reader) -> Found:
    facts = microsoft.file_details(reader.child("fileDetails"))
    return Found(_T.FILE, facts.get("file_name", ""), facts | some(detection=reader.text("detectionStatus")))


def _file_hash(reader: Reader) -> Found:
    algorithm = reader.code("algorithm")
    value = hash_of(reader.text("value"), algorithm) if algorithm in {"md5", "sha1", "sha256"} else ""
    if not value:
        return _other(reader)
    return Found(_T.FILE, value, {algorithm: value})


def _process(reader: Reader) -> Found:
    parent = microsoft.file_details(reader.child("parentProcessImageFile"))
    facts = microsoft.file_details(reader.child("imageFile")) | some(
        pid=reader.number("processId"),
        command_line=reader.text("processCommandLine", cap=FREE_CAP),
        created=reader.iso("processCreationDateTime"),
        parent_pid=reader.number("parentProcessId"),
        parent_created=reader.iso("parentProcessCreationDateTime"),
        parent_path=parent.get("path") or parent.get("file_name"),
        account=microsoft.user_name(microsoft.user_facts(reader.child("userAccount"))),
        detection=reader.text("detectionStatus"),
    )
    return Found(_T.PROCESS, facts.get("file_name") or facts.get("command_line", ""), facts)


def _registry(reader: Reader) -> Found:
    facts = registry_facts(
        text_path(reader, "registryKey"),
        reader.text("registryHive"),
        value_name=reader.text("registryValueName", cap=PATH_CAP),
        value=reader.text("registryValue", cap=FREE_CAP),
        value_type=reader.text("registryValueType"),
    )
    return Found(_T.REGISTRY, registry_name(facts), facts)


def _ip(reader: Reader) -> Found:
    ip = address(reader.text("ipAddress")) or reader.text("ipAddress")
    return Found(_T.IP, ip, some(ip=ip, country=reader.text("countryLetterCode")))


def _url(reader: Reader) -> Found:
    url = reader.text("url", cap=URL_CAP)
    return Found(_T.URL, url, some(url=url))


def _user(reader: Reader) -> Found:
    facts = microsoft.user_facts(reader.child("userAccount"))
    return Found(_T.USER, microsoft.user_name(facts), facts)


def _owner(address: str, upn: str = "", guid: str = "", name: str = "") -> Mapping[str, str]:
    return some(address=address, upn=upn, guid=guid, display_name=name) | {"address": address}


def _mailbox(reader: Reader) -> Found:
    name, upn = reader.text("displayName"), reader.text("upn")
    mail = reader.text("primaryAddress") or upn
    return Found(
        _T.MAILBOX, mail, some(address=mail, upn=upn, display_name=name), _owner(mail, upn, name=name)
    )


def _sender(reader: Reader) -> str:
    """P2 is the sender people see, P1 the one of the envelope."""
    return reader.child("p2Sender").text("emailAddress") or reader.child("p1Sender").text("emailAddress")


def _message(reader: Reader) -> Found:
    recipient = reader.text("recipientEmailAddress")
    subject = reader.text("subject", cap=SUBJECT_CAP)
    facts = some(
        message_id=reader.text("networkMessageId"),
        internet_message_id=reader.text("internetMessageId", cap=SUBJECT_CAP),
        sender=_sender(reader),
        envelope_sender=reader.child("p1Sender").text("emailAddress"),
        recipient=recipient,
        subject=subject,
        received=reader.iso("receivedDateTime"),
        sender_ip=reader.text("senderIp"),
        direction=reader.text("antiSpamDirection"),
        delivery_action=reader.text("deliveryAction"),
        delivery_location=reader.text("deliveryLocation"),
        urls=list(reader.texts("urls", cap=URL_CAP)),
        attachment_count=reader.number("attachmentsCount"),
        detected_by=list(reader.texts("threatDetectionMethods")),
    )
    return Found(_T.MAIL_MESSAGE, subject, facts, _owner(recipient), reader.texts("threats"))


def _cluster(reader: Reader) -> Found:
    by, value = reader.text("clusterBy"), reader.text("clusterByValue", cap=FREE_CAP)
    facts = some(
        cluster_id=reader.text("urn"),
        cluster_by=by,
        cluster_value=value,
        query=reader.text("query", cap=FREE_CAP),
        email_count=reader.number("emailCount"),
        message_ids=list(reader.texts("networkMessageIds")),
    )
    return Found(_T.MAIL_CLUSTER, value or by, facts)


def _submission(reader: Reader) -> Found:
    subject, recipient = reader.text("subject", cap=SUBJECT_CAP), reader.text("recipient")
    facts = some(
        submission_id=reader.text("submissionId"),
        submitter=reader.text("submitter"),
        report_type=reader.text("reportType"),
        submitted=reader.iso("submissionDateTime"),
        message_id=reader.text("networkMessageId"),
        sender=reader.text("sender"),
        recipient=recipient,
        sender_ip=reader.text("senderIp"),
        subject=subject,
    )
    return Found(_T.SUBMISSION, subject, facts, _owner(recipient))


def _mailbox_rule(reader: Reader) -> Found:
    """A forwarding rule or a delegation; an inbox rule may do anything, so it isn't called forwarding."""
    kind = reader.code("configurationType")
    mail, upn = reader.text("mailboxPrimaryAddress"), reader.text("upn")
    owner = _owner(mail or upn, upn, reader.text("externalDirectoryObjectId"), reader.text("displayName"))
    facts = some(kind=reader.text("configurationType"), rule_id=reader.text("configurationId"))
    types = {"mailforwardingrule": _T.FORWARDING, "maildelegation": _T.DELEGATION}
    return Found(
        types.get(kind, _T.OTHER), f"{facts.get('kind', 'mailbox setting')} of {mail or upn}", facts, owner
    )


def _group(reader: Reader) -> Found:
    name = reader.text("displayName")
    facts = some(group_id=reader.text("securityGroupId"), name=name)
    return Found(_T.SECURITY_GROUP, name or facts.get("group_id", ""), facts)


def _other(reader: Reader) -> Found:
    kind = _type(reader) or "evidence"
    name = reader.text(*_NAMES, cap=PATH_CAP)
    return Found(_T.OTHER, f"{kind} {name}".strip(), {"kind": kind, **reader.everything(*_COMMON)})


_NAMES = ("displayName", "name", "hostName", "deviceName", "domainName", "resourceName", "resourceId", "appId",
          "sessionId", "value", "id", "macAddress")  # fmt: skip

_READERS: Mapping[str, Callable[[Reader], Found]] = {
    "device": _device,
    "file": _file,
    "filehash": _file_hash,
    "process": _process,
    "registrykey": _registry,
    "registryvalue": _registry,
    "ip": _ip,
    "url": _url,
    "user": _user,
    "mailbox": _mailbox,
    "analyzedmessage": _message,
    "mailcluster": _cluster,
    "submissionmail": _submission,
    "mailboxconfiguration": _mailbox_rule,
    "securitygroup": _group,
}
