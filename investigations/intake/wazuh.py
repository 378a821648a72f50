"""Wazuh alerts, as they stand in alerts.json or in its index.

Wazuh has rules and levels, no verdicts. Only what another engine said and Wazuh passes on counts
as one: its VirusTotal integration and Windows Defender events.
"""

from collections.abc import Callable, Mapping
from typing import Any

from investigations.enums import EvidenceType, Namespace, OsFamily, RemediationStatus, Severity, Verdict
from investigations.intake.building import Builder
from investigations.intake.documents import AlertDoc, Document
from investigations.intake.entities import (
    file_name,
    hashes,
    path_facts,
    registry_facts,
    registry_name,
    some,
    sysmon_hashes,
    text_path,
)
from investigations.intake.identities import address
from investigations.intake.reading import Reader
from investigations.intake.text import DESCRIPTION_CAP, FREE_CAP, PATH_CAP, URL_CAP

SOURCE, LABEL = "wazuh", "Wazuh"

_T = EvidenceType
_LEVELS = (
    (15, Severity.CRITICAL),
    (12, Severity.HIGH),
    (7, Severity.MEDIUM),
    (4, Severity.LOW),
    (0, Severity.INFORMATIONAL),
)
ENGINES_FOR_MALICIOUS = 5
"""VirusTotal: fewer engines than this are often one vendor's false alarm, so a person looks first."""
_HIVES = ("HKEY_", "HKLM", "HKU", "HKCR", "HKCC")


def to_document(raw: Mapping[str, Any], source: str = "") -> Document:
    """Raises Rejected."""
    reader = Reader(raw.get("_source", raw) if isinstance(raw.get("_source"), dict) else raw)
    return Document(source=source or SOURCE, source_label=LABEL, alerts=(_alert(reader),))


def _alert(reader: Reader) -> AlertDoc:
    rule, data = reader.child("rule"), reader.child("data")
    builder = Builder()
    _device(builder, reader)
    for name, add in _PARTS.items():
        if part := (data if name in _IN_DATA else reader).child(name):
            add(builder, part.fresh())
    _add_addresses(builder, data.fresh())
    level = rule.number("level") or 0
    manager = reader.child("manager").text("name")
    mitre = rule.child("mitre")
    return AlertDoc(
        # An id is the time and the place in the manager's own file.
        external_id="/".join(filter(None, (manager, reader.required_ident("id")))),
        title=rule.required("description"),
        created=reader.required_when("timestamp", "@timestamp"),
        description=reader.text("full_log", cap=DESCRIPTION_CAP),
        severity=next((severity for least, severity in _LEVELS if level >= least), Severity.UNKNOWN),
        category=next(iter((*mitre.texts("tactic"), *reversed(rule.texts("groups")))), ""),
        detection_source=reader.child("decoder").text("name"),
        service_source=LABEL,
        last_activity=reader.when("timestamp", "@timestamp"),
        techniques=mitre.texts("id"),
        facts=some(
            rule_id=rule.text("id"),
            level=level,
            groups=list(rule.texts("groups")),
            location=reader.text("location"),
            manager=manager,
            data=data.everything(*_PARTS),
        ),
        devices=tuple(builder.devices),
        evidence=builder.evidence,
        altered=reader.altered,
    )


def _device(builder: Builder, reader: Reader) -> None:
    """Agent numbers start again at every manager; 000 is the manager itself."""
    agent = reader.child("agent").fresh()
    number, name = agent.text("id"), agent.text("name")
    manager = reader.child("manager").text("name")
    windows = reader.child("data").child("win")
    computer = windows.child("system").text("computer")
    ip = address(agent.text("ip"))
    on_windows = bool(windows) or "win_perm_after" in reader.child("syscheck").raw
    builder.device(
        [
            *((Namespace.AGENT_ID, f"{manager}/{number}") for _ in (1,) if number),
            (Namespace.DNS_NAME, computer or name),
            (Namespace.HOST_NAME, computer or name),
            (Namespace.IP_ADDRESS, ip),
        ],
        name=name or computer,
        dns_name=computer if "." in computer else "",
        domain=computer.partition(".")[2],
        os_family=OsFamily.WINDOWS if on_windows else OsFamily.UNKNOWN,
        ips=(ip,) if ip else (),
        altered=agent.altered,
    )


