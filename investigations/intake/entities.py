"""Canonical facts of evidence: hashes, paths, registry keys, and the key that makes two findings one."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from investigations.enums import EvidenceType
from investigations.intake.documents import Facts
from investigations.intake.reading import Reader
from investigations.intake.text import NAME_CAP, PATH_CAP

HASHES: Mapping[str, int] = {"sha1": 40, "sha256": 64, "md5": 32}
"""Name of the fact and its number of hexadecimal digits."""

ON_DEVICE = frozenset(
    {
        EvidenceType.FILE,
        EvidenceType.PROCESS,
        EvidenceType.REGISTRY,
        EvidenceType.SERVICE,
        EvidenceType.DRIVER,
        EvidenceType.SCHEDULED_TASK,
        EvidenceType.PERSISTENCE,
    }
)
"""Exists only on some device, so with a single device in the alert it is that one's."""

_HEX = re.compile(r"[0-9a-f]+")
_HIVES: Mapping[str, str] = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKCU": "HKEY_CURRENT_USER",
    "HKU": "HKEY_USERS",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCC": "HKEY_CURRENT_CONFIG",
}


def some(**facts: Any) -> dict[str, Any]:
    """Only the facts that say something."""
    return {name: value for name, value in facts.items() if value not in (None, "", (), [], {})}


def hash_of(value: str, name: str) -> str:
    """Lower case; empty if it isn't a hash of this kind, since it then identifies nothing."""
    value = value.strip().lower()
    return value if len(value) == HASHES[name] and _HEX.fullmatch(value) else ""


def hashes(reader: Reader, **names: str) -> dict[str, str]:
    """Hashes under our names; a text that is none of its kind counts as altered."""
    found = {}
    for name in HASHES:
        given = reader.text(names.get(name, name))
        found[name] = hash_of(given, name)
        if given and not found[name]:
            reader.changes.append(reader.field(names.get(name, name)))
    return some(**found)


def sysmon_hashes(text: str) -> dict[str, str]:
    """`SHA1=…,MD5=…,SHA256=…`."""
    pairs = (part.partition("=") for part in text.split(","))
    found = {name.strip().lower(): value for name, _, value in pairs}
    return some(**{name: hash_of(found.get(name, ""), name) for name in HASHES})


def full_path(folder: str, name: str) -> str:
    """Some sources give the folder and the name apart, some the whole path twice."""
    if not folder or not name:
        return folder or (name if re.search(r"[\\/]", name) else "")
    separator = "\\" if _on_windows(folder) else "/"
    tail = file_name(folder)
    if tail.lower() == name.lower() and len(folder) > len(tail):
        return folder
    return folder.rstrip("\\/" if separator == "\\" else "/") + separator + name


def file_name(path: str) -> str:
    """What follows the last separator of the system that the path's shape belongs to."""
    return re.split(r"[\\/]" if _on_windows(path) else "/", path)[-1]


def _on_windows(path: str) -> bool:
    """By its shape: in a POSIX name a backslash is a letter like any other."""
    return bool(re.match(r"[A-Za-z]:|\\", path)) or "/" not in path


def path_facts(path: str, name: str = "") -> dict[str, Any]:
    return some(path=path, file_name=name or file_name(path))


def registry_facts(key: str, hive: str = "", **more: Any) -> dict[str, Any]:
    """The hive is taken from the key when it stands in it, and gets its long name."""
    key = key.strip("\\")
    head, _, rest = key.partition("\\")
    if not hive and (head.upper() in _HIVES or head.upper() in _HIVES.values()):
        hive, key = head, rest
    hive = hive.upper().strip("\\")
    return some(hive=_HIVES.get(hive, hive), key=key, **more)


def registry_name(facts: Facts) -> str:
    parts = [facts.get("hive", ""), facts.get("key", ""), facts.get("value_name", "")]
    return "\\".join(part for part in parts if part)[:NAME_CAP]


def text_path(reader: Reader, *names: str) -> str:
    return reader.text(*names, cap=PATH_CAP)


_USER_KEYS = ("sid", "entra_id", "upn", "address")
_MESSAGE_KEYS = ("message_id", "internet_message_id")
_KEY_FACTS: Mapping[EvidenceType, tuple[str, ...]] = {
    EvidenceType.FILE: ("path", "file_name", *HASHES),
    EvidenceType.PROCESS: ("pid", "created", "path", "file_name", "command_line"),
    EvidenceType.REGISTRY: ("hive", "key", "value_name"),
    EvidenceType.SERVICE: ("name",),
    EvidenceType.DRIVER: ("name",),
    EvidenceType.SCHEDULED_TASK: ("name",),
    EvidenceType.PERSISTENCE: ("name", "hive", "key", "value_name", "task", "service", "path"),
    EvidenceType.IP: ("ip",),
    EvidenceType.URL: ("url",),
    EvidenceType.MAILBOX: ("address", "upn"),
    EvidenceType.ATTACHMENT: ("file_name", "sha256", "sha1", *_MESSAGE_KEYS, "recipient"),
    EvidenceType.FORWARDING: ("rule_id", "rule_name", "address", "kind"),
    EvidenceType.DELEGATION: ("delegate", "rights"),
    EvidenceType.SECURITY_GROUP: ("group_id", "name"),
    EvidenceType.DEVICE: (),
}
_FIRST_OF: Mapping[EvidenceType, tuple[tuple[str, ...], ...]] = {
    EvidenceType.USER: (*((name,) for name in _USER_KEYS), ("domain", "account", "display_name")),
    EvidenceType.MAIL_MESSAGE: (
        *((name, "recipient") for name in _MESSAGE_KEYS),
        ("sender", "recipient", "subject", "received"),
    ),
    EvidenceType.MAIL_CLUSTER: (("cluster_id",), ("query",), ("cluster_by", "cluster_value", "name")),
    EvidenceType.SUBMISSION: (
        ("submission_id",),
        *((name, "submitter") for name in _MESSAGE_KEYS),
        ("submitter", "sender", "recipient", "subject"),
    ),
}
_CASELESS = frozenset(
    {"path", "file_name", "hive", "key", "value_name", "address", "upn", "sid", "recipient"}
)


def evidence_key(kind: EvidenceType, facts: Facts, owner: str) -> str:
    """SHA-256 over what makes it this thing and no other; `owner` names its device or mailbox."""
    chosen: Mapping[str, Any] = facts
    if kind in _FIRST_OF:
        options = _FIRST_OF[kind]
        names = next((names for names in options if facts.get(names[0])), options[-1])
        chosen = {name: facts.get(name, "") for name in names}
    elif kind in _KEY_FACTS:
        chosen = {name: facts[name] for name in _KEY_FACTS[kind] if facts.get(name)}
    if kind == EvidenceType.FILE:
        chosen = _file_key(chosen)
    plain = {name: _fold(name, value) for name, value in chosen.items()}
    text = json.dumps([int(kind), owner, plain], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_key(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The place and the first hash known; SHA-1 leads because most sources give it."""
    best = next((facts[name] for name in HASHES if facts.get(name)), "")
    return {"path": facts.get("path") or facts.get("file_name", ""), "hash": best}


def _fold(name: str, value: Any) -> Any:
    """POSIX paths tell upper from lower case, everything else here doesn't."""
    if not isinstance(value, str) or name not in _CASELESS or (name == "path" and value.startswith("/")):
        return value
    return value.lower()
