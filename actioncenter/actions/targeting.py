"""From a piece of evidence to the thing an action touches: which entity, on what, known by what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, TargetKind
from actioncenter.actions.models import TargetDraft
from actioncenter.feeds import canonical
from investigations.enums import EvidenceType, OsFamily
from investigations.models import Device, Evidence, Mailbox

FILE_FACTS = ("path", "file_name", "sha256", "sha1", "md5", "size")
FACTS: Mapping[TargetKind, tuple[str, ...]] = {
    TargetKind.DEVICE: (),
    TargetKind.FILE: FILE_FACTS,
    TargetKind.PROCESS: (*FILE_FACTS, "pid", "created", "command_line", "parent_pid"),
    TargetKind.SERVICE: ("name", *FILE_FACTS),
    TargetKind.DRIVER: ("name", *FILE_FACTS),
    TargetKind.TASK: ("name", *FILE_FACTS, "command_line"),
    TargetKind.REGISTRY: ("hive", "key", "value_name", "value", "value_type"),
    TargetKind.URL: ("url",),
    TargetKind.MESSAGE: ("message_id", "internet_message_id", "sender", "recipient", "subject", "folder"),
    TargetKind.CLUSTER: (
        "cluster_id",
        "name",
        "cluster_by",
        "query",
        "messages",
        "count",
        "subject",
        "sender",
        "url",
        "attachment_sha256",
    ),
    TargetKind.ATTACHMENT: ("message_id", "internet_message_id", "file_name", "sha256", "sha1", "recipient"),
    TargetKind.MAILBOX: ("address", "rule_id", "rule_name", "kind", "delegate", "rights"),
    TargetKind.SENDER: ("sender",),
    TargetKind.INVESTIGATION: (),
}
TENANT_KINDS = frozenset({TargetKind.URL, TargetKind.CLUSTER, TargetKind.SENDER})
"""What belongs to no single device or mailbox: the tenant's connector carries it out."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a connector reaches the target; `instance_id` None means that none does."""

    instance_id: int | None = None
    instance_name: str = ""
    remote: str = ""
    simulated: bool = False


def target_kind(action: ActionType, evidence: Evidence) -> TargetKind:
    """The catalogue's kind, except that mail verbs take one message where the evidence is one."""
    if evidence.type == EvidenceType.MAIL_MESSAGE and CATALOGUE[action].kind == TargetKind.CLUSTER:
        return TargetKind.MESSAGE
    return CATALOGUE[action].kind


def draft(action: ActionType, evidence: Evidence, parameters: Mapping[str, Any], place: Place) -> TargetDraft:
    """The target of one action for one piece of evidence."""
    kind = target_kind(action, evidence)
    facts = dict(evidence.facts)
    tenant = kind in TENANT_KINDS
    mailbox = None if tenant or CATALOGUE[action].area == Area.DEVICE else evidence.mailbox
    device = None if tenant or mailbox else evidence.device
    if mailbox:
        facts.setdefault("address", mailbox.address)
    if device:
        facts["os_family"] = OsFamily(device.os_family).name.lower()
    facts.setdefault("folder", facts.get("delivery_location"))
    if kind == TargetKind.CLUSTER:
        facts["messages"] = facts.get("members") or facts.get("message_ids")
        facts["count"] = facts.get("email_count")
    return TargetDraft(
        kind=kind,
        name=_name(kind, evidence, facts, parameters),
        entity=_entity(kind, evidence, facts),
        on_name=_place_name(kind, evidence, facts, device, mailbox),
        device_id=device.pk if device else None,
        mailbox_id=mailbox.pk if mailbox else None,
        instance_id=place.instance_id,
        instance_name=place.instance_name,
        remote=place.remote,
        facts={
            name: facts[name] for name in (*FACTS[kind], "os_family") if facts.get(name) not in (None, "", [])
        },
    )


