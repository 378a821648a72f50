"""OCSF objects (file, process, user, email …) as evidence, devices and mailboxes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from investigations.enums import EvidenceType, Namespace, OsFamily, RemediationStatus, Verdict
from investigations.intake.building import Builder
from investigations.intake.entities import (
    ON_DEVICE,
    full_path,
    hash_of,
    path_facts,
    registry_facts,
    registry_name,
    some,
    text_path,
)
from investigations.intake.identities import address, addresses, mail_address, os_family
from investigations.intake.reading import Reader
from investigations.intake.text import FREE_CAP, SUBJECT_CAP, URL_CAP

_T = EvidenceType
_VERDICTS: Mapping[int, Verdict] = {
    1: Verdict.NO_THREATS_FOUND,  # false positive
    2: Verdict.MALICIOUS,  # true positive
    4: Verdict.SUSPICIOUS,
    5: Verdict.NO_THREATS_FOUND,  # benign
    6: Verdict.NO_THREATS_FOUND,  # test
    8: Verdict.SUSPICIOUS,  # security risk
}
"""Disregard, insufficient data, managed externally and duplicate say nothing about the thing itself."""
_DISPOSITIONS: Mapping[int, RemediationStatus] = {
    2: RemediationStatus.BLOCKED,
    3: RemediationStatus.REMEDIATED,  # quarantined
    5: RemediationStatus.REMEDIATED,  # deleted
    6: RemediationStatus.BLOCKED,  # dropped
    11: RemediationStatus.REMEDIATED,  # corrected
    12: RemediationStatus.PARTIALLY_REMEDIATED,
    13: RemediationStatus.ACTIVE,  # uncorrected
}
_ALGORITHMS: Mapping[int, str] = {1: "md5", 2: "sha1", 3: "sha256"}
_OS_TYPES: Mapping[int, OsFamily] = {100: OsFamily.WINDOWS, 200: OsFamily.LINUX, 300: OsFamily.MACOS}
_HIGH_CONFIDENCE = 3


@dataclass(frozen=True, slots=True)
class Made:
    kind: EvidenceType
    name: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What the finding says for all of its evidence. `scope` makes a product's own ids unique."""

    scope: str
    origin: str
    status: RemediationStatus
    of_malware: Verdict
    device: int | None = None

    @classmethod
    def of(cls, reader: Reader) -> Self:
        product = reader.child("metadata").child("product")
        sure = reader.number("confidence_id") == _HIGH_CONFIDENCE
        return cls(
            scope=product.text("uid") or product.text("name"),
            origin=product.text("name"),
            status=_DISPOSITIONS.get(reader.number("disposition_id") or 0, RemediationStatus.NONE),
            of_malware=Verdict.MALICIOUS if sure else Verdict.SUSPICIOUS,
        )


def verdict(reader: Reader) -> Verdict:
    return _VERDICTS.get(reader.number("verdict_id") or 0, Verdict.UNKNOWN)


def add(
    builder: Builder,
    reader: Reader,
    made: Made,
    context: Context,
    *,
    verdict: Verdict = Verdict.UNKNOWN,
    threats: tuple[str, ...] = (),
) -> None:
    """What the product did with the finding is told of the bad files and processes in it."""
    if not made.facts:
        return
    treated = made.kind in {_T.FILE, _T.PROCESS} and verdict in {Verdict.MALICIOUS, Verdict.SUSPICIOUS}
    builder.add(
        made.kind,
        made.name,
        made.facts,
        device=context.device if made.kind in ON_DEVICE else None,
        verdict=verdict,
        status=context.status if treated else RemediationStatus.NONE,
        origin=context.origin,
        threats=threats,
        altered=reader.altered,
    )


