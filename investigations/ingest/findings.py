"""Evidence and email clusters: one row per thing and investigation, its verdict followed over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Model
from django.db.models.functions import Now

from actioncenter.actions.enums import Area
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.enums import EvidenceType, RemediationStatus, Verdict
from investigations.ingest.columns import fitted
from investigations.ingest.owners import Found
from investigations.intake.documents import AlertDoc, EvidenceDoc
from investigations.intake.entities import evidence_key
from investigations.models import Alert, Device, EmailCluster, Evidence, EvidenceAlert, Mailbox
from investigations.models.messages import message_key

_T = EvidenceType
_S = RemediationStatus
MAIL: Final = frozenset(
    {
        _T.URL,
        _T.MAILBOX,
        _T.MAIL_MESSAGE,
        _T.MAIL_CLUSTER,
        _T.SUBMISSION,
        _T.ATTACHMENT,
        _T.FORWARDING,
        _T.DELEGATION,
    }
)
"""Decided by those who answer for email; the rest belongs to devices."""
OF_MESSAGES: Final = frozenset({_T.MAIL_MESSAGE, _T.SUBMISSION, _T.ATTACHMENT})
_OPEN: Final = frozenset({_S.NONE, _S.ACTIVE, _S.UNREMEDIATED})
"""What our own actions wrote is not overwritten by what a source says later."""


@dataclass(slots=True)
class Owners:
    devices: Sequence[Found[Device]] = ()
    mailboxes: Sequence[Found[Mailbox]] = ()


@dataclass(slots=True)
class Stored:
    """Primary keys; `changed` includes the new ones and those whose verdict or facts changed."""

    new: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)


def area_of(kind: EvidenceType) -> Area:
    return Area.EMAIL if kind in MAIL else Area.DEVICE


def store(investigation: int, alert: Alert, doc: AlertDoc, owners: Owners, *, by: Actor) -> Stored:
    """The caller holds the intake lock."""
    values = {}
    for told in doc.evidence:
        row = _values(doc, told, owners)
        values[row["key"]] = row | {"cluster": told} if told.type == _T.MAIL_CLUSTER else row
    there = {
        item.key: item
        for item in Evidence.objects.select_for_update(no_key=True)
        .filter(investigation_id=investigation, key__in=list(values))
        .order_by("pk")
    }
    stored = Stored()
    fresh = [_new(investigation, row) for key, row in values.items() if key not in there]
    Evidence.objects.bulk_create(fresh)
    alone = _told_by(alert, there.values())
    for key, item in there.items():
        if _revise(item, values[key], alone=item.pk in alone, by=by):
            stored.changed.append(item.pk)
    everything = [*fresh, *there.values()]
    EvidenceAlert.objects.bulk_create(
        [EvidenceAlert(evidence=item, alert=alert) for item in everything], ignore_conflicts=True
    )
    stored.new = [item.pk for item in fresh]
    stored.changed += stored.new
    return stored


def _values(doc: AlertDoc, item: EvidenceDoc, owners: Owners) -> dict[str, Any]:
    device = owners.devices[item.device] if item.device is not None else None
    mailbox = owners.mailboxes[item.mailbox] if item.mailbox is not None else None
    owner = f"d{device.owner.pk}" if device else f"m{mailbox.owner.pk}" if mailbox else ""
    area = area_of(item.type)
    found = device if area == Area.DEVICE else mailbox
    return fitted(
        Evidence,
        {
            "key": evidence_key(item.type, item.facts, owner),
            "type": int(item.type),
            "name": item.name,
            "verdict": int(item.verdict),
            "remediation": int(item.status),
            "remediation_note": item.status_details,
            "device": device.owner if device else None,
            "mailbox": mailbox.owner if mailbox else None,
            "path": str(item.facts.get("path", "")),
            "sha256": str(item.facts.get("sha256", "")),
            "message_key": message_key(item.facts) if item.type in OF_MESSAGES else "",
            "facts": dict(item.facts),
            "roles": list(item.roles),
            "threats": list(item.threats),
            "detection_origin": item.origin or doc.detection_source,
            "recommends_isolation": doc.recommends_isolation and device is not None,
            "altered": item.altered,
            "identity_confidence": found.confidence if found else 100,
            "area": int(area),
            "group": device.owner.group if device and area == Area.DEVICE else None,
            "first_seen": item.first_seen or doc.first_activity or doc.created,
        },
    )


def _new(investigation: int, values: dict[str, Any]) -> Evidence:
    values = dict(values)
    item = values.pop("cluster", None)
    cluster = _cluster(investigation, item) if item else None
    return Evidence(investigation_id=investigation, cluster=cluster, **values)


def _cluster(investigation: int, item: EvidenceDoc) -> EmailCluster:
    facts = item.facts
    return EmailCluster.objects.create(
        investigation_id=investigation,
        frozen_count=_size(facts),
        counts=dict(facts.get("counts", {})),
        members=_members(facts),
        query_time=facts.get("query_time"),
        **fitted(
            EmailCluster,
            {
                "name": str(facts.get("name") or item.name),
                "cluster_by": str(facts.get("cluster_by", "")),
                "query": str(facts.get("query", "")),
            },
        ),
    )


def _members(facts: Mapping[str, Any]) -> list[Any]:
    """Some sources name the mailboxes, some only the messages."""
    return list(facts.get("members") or [{"message_id": text} for text in facts.get("message_ids", ())])


def _size(facts: Mapping[str, Any]) -> int:
    return min(int(facts.get("email_count") or len(_members(facts))), 2**31 - 1)


def _told_by(alert: Alert, items: Any) -> set[int]:
    """Evidence that no other alert speaks of: only there may a source take its own word back."""
    links = EvidenceAlert.objects.filter(evidence__in=[item.pk for item in items])
    others = set(links.exclude(alert=alert).values_list("evidence_id", flat=True))
    return {item.pk for item in items} - others


def _revise(item: Evidence, values: Mapping[str, Any], *, alone: bool, by: Actor) -> bool:
    """Bring the row up to what the source says now; returns whether anything changed."""
    old = Verdict(item.verdict)
    told = Verdict(values["verdict"])
    verdict = told if alone and told != Verdict.UNKNOWN else max(old, told)
    news: dict[str, Any] = {
        "verdict": int(verdict),
        "facts": {**item.facts, **values["facts"]},
        "roles": list(dict.fromkeys([*item.roles, *values["roles"]])),
        "threats": list(dict.fromkeys([*item.threats, *values["threats"]])),
        "altered": item.altered or values["altered"],
        "recommends_isolation": item.recommends_isolation or values["recommends_isolation"],
        "path": item.path or values["path"],
        "sha256": item.sha256 or values["sha256"],
        "message_key": item.message_key or values["message_key"],
        "identity_confidence": max(item.identity_confidence, values["identity_confidence"]),
    }
    if item.remediation in _OPEN and values["remediation"] != _S.NONE:
        news |= {"remediation": values["remediation"], "remediation_note": values["remediation_note"]}
    changed = _save(item, news)
    if item.cluster_id and "cluster" in values:
        _recount(item.cluster_id, values["cluster"].facts)
    if verdict != old:
        _tell(item, old, verdict, by=by)
    return changed


def _save(item: Model, news: Mapping[str, Any]) -> bool:
    changed = {name: value for name, value in news.items() if getattr(item, name) != value}
    if changed:
        type(item)._default_manager.filter(pk=item.pk).update(changed_at=Now(), **changed)
    return bool(changed)


def _recount(cluster: int, facts: Mapping[str, Any]) -> None:
    """The first count stays as it was when the investigation began (domain §2.3)."""
    rows = EmailCluster.objects.filter(pk=cluster).exclude(frozen_count=_size(facts))
    rows.update(live_count=_size(facts), live_at=Now())


def _tell(item: Evidence, old: Verdict, new: Verdict, *, by: Actor) -> None:
    log.record(
        Kind.VERDICT_SET,
        by=by,
        subject=f"evidence:{item.pk}",
        subject_name=item.name[:300],
        before={"verdict": old.name},
        after={"verdict": new.name},
        area=item.area,
        group_id=item.group_id,
        stream=f"investigation:{item.investigation_id}",
    )