def _add(
    builder: Builder, reader: Reader, kind: EvidenceType, name: str, facts: dict[str, Any], **more: Any
) -> None:
    if facts:
        device = 0 if builder.devices and kind not in {_T.IP, _T.URL} else None
        builder.add(kind, name, facts, device=device, altered=reader.altered, **more)


def _integrity(builder: Builder, reader: Reader) -> None:
    """File integrity monitoring of files and of the Windows registry."""
    path = text_path(reader, "path")
    if path.upper().startswith(_HIVES):
        facts = registry_facts(
            path,
            value_name=reader.text("value_name"),
            value_type=reader.text("value_type"),
            event=reader.text("event"),
        )
        _add(builder, reader, _T.REGISTRY, registry_name(facts), facts)
        return
    now = {name: f"{name}_after" for name in ("sha1", "sha256", "md5")}
    facts = path_facts(path) | hashes(reader, **now) | some(
        size=reader.number("size_after"),
        owner=reader.text("uname_after"),
        modified=reader.iso("mtime_after"),
        event=reader.text("event"),
    )  # fmt: skip
    roles = {"added": ("created",), "modified": ("edited",)}.get(reader.code("event"), ())
    _add(builder, reader, _T.FILE, file_name(path), facts if path else {}, roles=roles)


def _virustotal(builder: Builder, reader: Reader) -> None:
    source = reader.child("source")
    path = text_path(source, "file")
    facts = path_facts(path) | hashes(source) | hashes(reader)
    engines = reader.number("positives") or 0
    facts |= some(
        report=reader.text("permalink", cap=URL_CAP), engines=engines, engines_asked=reader.number("total")
    )
    bad = reader.flag("malicious")
    verdict = Verdict.UNKNOWN
    if bad:
        verdict = Verdict.MALICIOUS if engines >= ENGINES_FOR_MALICIOUS else Verdict.SUSPICIOUS
    _add(builder, reader, _T.FILE, file_name(path), facts, verdict=verdict, origin="VirusTotal")


def _windows(builder: Builder, reader: Reader) -> None:
    event = reader.child("eventdata")
    number = reader.child("system").number("eventID")
    provider = reader.child("system").text("providerName").lower()
    if "windows defender" in provider:
        _defender(builder, event)
        return
    for made in (_process, _target_file, _registry, _service, _task, _driver, _query):
        made(builder, event, number)
    _add_addresses(builder, event)


def _defender(builder: Builder, event: Reader) -> None:
    """`file:_C:\\…->member of an archive`, several divided by `;`. It names a threat only where it found one."""
    threat = event.text("threat Name")
    action = event.text("action Name").lower()
    status = next(
        (status for word, status in _DEFENDER_ACTIONS.items() if word in action), RemediationStatus.ACTIVE
    )
    for part in event.text("path", cap=PATH_CAP).split(";"):
        kind, _, path = part.strip().partition("->")[0].partition(":_")
        if threat and kind in {"file", "containerfile"} and path:
            _add(
                builder, event, _T.FILE, file_name(path), path_facts(path),
                verdict=Verdict.MALICIOUS, status=status, threats=(threat,), origin="Windows Defender",
            )  # fmt: skip


_DEFENDER_ACTIONS: Mapping[str, RemediationStatus] = {
    "quarantine": RemediationStatus.REMEDIATED,
    "remove": RemediationStatus.REMEDIATED,
    "clean": RemediationStatus.REMEDIATED,
    "block": RemediationStatus.BLOCKED,
}


