"""The tables of an investigation's page: what was found and where, within somebody's scope."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from actioncenter.actions.enums import Area
from actioncenter.actions.queries import Viewer
from actioncenter.actions.words import EVIDENCE_KINDS, VERDICTS
from actioncenter.settings.access import devices_within, within
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel
from actioncenter.web.moments import iso, when
from actioncenter.web.text import defanged
from investigations import words
from investigations.enums import (
    AlertStatus,
    EvidenceType,
    IsolationState,
    RemediationStatus,
    Severity,
    Verdict,
)
from investigations.models import Alert, Device, Evidence, Investigation, Mailbox
from investigations.views.timeline import thing_url

Row = dict[str, Any]
Table = list[Row]
LIMIT: Final = 500
"""Rows of a table; the page says how many there are."""


@dataclass(frozen=True)
class Part:
    """One investigation as one person sees it: an investigation may span groups that person doesn't see."""

    investigation: Investigation
    viewer: Viewer

    @cached_property
    def evidence(self) -> QuerySet[Evidence]:
        return within(Evidence.objects.filter(investigation=self.investigation), self.viewer.scope)

    @cached_property
    def alerts(self) -> QuerySet[Alert]:
        return within(Alert.objects.filter(investigation=self.investigation), self.viewer.scope)

    @cached_property
    def devices(self) -> QuerySet[Device]:
        in_evidence = self.evidence.filter(device__isnull=False).values("device")
        rows = Device.objects.filter(
            Q(pk__in=in_evidence) | Q(pk__in=self.investigation.devices.values("pk"))
        )
        return devices_within(rows, self.viewer.scope)

    @cached_property
    def mailboxes(self) -> QuerySet[Mailbox]:
        return Mailbox.objects.filter(pk__in=self.evidence.filter(mailbox__isnull=False).values("mailbox"))


def counts(part: Part) -> dict[str, int]:
    """Rows of each table, by tab."""
    found = part.evidence.aggregate(all=Count("pk"), users=Count("pk", filter=Q(type=EvidenceType.USER)))
    return {
        "alerts": part.alerts.count(),
        "devices": part.devices.count(),
        "mailboxes": part.mailboxes.count(),
        "users": found["users"],
        "evidence": found["all"],
        "entities": part.evidence.values("type").distinct().count(),
    }


def alerts(part: Part) -> Table:
    rows = part.alerts.order_by("-raised_at", "-pk")[:LIMIT]
    return [_alert(alert, part) for alert in rows]


def _alert(alert: Alert, part: Part) -> Row:
    code, label = words.SEVERITIES[Severity(alert.severity)]
    at = alert.raised_at or alert.created_at
    return {
        "title": alert.title,
        "severity_code": code,
        "severity_label": label,
        "category": alert.category,
        "source": alert.detection_source or alert.service_source or alert.source,
        "at": when(at, part.viewer.now),
        "at_iso": iso(at),
        "status": words.ALERTS[AlertStatus(alert.status)],
        "techniques": ", ".join(map(str, alert.techniques)),
    }


def devices(part: Part) -> Table:
    people: dict[int, list[str]] = defaultdict(list)
    seen = part.evidence.filter(type=EvidenceType.USER, device__isnull=False).order_by("pk")
    for device_id, name in seen.values_list("device_id", "name")[:LIMIT]:
        people[device_id].append(name)
    rows = part.devices.select_related("group").order_by("-critical", "name", "pk")[:LIMIT]
    return [_device(device, people[device.pk]) for device in rows]


def _device(device: Device, people: list[str]) -> Row:
    group = device.group
    states = [
        words.ISOLATIONS[IsolationState(device.isolation)],
        "Restricted" if device.execution_restricted else "",
        "Contained" if device.contained else "",
        "Offboarded" if device.offboarded else "",
    ]
    return {
        "name": device.name,
        "url": reverse("investigations:device", args=[device.pk]),
        "group": group.name if group else "",
        "level_code": group.level if group else None,
        "level_label": LEVEL_LABELS[AutomationLevel(group.level)] if group else "",
        "os": " ".join(part for part in (device.os_platform, device.os_version) if part),
        "ip": str(device.ip_addresses[0]) if device.ip_addresses else "",
        "users": ", ".join(people),
        "critical": device.critical or bool(group and group.critical),
        "state": ", ".join(state for state in states if state),
    }