def of_device(device: Device, parameters: Mapping[str, Any], place: Place) -> TargetDraft:
    """The device itself, as evidence of it would name it."""
    isolation = parameters.get("isolation")
    return TargetDraft(
        kind=TargetKind.DEVICE,
        name=f"{isolation.capitalize()} isolation" if isolation else device.name,
        on_name=device.name,
        device_id=device.pk,
        instance_id=place.instance_id,
        instance_name=place.instance_name,
        remote=place.remote,
        facts={"os_family": OsFamily(device.os_family).name.lower()},
    )


def of_mailbox(mailbox: Mailbox, place: Place, facts: Mapping[str, Any] | None = None) -> TargetDraft:
    """The mailbox itself; `facts` narrow what of it is meant, such as one delegate."""
    told = {**(facts or {}), "address": mailbox.address}
    return TargetDraft(
        kind=TargetKind.MAILBOX,
        name=str(told.get("delegate") or mailbox.address)[:512],
        on_name=mailbox.address,
        mailbox_id=mailbox.pk,
        instance_id=place.instance_id,
        instance_name=place.instance_name,
        remote=place.remote,
        facts={name: told[name] for name in FACTS[TargetKind.MAILBOX] if told.get(name)},
    )


def file_entity(evidence: Evidence) -> str:
    """What identifies a file on its device."""
    return _entity(TargetKind.FILE, evidence, evidence.facts)


def names_of(target: TargetDraft) -> list[str]:
    """Everything that could identify a file on its device; nothing for other kinds."""
    if target.kind != TargetKind.FILE:
        return []
    return [str(target.facts[name]).lower() for name in ("sha256", "sha1", "path") if target.facts.get(name)]


def _entity(kind: TargetKind, evidence: Evidence, facts: Mapping[str, Any]) -> str:
    """What identifies it within its device, mailbox or tenant."""
    match kind:
        case TargetKind.DEVICE | TargetKind.MAILBOX:
            return ""
        case TargetKind.FILE:
            return str(facts.get("sha256") or facts.get("sha1") or facts.get("path") or "").lower()
        case TargetKind.PROCESS:
            return f"{facts.get('pid', '')}|{facts.get('created', '')}|{facts.get('path', '')}"
        case TargetKind.REGISTRY:
            return "\\".join(str(facts.get(part, "")) for part in ("hive", "key", "value_name")).lower()
        case TargetKind.URL:
            return _url(str(facts.get("url", "")))
        case TargetKind.MESSAGE:
            return _message(facts)
        case TargetKind.ATTACHMENT:
            return f"{_message(facts)}|{facts.get('sha256') or facts.get('file_name', '')}"
        case TargetKind.CLUSTER:
            return str(facts.get("cluster_id") or evidence.key)
        case _:
            return str(facts.get("name") or evidence.name).lower()


def _url(text: str) -> str:
    """However it is written, so that two spellings of one page are one target."""
    try:
        return canonical.read(text).expression
    except canonical.NotAnAddress:
        return text


def _message(facts: Mapping[str, Any]) -> str:
    return str(facts.get("message_id") or facts.get("internet_message_id") or "")


def _name(
    kind: TargetKind, evidence: Evidence, facts: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str:
    if kind == TargetKind.DEVICE:
        isolation = parameters.get("isolation")
        return f"{isolation.capitalize()} isolation" if isolation else evidence.name
    if kind == TargetKind.PROCESS:
        return str(facts.get("command_line") or evidence.name)
    if kind == TargetKind.FILE:
        path = str(facts.get("path") or evidence.name)
        return str(facts.get("file_name") or path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path)
    return evidence.name


def _place_name(
    kind: TargetKind, evidence: Evidence, facts: Mapping[str, Any], device: Any, mailbox: Any
) -> str:
    if device:
        return str(device.name)
    if mailbox:
        return str(mailbox.address)
    if kind == TargetKind.CLUSTER:
        boxes = {member.get("mailbox") for member in facts.get("members", []) if isinstance(member, dict)}
        count = len(boxes - {None})
        return f"{count} mailboxes" if count else ""
    return "Everyone" if kind in TENANT_KINDS else ""
