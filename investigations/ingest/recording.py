"""One document: its alerts, the investigations they belong to, and what was found."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions.enums import Area
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import SourceVerdicts
from investigations import lifecycle
from investigations.enums import ACTIVE_STATES, InvestigationState, NotStarted
from investigations.ingest import findings, owners
from investigations.ingest.columns import fitted
from investigations.ingest.findings import Owners, Stored
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.verdicts import apply_verdict_map
from investigations.models import Alert, Investigation

LOCK: Final = 0x0AC7_10CE_1247_A6E5
_CLOSED_FOR_GOOD: Final = (
    InvestigationState.FAILED,
    InvestigationState.TERMINATED_BY_USER,
    InvestigationState.TERMINATED_BY_THROTTLING,
)


class Result(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Recorded:
    """`evidence` is what planning has to look at: new, or changed."""

    result: Result
    alerts: tuple[int, ...]
    investigations: tuple[int, ...]
    evidence: tuple[int, ...]


def record_alerts(document: Document, *, by: Actor) -> Recorded:
    """Store the document inside the caller's transaction.

    Intake is one at a time, so that two reports of one new device don't both make it. Call it
    before locking any action: planning locks actions while it holds the intake lock.
    """
    with fence.decider():
        _take_turn()
        rules = SourceVerdicts.objects.filter(source=document.source).first()
        document = apply_verdict_map(document, rules.verdicts if rules else {})
        done = [_record(document.source, doc, by=by) for doc in document.alerts]
    results = {result for _, result, _ in done}
    order = (Result.CREATED, Result.UPDATED, Result.UNCHANGED)
    return Recorded(
        result=next(result for result in order if result in results),
        alerts=tuple(alert.pk for alert, _, _ in done),
        investigations=tuple(dict.fromkeys(a.investigation_id for a, _, _ in done if a.investigation_id)),
        evidence=tuple(dict.fromkeys(pk for _, _, stored in done for pk in stored.changed)),
    )


def _take_turn() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _record(source: str, doc: AlertDoc, *, by: Actor) -> tuple[Alert, Result, Stored]:
    digest = _digest(doc)
    alert = Alert.objects.filter(source=source, external_id=doc.external_id).first()
    if alert is not None and alert.digest == digest:
        return alert, Result.UNCHANGED, Stored()
    result = Result.CREATED if alert is None else Result.UPDATED
    found = Owners(owners.devices(doc.devices, source), owners.mailboxes(doc.mailboxes, source))
    alert = alert or Alert(source=source, external_id=doc.external_id)
    old_investigation = alert.investigation
    not_started = None if old_investigation else _not_started(doc, found)
    investigation = old_investigation or (None if not_started else _investigation(source, doc, found, by=by))
    _write(alert, doc, found, investigation=investigation, not_started=not_started, digest=digest)
    stored = Stored()
    if investigation:
        lifecycle.locked(investigation.pk)
        stored = findings.store(investigation.pk, alert, doc, found, by=by)
        _touch(investigation, doc, found)
    _tell(alert, result, doc, stored, by=by)
    return alert, result, stored


def _digest(doc: AlertDoc) -> str:
    text = json.dumps(asdict(doc), sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be part of a digest")


def _not_started(doc: AlertDoc, found: Owners) -> NotStarted | None:
    """Devices at level none are not investigated; mail is, whatever the levels (domain §4, assertion 3)."""
    if doc.not_started is not None:
        return doc.not_started
    levels = {_level(item.owner) for item in found.devices}
    about_mail = any(findings.area_of(item.type) == Area.EMAIL for item in doc.evidence)
    return NotStarted.LEVEL_NONE if levels == {AutomationLevel.NONE} and not about_mail else None


def _level(device: Any) -> AutomationLevel:
    return AutomationLevel(device.group.level)


def _investigation(source: str, doc: AlertDoc, found: Owners, *, by: Actor) -> Investigation:
    return _by_id(source, doc) or _by_device(doc, found) or _open(source, doc, found, by=by)


def _by_id(source: str, doc: AlertDoc) -> Investigation | None:
    """The source says what belongs together; what was stopped for good is not opened again."""
    wanted = Q(pk__in=[])
    if doc.investigation_id:
        wanted |= Q(external_id=doc.investigation_id)
    if doc.incident_id:
        wanted |= Q(alerts__incident_id=doc.incident_id, alerts__source=source)
    rows = Investigation.objects.filter(wanted, source=source).exclude(state__in=_CLOSED_FOR_GOOD)
    return rows.order_by("-pk").first()


def _by_device(doc: AlertDoc, found: Owners) -> Investigation | None:
    """An alert that names no incident joins what is running on its device (domain §5.1)."""
    if doc.investigation_id or doc.incident_id or not found.devices:
        return None
    devices = [item.owner.pk for item in found.devices]
    running = Investigation.objects.filter(devices__in=devices, state__in=sorted(ACTIVE_STATES))
    return running.order_by("pk").first()


def _open(source: str, doc: AlertDoc, found: Owners, *, by: Actor) -> Investigation:
    group = found.devices[0].owner.group if found.devices else None
    area = Area.EMAIL if not found.devices and _about_mail(doc) else Area.DEVICE
    external_id = doc.investigation_id or doc.incident_id
    if external_id and Investigation.objects.filter(source=source, external_id=external_id).exists():
        external_id = ""
    investigation = Investigation.objects.create(
        source=source,
        external_id=external_id,
        severity=int(doc.severity),
        area=int(area),
        group=group,
        state=int(InvestigationState.RUNNING),
        **fitted(
            Investigation,
            {
                "title": doc.investigation_title or doc.title,
                "category": doc.category,
                "detection_source": doc.service_source or doc.detection_source,
                "group_name": group.name if group else "",
            },
        ),
    )
    log.record(
        Kind.INVESTIGATION_OPENED,
        by=by,
        subject=f"investigation:{investigation.pk}",
        subject_name=investigation.title[:300],
        after={"state": InvestigationState.RUNNING.name},
        detail={"source": source, "external_id": external_id},
        area=int(area),
        group_id=group.pk if group else None,
    )
    return investigation


def _about_mail(doc: AlertDoc) -> bool:
    return bool(doc.mailboxes) or any(findings.area_of(item.type) == Area.EMAIL for item in doc.evidence)


def _write(
    alert: Alert,
    doc: AlertDoc,
    found: Owners,
    *,
    investigation: Investigation | None,
    not_started: NotStarted | None,
    digest: str,
) -> None:
    values = {
        "incident_id": doc.incident_id,
        "title": doc.title,
        "description": doc.description,
        "severity": int(doc.severity),
        "category": doc.category,
        "status": int(doc.status),
        "service_source": doc.service_source,
        "detection_source": doc.detection_source,
        "threat_family": doc.threat_family,
        "techniques": list(doc.techniques),
        "facts": dict(doc.facts) | ({"source_state": doc.source_state} if doc.source_state else {}),
        "altered": _altered(doc),
        "first_activity": doc.first_activity,
        "last_activity": doc.last_activity,
        "raised_at": doc.created,
        "not_started": int(not_started) if not_started else None,
        "digest": digest,
    }
    for name, value in fitted(Alert, values).items():
        setattr(alert, name, value)
    alert.investigation = investigation
    alert.group = found.devices[0].owner.group if found.devices else None
    alert.area = int(Area.EMAIL if not found.devices and _about_mail(doc) else Area.DEVICE)
    alert.save()


def _altered(doc: AlertDoc) -> bool:
    parts = (doc.evidence, doc.devices, doc.mailboxes)
    return doc.altered or any(item.altered for part in parts for item in part)


def _touch(investigation: Investigation, doc: AlertDoc, found: Owners) -> None:
    investigation.devices.add(*{item.owner.pk for item in found.devices})
    Investigation.objects.filter(pk=investigation.pk).update(changed_at=Now())
    lifecycle.mark_dirty([investigation.pk])
    Investigation.objects.filter(pk=investigation.pk, severity__lt=int(doc.severity)).update(
        severity=int(doc.severity)
    )


def _tell(alert: Alert, result: Result, doc: AlertDoc, stored: Stored, *, by: Actor) -> None:
    detail = {
        "result": result.value,
        "source": alert.source,
        "external_id": alert.external_id,
        "evidence": len(doc.evidence),
        "new": len(stored.new),
        "changed": len(stored.changed) - len(stored.new),
    }
    if alert.not_started:
        detail["not_started"] = NotStarted(alert.not_started).name.lower()
    log.record(
        Kind.INGEST_CLEANED if alert.altered else Kind.INGEST_RECEIVED,
        by=by,
        subject=f"alert:{alert.pk}",
        subject_name=alert.title[:300],
        detail=detail,
        area=alert.area,
        group_id=alert.group_id,
    )