def add_artefacts(builder: Builder, reader: Reader, context: Context) -> None:
    """One element of `evidences`: several objects that belong to one activity and share its verdict.

    The verdict goes to what was found, not to the people and machines around it, unless there is
    nothing else.
    """
    found = [(part.fresh(), made) for part, made in _objects(reader) if made.facts]
    host = reader.child("device").fresh()
    index = device(builder, host, context) if host else None
    context = replace(context, device=index if index is not None else context.device)
    things = any(made.kind != _T.USER for _, made in found)
    for part, made in found:
        bystander = made.kind == _T.USER and things
        add(builder, part, made, context, verdict=Verdict.UNKNOWN if bystander else verdict(reader))


def _objects(reader: Reader) -> Iterator[tuple[Reader, Made]]:
    actor = reader.child("actor")
    for holder in (reader, actor):
        for name, make in _MAKERS.items():
            if part := holder.child(name):
                yield part, make(part)
    for part in (*reader.children("resources"), reader.child("container"), reader.child("database")):
        if part:
            yield part, _something(part)
    if api := reader.child("api"):
        yield api, _api_call(api)


def _something(reader: Reader) -> Made:
    kind = reader.text("type") or "resource"
    name = reader.text("name", "uid", "hostname")
    return Made(_T.OTHER, f"{kind} {name}", {"kind": kind, **reader.everything("type", "data")})


def _api_call(reader: Reader) -> Made:
    operation, service = reader.text("operation"), reader.child("service").text("name")
    facts = {"kind": "api call"} | some(operation=operation, service=service)
    return Made(_T.OTHER, f"{operation} {service}".strip(), facts)


def _fingerprints(reader: Reader) -> dict[str, str]:
    """`hashes` since 1.0, `fingerprints` before."""
    found = {}
    for item in reader.children("hashes", "fingerprints"):
        name = _ALGORITHMS.get(item.number("algorithm_id") or 0) or item.code("algorithm")
        if name in _ALGORITHMS.values() and (value := hash_of(item.text("value"), name)):
            found[name] = value
    return found


def file(reader: Reader) -> Made:
    name = reader.text("name")
    path = text_path(reader, "path") or full_path(text_path(reader, "parent_folder"), name)
    facts = {
        **path_facts(path, name),
        **_fingerprints(reader),
        **some(
            size=reader.number("size"), signer=reader.child("signature").child("certificate").text("subject")
        ),
    }
    return Made(_T.FILE, facts.get("file_name", ""), facts)


def process(reader: Reader) -> Made:
    image = file(reader.child("file")).facts
    parent = reader.child("parent_process")
    facts = some(path=text_path(reader, "path"), file_name=reader.text("name")) | image | some(
        pid=reader.number("pid"),
        command_line=reader.text("cmd_line", cap=FREE_CAP),
        created=reader.iso("created_time", "created_time_dt"),
        parent_pid=parent.number("pid"),
        parent_path=text_path(parent, "path") or file(parent.child("file")).facts.get("path"),
        account=reader.child("user").text("name"),
    )  # fmt: skip
    return Made(_T.PROCESS, facts.get("file_name") or facts.get("command_line", ""), facts)


def user(reader: Reader) -> Made:
    uid = reader.text("uid")
    facts = some(
        account=reader.text("name"),
        domain=reader.text("domain"),
        sid=uid if uid.upper().startswith("S-1-") else "",
        uid="" if uid.upper().startswith("S-1-") else uid,
        address=mail_address(reader.text("email_addr")),
        display_name=reader.text("full_name", "display_name"),
    )
    return Made(_T.USER, facts.get("account") or facts.get("address") or uid, facts)


def endpoint(reader: Reader) -> Made:
    ip = address(reader.text("ip"))
    host = reader.text("hostname", "name")
    if ip:
        return Made(_T.IP, ip, some(ip=ip, port=reader.number("port"), host_name=host))
    return Made(_T.OTHER, host, {"kind": "host name", "host_name": host} if host else {})


def url(reader: Reader) -> Made:
    whole = reader.text("url_string", cap=URL_CAP) or reader.text("hostname", "domain")
    return Made(_T.URL, whole, some(url=whole))


