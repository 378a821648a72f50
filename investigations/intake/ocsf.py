"""Findings of the Open Cybersecurity Schema Framework, classes 2001 to 2007 of versions 1.0 to 1.8.

OCSF has no verdict for a finding as a whole (an incident's says what a person concluded), only one
per evidence element; without it evidence is unknown and the source's verdict map decides.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from investigations.enums import AlertStatus, EvidenceType, Severity
from investigations.intake import words
from investigations.intake.building import Builder
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.entities import some
from investigations.intake.ocsf_objects import Context, Made, add, add_artefacts, device, file
from investigations.intake.ocsf_observables import add_observables
from investigations.intake.reading import Reader
from investigations.intake.text import DESCRIPTION_CAP, NAME_CAP, URL_CAP

SOURCE = "ocsf"
INCIDENT_FINDING, SECURITY_FINDING = 2005, 2001
CLASSES = range(2001, 2008)

_SEVERITIES: Mapping[int, Severity] = {
    1: Severity.INFORMATIONAL,
    2: Severity.LOW,
    3: Severity.MEDIUM,
    4: Severity.HIGH,
    5: Severity.CRITICAL,
    6: Severity.CRITICAL,
}
_STATUSES: Mapping[int, AlertStatus] = {
    1: AlertStatus.NEW,
    2: AlertStatus.ACTIVE,
    3: AlertStatus.RESOLVED,
    4: AlertStatus.RESOLVED,
    5: AlertStatus.RESOLVED,
    6: AlertStatus.RESOLVED,
}
_ON_HOLD = 3
_CLOSED = 3


def to_document(raw: Mapping[str, Any], source: str = "") -> Document:
    """Raises Rejected."""
    reader = Reader(raw)
    class_uid = reader.number("class_uid") or 0
    if class_uid not in CLASSES:
        raise reader.refuse("class_uid", f"must be a finding ({CLASSES[0]} to {CLASSES[-1]})")
    product = reader.child("metadata").child("product")
    infos = list(_infos(reader, class_uid))
    if not infos:
        raise reader.refuse("finding_info", "is required")
    incident = reader.child("metadata").ident("uid") if class_uid == INCIDENT_FINDING else ""
    alerts = tuple(_alert(reader, info, incident, first=info is infos[0]) for info in infos)
    label = " ".join(dict.fromkeys((product.text("vendor_name"), product.text("name")))).strip()
    return Document(source=source or _short(product) or SOURCE, source_label=label, alerts=alerts)


def _short(product: Reader) -> str:
    """A name for the source that stays the same: external ids are unique only within one product."""
    names = " ".join((product.text("vendor_name"), product.text("name")))
    return re.sub(r"[^a-z0-9]+", "-", names.lower()).strip("-")[:100]


def _infos(reader: Reader, class_uid: int) -> Iterator[Reader]:
    if class_uid == INCIDENT_FINDING:
        yield from reader.children("finding_info_list")
    elif info := reader.child("finding_info", "finding"):
        yield info


def when(reader: Reader, name: str) -> datetime | None:
    """Milliseconds since 1970, or text in the `_dt` twin of the date profile."""
    return reader.when(name, f"{name}_dt")


def _alert(reader: Reader, info: Reader, incident: str, *, first: bool) -> AlertDoc:
    reader, info = reader.fresh(), info.fresh()
    builder = Builder()
    if first:
        _collect(builder, reader)
    product = reader.child("metadata").child("product")
    return AlertDoc(
        external_id=info.ident("uid") or reader.child("metadata").required_ident("uid"),
        title=(info.text("title") or reader.text("message") or info.text("desc")) or _untitled(info),
        created=when(info, "created_time") or when(reader, "time") or reader.required_when("time"),
        incident_id=incident,
        description=info.text("desc", cap=DESCRIPTION_CAP) or reader.text("message", cap=DESCRIPTION_CAP),
        severity=_severity(reader),
        category=_category(reader, info),
        status=_status(reader),
        detection_source=product.text("name"),
        service_source=product.text("vendor_name") or product.text("name"),
        threat_family=next((text for item in reader.children("malware") if (text := item.text("name"))), ""),
        first_activity=when(info, "first_seen_time") or when(reader, "start_time"),
        last_activity=when(info, "last_seen_time") or when(reader, "end_time"),
        techniques=tuple(dict.fromkeys((*_techniques(info), *_techniques(reader)))),
        facts=_facts(reader, info),
        devices=tuple(builder.devices),
        mailboxes=tuple(builder.mailboxes),
        evidence=builder.evidence,
        altered=reader.altered or info.altered,
    )


def _untitled(info: Reader) -> str:
    raise info.refuse("title", "is required")


def _severity(reader: Reader) -> Severity:
    """Some producers send only the word, or a number of their own with it."""
    known = _SEVERITIES.get(reader.number("severity_id") or 0)
    return known or words.severity(reader.code("severity"))


def _status(reader: Reader) -> AlertStatus:
    """In 2001 `status` is the event's own and `state` the finding's; an incident's 3 is "on hold"."""
    class_uid = reader.number("class_uid")
    number = reader.number("state_id" if class_uid == SECURITY_FINDING else "status_id")
    if reader.number("activity_id") == _CLOSED:
        return AlertStatus.RESOLVED
    if class_uid == INCIDENT_FINDING and number == _ON_HOLD:
        return AlertStatus.ACTIVE
    word = reader.code("state" if class_uid == SECURITY_FINDING else "status")
    return _STATUSES.get(number or 0) or words.alert_status(word)