def mailboxes(part: Part) -> Table:
    return [
        {
            "address": mailbox.address,
            "url": _mailbox_url(mailbox.pk, part),
            "name": mailbox.display_name,
            "critical": mailbox.critical,
            "state": "",
        }
        for mailbox in part.mailboxes.order_by("-critical", "address", "pk")[:LIMIT]
    ]


def _mailbox_url(number: int | None, part: Part) -> str:
    """Who sees no mail sees where it was found all the same, without a way there."""
    seen = number and Area.EMAIL in part.viewer.scope.areas
    return reverse("investigations:mailbox", args=[number]) if seen else ""


def users(part: Part) -> Table:
    rows = part.evidence.filter(type=EvidenceType.USER).order_by("-verdict", "name", "pk")[:LIMIT]
    return [
        {
            "name": item.facts.get("display_name") or item.facts.get("account") or item.name,
            "upn": item.facts.get("upn", ""),
            "domain": item.facts.get("domain", ""),
            "risk": VERDICTS[Verdict(item.verdict)][1],
        }
        for item in rows
    ]


def evidence(part: Part) -> Table:
    rows = part.evidence.select_related("device", "mailbox").order_by("-verdict", "pk")[:LIMIT]
    return [_evidence(item, part) for item in rows]


def _evidence(item: Evidence, part: Part) -> Row:
    kind = EvidenceType(item.type)
    verdict, verdict_label = VERDICTS[Verdict(item.verdict)]
    status, status_label = words.REMEDIATIONS[RemediationStatus(item.remediation)]
    seen = item.first_seen or item.created_at
    return {
        "icon": words.ICONS[kind],
        "name": defanged(item.name) if kind == EvidenceType.URL else item.name,
        "url": thing_url(item),
        "detail": _detail(item, kind),
        "verdict": verdict,
        "verdict_label": verdict_label,
        "remediation_code": status,
        "remediation_label": status_label,
        "on": _place(item),
        "on_url": reverse("investigations:device", args=[item.device_id])
        if item.device_id
        else _mailbox_url(item.mailbox_id, part),
        "origin": item.detection_origin,
        "first_seen": when(seen, part.viewer.now),
        "first_seen_iso": iso(seen),
        "altered": item.altered,
    }


def _place(item: Evidence) -> str:
    if item.device:
        return item.device.name
    return item.mailbox.address if item.mailbox else ""


def _detail(item: Evidence, kind: EvidenceType) -> str:
    """What tells it from others of its kind, after the kind itself."""
    facts = item.facts
    told = item.path or str(facts.get("command_line") or facts.get("sender") or facts.get("value") or "")
    if kind == EvidenceType.MAIL_CLUSTER and facts.get("email_count") is not None:
        told = f"{facts['email_count']} messages"
    label = EVIDENCE_KINDS[kind]
    return f"{label}, {told}" if told and told != item.name else label


def entities(part: Part) -> Table:
    numbers: dict[int, dict[int, int]] = defaultdict(dict)
    for kind, verdict, count in part.evidence.order_by().values_list("type", "verdict").annotate(Count("pk")):
        numbers[kind][verdict] = count
    return [
        {
            "kind_label": EVIDENCE_KINDS[EvidenceType(kind)],
            "count": sum(found.values()),
            "malicious": found.get(Verdict.MALICIOUS, 0),
            "suspicious": found.get(Verdict.SUSPICIOUS, 0),
            "clean": found.get(Verdict.NO_THREATS_FOUND, 0),
            "unknown": found.get(Verdict.UNKNOWN, 0),
        }
        for kind, found in sorted(numbers.items())
    ]