def _process(builder: Builder, event: Reader, number: int | None) -> None:
    image = text_path(event, "image", "newProcessName")
    if not image:
        return
    created = number == _PROCESS_CREATED
    parent = text_path(event, "parentImage", "parentProcessName")
    facts = path_facts(image) | (sysmon_hashes(event.text("hashes")) if created else {}) | some(
        pid=_pid(event, "newProcessId", "processId"),
        command_line=event.text("commandLine", cap=FREE_CAP),
        created=event.iso("utcTime") if created else "",
        parent_pid=_pid(event, "parentProcessId"),
        parent_path=parent,
        parent_command_line=event.text("parentCommandLine", cap=FREE_CAP),
        account=event.text("user"),
    )  # fmt: skip
    _add(builder, event, _T.PROCESS, file_name(image), facts)


_PROCESS_CREATED = 1
_DRIVER_LOADED = 6


def _pid(event: Reader, *names: str) -> int | None:
    """The security log writes process ids in hexadecimal."""
    text = event.text(*names)
    return int(text, 16) if text.lower().startswith("0x") and len(text) <= 18 else event.number(*names)


def _target_file(builder: Builder, event: Reader, number: int | None) -> None:
    path = text_path(event, "targetFilename")
    facts = path_facts(path) | sysmon_hashes(event.text("hashes"))
    _add(builder, event, _T.FILE, file_name(path), facts if path else {}, roles=("created",))


def _registry(builder: Builder, event: Reader, number: int | None) -> None:
    """Sysmon writes key and value name as one path; only the value's own event has details."""
    whole, details = text_path(event, "targetObject"), event.text("details", cap=FREE_CAP)
    key, _, value_name = whole.rpartition("\\") if details else (whole, "", "")
    facts = registry_facts(key, value_name=value_name, value=details)
    _add(builder, event, _T.REGISTRY, registry_name(facts), facts)


def _service(builder: Builder, event: Reader, number: int | None) -> None:
    name, image = event.text("serviceName"), text_path(event, "imagePath", "serviceFileName")
    _add(builder, event, _T.SERVICE, name, some(name=name, path=image) if name and image else {})


def _task(builder: Builder, event: Reader, number: int | None) -> None:
    name = text_path(event, "taskName")
    _add(
        builder,
        event,
        _T.SCHEDULED_TASK,
        name,
        some(name=name, definition=event.text("taskContent", cap=FREE_CAP)),
    )


def _driver(builder: Builder, event: Reader, number: int | None) -> None:
    path = text_path(event, "imageLoaded") if number == _DRIVER_LOADED else ""
    facts = {"name": file_name(path)} | path_facts(path) | sysmon_hashes(event.text("hashes"))
    _add(builder, event, _T.DRIVER, file_name(path), facts if path else {})


def _query(builder: Builder, event: Reader, number: int | None) -> None:
    host = event.text("queryName", cap=URL_CAP)
    _add(builder, event, _T.URL, host, some(url=host))


def _add_addresses(builder: Builder, reader: Reader) -> None:
    for role, names in _ADDRESSES.items():
        if ip := address(reader.text(*names)):
            _add(builder, reader, _T.IP, ip, {"ip": ip}, roles=(role,))
    if "://" in (url := reader.text("url", cap=URL_CAP)):
        _add(builder, reader, _T.URL, url, {"url": url})
    for name in ("srcuser", "dstuser", "targetUserName"):
        if account := reader.text(name):
            domain = reader.text("targetDomainName") if name == "targetUserName" else ""
            _add(builder, reader, _T.USER, account, some(account=account, domain=domain))


_ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "source": ("srcip", "sourceIp", "ipAddress"),
    "destination": ("dstip", "destinationIp"),
}
_IN_DATA = frozenset({"virustotal", "win"})
_PARTS: Mapping[str, Callable[[Builder, Reader], None]] = {
    "syscheck": _integrity,
    "virustotal": _virustotal,
    "win": _windows,
}