def _category(reader: Reader, info: Reader) -> str:
    kinds = (kind for item in reader.children("malware") for kind in item.texts("classifications"))
    tactics = (
        tactic for attack in info.children("attacks") if (tactic := attack.child("tactic").text("name"))
    )
    return next(iter((*tactics, *info.texts("types"), *kinds, reader.text("class_name"))), "")


def _techniques(reader: Reader) -> Iterator[str]:
    for attack in reader.children("attacks"):
        uid = attack.child("sub_technique").text("uid") or attack.child("technique").text("uid")
        if uid:
            yield uid


def _facts(reader: Reader, info: Reader) -> dict[str, Any]:
    return some(
        status=reader.text("status", cap=NAME_CAP),
        state=reader.text("state"),
        confidence=reader.text("confidence"),
        confidence_score=reader.text("confidence_score"),
        impact=reader.text("impact"),
        risk_level=reader.text("risk_level"),
        verdict=reader.text("verdict"),
        types=list(info.texts("types")),
        url=info.text("src_url", cap=URL_CAP) or reader.text("src_url", cap=URL_CAP),
        recommended_actions=_remediation(reader) or _remediation(info),
        analytic=(info.child("analytic") or reader.child("analytic")).text("name"),
        schema=reader.child("metadata").text("version"),
        account=reader.child("cloud").child("account").text("uid"),
        region=reader.child("cloud").text("region"),
    )


def _remediation(reader: Reader) -> str:
    return reader.child("remediation").text("desc", cap=DESCRIPTION_CAP)


def _collect(builder: Builder, reader: Reader) -> None:
    context = Context.of(reader)
    if host := reader.child("device").fresh():
        context = replace(context, device=device(builder, host, context))
    for item in reader.children("evidences"):
        add_artefacts(builder, item.fresh(), context)
    add_artefacts(builder, Reader({"process": reader.raw.get("process")}, reader.path), context)
    for item in reader.children("malware"):
        _add_malware(builder, item.fresh(), context)
    for item in (*reader.children("resources"), reader.child("resource")):
        if item:
            _add_resource(builder, item.fresh(), context)
    for item in reader.children("vulnerabilities"):
        _add_vulnerability(builder, item.fresh(), context)
    add_observables(builder, reader, context)


def _add_malware(builder: Builder, reader: Reader, context: Context) -> None:
    """Its files were identified as infected, so they are bad even without a verdict of their own."""
    files = list(reader.children("files"))
    if reader.raw.get("path") and not files:
        files = [Reader({"path": reader.raw["path"]}, reader.path, reader.changes)]
    names = tuple(filter(None, (reader.text("name"), *reader.texts("classifications"))))
    for item in files:
        add(builder, item, file(item), context, verdict=context.of_malware, threats=names)
    if not files and reader.text("name"):
        made = Made(
            EvidenceType.OTHER, f"malware {reader.text('name')}", {"kind": "malware", **reader.everything()}
        )
        add(builder, reader, made, context, threats=names)


def _add_resource(builder: Builder, reader: Reader, context: Context) -> None:
    """What has a host name or an address is a device; an account or a key is just something."""
    if reader.raw.get("hostname") or reader.raw.get("ip"):
        device(builder, reader, context)
        return
    uid, name, kind = reader.text("uid"), reader.text("name"), reader.text("type") or "resource"
    facts = {"kind": kind, **reader.everything("type", "data")}
    add(builder, reader, Made(EvidenceType.OTHER, f"{kind} {name or uid}", facts), context)


def _add_vulnerability(builder: Builder, reader: Reader, context: Context) -> None:
    name = reader.child("cve").text("uid") or reader.text("title") or "vulnerability"
    facts = {"kind": "vulnerability", "name": name} | some(
        title=reader.text("title"), severity=reader.text("severity"), vendor=reader.text("vendor_name")
    )
    add(builder, reader, Made(EvidenceType.OTHER, name, facts), context)