def email(reader: Reader) -> Made:
    subject = reader.text("subject", cap=SUBJECT_CAP)
    recipients = reader.texts("to") or reader.texts("smtp_to")
    facts = some(
        message_id=reader.text("uid"),
        internet_message_id=reader.text("message_uid", cap=SUBJECT_CAP),
        sender=reader.text("from") or reader.text("sender", "smtp_from"),
        recipient=recipients[0] if recipients else "",
        recipients=list(recipients[1:]),
        subject=subject,
        sender_ip=reader.text("x_originating_ip")
        if isinstance(reader.raw.get("x_originating_ip"), str)
        else "",
    )
    return Made(_T.MAIL_MESSAGE, subject, facts)


def registry_key(reader: Reader) -> Made:
    facts = registry_facts(text_path(reader, "path"))
    return Made(_T.REGISTRY, registry_name(facts), facts if facts.get("key") else {})


def registry_value(reader: Reader) -> Made:
    facts = registry_facts(
        text_path(reader, "path"),
        value_name=reader.text("name"),
        value=reader.text("data", "reg_string_data", cap=FREE_CAP) if _plain(reader, "data") else "",
        value_type=reader.text("type"),
    )
    return Made(_T.REGISTRY, registry_name(facts), facts if facts.get("key") else {})


def _plain(reader: Reader, name: str) -> bool:
    return not isinstance(reader.raw.get(name), dict | list)


def service(reader: Reader) -> Made:
    image = file(reader.child("service_file")).facts
    facts = some(name=reader.text("name"), command_line=reader.text("cmd_line", cap=FREE_CAP)) | image
    return Made(_T.SERVICE, facts.get("name", ""), facts)


def job(reader: Reader) -> Made:
    image = file(reader.child("file")).facts
    facts = some(name=reader.text("name"), command_line=reader.text("cmd_line", cap=FREE_CAP)) | image
    return Made(_T.SCHEDULED_TASK, facts.get("name", ""), facts)


def driver(reader: Reader) -> Made:
    image = file(reader.child("file")).facts
    return Made(_T.DRIVER, image.get("file_name", ""), some(name=image.get("file_name")) | image)


def query(reader: Reader) -> Made:
    host = reader.text("hostname")
    return Made(_T.URL, host, some(url=host))


_MAKERS: Mapping[str, Callable[[Reader], Made]] = {
    "process": process,
    "file": file,
    "driver": driver,
    "reg_key": registry_key,
    "reg_value": registry_value,
    "win_service": service,
    "job": job,
    "url": url,
    "query": query,
    "email": email,
    "src_endpoint": endpoint,
    "dst_endpoint": endpoint,
    "user": user,
}


def device(builder: Builder, reader: Reader, context: Context) -> int | None:
    """A device or a resource that is one. A `uid` is only unique within its product."""
    name, uid = reader.text("hostname", "name"), reader.text("uid")
    system = reader.child("os")
    nics = list(reader.children("network_interfaces"))
    macs = [mac for mac in (reader.text("mac"), *(nic.text("mac") for nic in nics)) if mac]
    ips = addresses((reader.text("ip"), *(nic.text("ip") for nic in nics)))
    dns_name = name if "." in name and not address(name) else ""
    kind = system.number("type_id") or 0
    return builder.device(
        [
            *((Namespace.AGENT_ID, f"{context.scope}/{uid}") for _ in (1,) if uid),
            (Namespace.SERIAL, reader.child("hw_info").text("serial_number")),
            *((Namespace.MAC, mac) for mac in macs),
            (Namespace.DNS_NAME, name),
            (Namespace.HOST_NAME, name),
            *((Namespace.IP_ADDRESS, ip) for ip in ips),
        ],
        name=name,
        dns_name=dns_name,
        domain=reader.text("domain") or dns_name.partition(".")[2],
        os_platform=system.text("name"),
        os_family=_OS_TYPES.get(kind) or os_family(system.text("name"), system.text("type")),
        os_version=" ".join(filter(None, (system.text("version"), system.text("build")))),
        ips=ips,
        macs=tuple(macs),
        risk=reader.text("risk_level"),
        altered=reader.altered,
    )
