"""The product's own format, checked against its JSON Schema (docs/native-intake.schema.json)."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from investigations.enums import EvidenceType, Namespace, NotStarted, OsFamily
from investigations.intake import words
from investigations.intake.building import Builder
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.entities import HASHES, full_path, registry_facts, registry_name
from investigations.intake.errors import Rejected
from investigations.intake.identities import addresses
from investigations.intake.reading import Reader
from investigations.intake.text import DESCRIPTION_CAP, FREE_CAP, clean_text

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "native-intake.schema.json"
_LONGEST_REASON = 300


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return schema


@cache
def _frame() -> Draft202012Validator:
    """All but the facts, whose schema depends on the type: trying every type costs ten times as much."""
    schema = _schema()
    evidence = {name: value for name, value in schema["$defs"]["evidence"].items() if name != "allOf"}
    return Draft202012Validator({**schema, "$defs": {**schema["$defs"], "evidence": evidence}})


@cache
def _of_type(kind: str) -> Draft202012Validator:
    """What the evidence of one type must hold beside the frame."""
    schema = _schema()
    branches = schema["$defs"]["evidence"]["allOf"]
    then = next(branch["then"] for branch in branches if branch["if"]["properties"]["type"]["const"] == kind)
    return Draft202012Validator({**then, "$defs": schema["$defs"]})


def to_document(raw: Mapping[str, Any], source: str = "") -> Document:
    """Raises Rejected, naming the field that breaks the schema."""
    _check(_frame(), raw, "")
    for number, alert in enumerate(raw["alerts"]):
        for index, item in enumerate(alert.get("evidence", ())):
            _check(_of_type(item["type"]), item, f"alerts[{number}].evidence[{index}]")
    reader = Reader(raw)
    origin = reader.child("source")
    alerts = tuple(_alert(alert) for alert in reader.children("alerts"))
    return Document(source=source or origin.text("name"), source_label=origin.text("label"), alerts=alerts)


def _check(validator: Draft202012Validator, value: Any, place: str) -> None:
    error = best_match(validator.iter_errors(value))
    if error is not None:
        raise Rejected(_path(error, place), _reason(error))


def _path(error: ValidationError, path: str) -> str:
    for part in error.absolute_path:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _reason(error: ValidationError) -> str:
    """Without the value, which may be ten megabytes long or hostile."""
    given: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
        case "maxLength":
            return f"has {len(given):,} characters, at most {wanted:,} are allowed"
        case "enum":
            return f"must be one of {', '.join(wanted)}"
        case "required":
            return f"needs {', '.join(name for name in wanted if name not in given)}"
        case "additionalProperties":
            return f"may not hold {_unknown(given, error.schema)}"
        case "type":
            return f"must be of type {wanted}"
        case "pattern":
            return f"must match {wanted}"
        case "const":
            return f"must be {wanted}"
    return f"breaks {error.validator} {wanted}"[:_LONGEST_REASON]


def _unknown(given: Any, schema: Any) -> str:
    names = sorted(set(given) - set(schema["properties"]))
    return clean_text(", ".join(names), _LONGEST_REASON).text


def _alert(reader: Reader) -> AlertDoc:
    reader = reader.fresh()
    builder = Builder()
    devices = _named(
        reader, "devices", ((item, _device(builder, item.fresh())) for item in reader.children("devices"))
    )
    mailboxes = _named(
        reader,
        "mailboxes",
        ((item, _mailbox(builder, item.fresh())) for item in reader.children("mailboxes")),
    )
    for item in reader.children("evidence"):
        _evidence(builder, item.fresh(), devices, mailboxes)
    investigation = reader.child("investigation")
    stopped = reader.text("not_started")
    return AlertDoc(
        external_id=reader.required_ident("id"),
        title=reader.required("title"),
        created=reader.required_when("created"),
        incident_id=reader.ident("incident"),
        description=reader.text("description", cap=DESCRIPTION_CAP),
        severity=words.severity(reader.code("severity")),
        category=reader.text("category"),
        status=words.alert_status(reader.code("status")),
        detection_source=reader.text("detection_source"),
        service_source=reader.text("service_source"),
        threat_family=reader.text("threat_family"),
        first_activity=reader.when("first_activity"),
        last_activity=reader.when("last_activity"),
        techniques=reader.texts("techniques"),
        not_started=NotStarted[stopped.upper()] if stopped else None,
        investigation_id=investigation.ident("id"),
        investigation_title=investigation.text("title"),
        recommends_isolation="isolate" in reader.texts("recommend"),
        facts=reader.child("facts").everything(),
        devices=tuple(builder.devices),
        mailboxes=tuple(builder.mailboxes),
        evidence=builder.evidence,
        altered=reader.altered,
    )


def _named(reader: Reader, name: str, made: Iterable[tuple[Reader, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item, index in made:
        ref = item.text("ref")
        if ref in found:
            raise item.refuse("ref", f"is used twice in {reader.field(name)}")
        found[ref] = index
    return found


def _device(builder: Builder, reader: Reader) -> int:
    given, system = reader.child("identities"), reader.child("os")
    ips = addresses(reader.texts("ips"))
    family = system.text("family")
    name, dns_name = reader.text("name"), reader.text("dns_name")
    index = builder.device(
        [
            *((Namespace[space.upper()], given.text(space)) for space in given.raw),
            *((Namespace.MAC, mac) for mac in reader.texts("macs")),
            (Namespace.DNS_NAME, dns_name or name),
            (Namespace.HOST_NAME, dns_name or name),
            *((Namespace.IP_ADDRESS, ip) for ip in ips),
        ],
        name=name,
        dns_name=dns_name,
        domain=reader.text("domain") or dns_name.partition(".")[2],
        os_platform=system.text("platform"),
        os_family=OsFamily[family.upper()] if family else OsFamily.UNKNOWN,
        os_version=system.text("version"),
        ips=ips,
        macs=reader.texts("macs"),
        tags=reader.texts("tags"),
        health=reader.text("health"),
        onboarding=reader.text("onboarding"),
        risk=reader.text("risk"),
        critical=reader.flag("critical"),
        altered=reader.altered,
    )
    if index is None:
        raise reader.refuse("identities", "must hold something that tells this device from others")
    return index


def _mailbox(builder: Builder, reader: Reader) -> int:
    index = builder.mailbox(
        reader.text("address"),
        upn=reader.text("upn"),
        guid=reader.child("identities").text("mailbox_guid"),
        display_name=reader.text("display_name"),
        altered=reader.altered,
    )
    if index is None:
        raise reader.refuse("address", "must be one mail address")
    return index


def _evidence(builder: Builder, reader: Reader, devices: dict[str, int], mailboxes: dict[str, int]) -> None:
    kind = EvidenceType[reader.text("type").upper()]
    facts = _facts(reader.child("facts"), kind)
    device, mailbox = _owner(reader, "device", devices), _owner(reader, "mailbox", mailboxes)
    owner = builder.devices[device].name if device is not None and kind == EvidenceType.DEVICE else ""
    builder.add(
        kind, reader.text("name") or _name(kind, facts) or owner, facts,
        device=device,
        mailbox=mailbox,
        verdict=words.verdict(reader.code("verdict")),
        status=words.status(reader.code("status")),
        status_details=reader.text("status_details"),
        roles=reader.texts("roles"),
        threats=reader.texts("threats"),
        origin=reader.text("origin"),
        first_seen=reader.when("first_seen"),
        altered=reader.altered,
    )  # fmt: skip


def _owner(reader: Reader, name: str, known: dict[str, int]) -> int | None:
    ref = reader.text(name)
    if ref and ref not in known:
        raise reader.refuse(name, "names nothing in this alert")
    return known[ref] if ref else None


def _facts(reader: Reader, kind: EvidenceType) -> dict[str, Any]:
    """The schema has checked names, types and lengths; what is left is one spelling for everything."""
    facts = reader.everything() if kind == EvidenceType.OTHER else _spelled(reader)
    if kind in {EvidenceType.REGISTRY, EvidenceType.PERSISTENCE} and facts.get("key"):
        facts |= registry_facts(facts["key"], facts.get("hive", ""))
    if facts.get("file_name") and kind in {EvidenceType.FILE, EvidenceType.PROCESS}:
        facts |= {"path": path} if (path := full_path(facts.get("path", ""), facts["file_name"])) else {}
    return facts


def _spelled(reader: Reader) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in reader.raw.items():
        if name in _TIMES:
            facts[name] = reader.iso(name)
        elif isinstance(value, list):
            facts[name] = reader.members(name)
        else:
            facts[name] = reader.text(name, cap=FREE_CAP) if isinstance(value, str) else value
            facts[name] = facts[name].lower() if name in HASHES else facts[name]
    return {name: value for name, value in facts.items() if value not in ("", [], {}, None)}


_TIMES = frozenset({"created", "parent_created", "received", "submitted", "query_time"})
_NAMES = ("file_name", "name", "url", "ip", "subject", "path", "command_line", "upn", "address", "account", "display_name", "delegate",
          "rule_name", "cluster_value", "cluster_by", "submitter", "task", "service",
          "group_id", "kind", "sha256", "sha1", "md5")  # fmt: skip


def _name(kind: EvidenceType, facts: Mapping[str, Any]) -> str:
    if kind == EvidenceType.REGISTRY or (
        kind == EvidenceType.PERSISTENCE and "name" not in facts and "key" in facts
    ):
        return registry_name(facts)
    name = str(next((facts[name] for name in _NAMES if facts.get(name)), ""))
    is_path = "file_name" not in facts and name == facts.get("path")
    return name.replace("\\", "/").rpartition("/")[2] if is_path else name
