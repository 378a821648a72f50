"""How the texts of the audit log are read; the first half of the script that checks an export of it.

`manage.py audit script` writes both halves as one file. docs/audit/format.md describes what is read here.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

EVENT = "actioncenter-event 1\n", ("stream:s seq:i at:t kind:s actor:s actor_name:s actor_via:s subject:s "
    "subject_name:s area:i group_id:i request_id:s before:j after:j detail:j")  # fmt: skip
SEAL = "actioncenter-seal 1\n", "number:i at:t previous:s count:i events:s leaves:s"
PURGE = "actioncenter-purge 1\n", "number:i at:t previous:s seal:i digest:s events:i last:i oldest:t actions:s file:s hash:s heads:j"  # fmt: skip
REDACTION = "actioncenter-redaction 1\n", "number:i at:t event:i chain:s leaf:s hash:s fields:j request:i requested_by:s approved_by:s"  # fmt: skip
HANDOVER = "actioncenter-seal 2\n", SEAL[1] + " successor:s"
LINES: Mapping[str, Mapping[str, type]] = {
    "purge": {"purge": str, "key": str, "signature": str},
    "redaction": {"redaction": str, "key": str, "signature": str}, "seal": {"seal": str, "key": str, "signature": str},
    "event": {"event": int, "chain": str, "text": str}, "unsealed": {"unsealed": bool}, "end": {"end": dict}}  # fmt: skip
LONGEST, LEAF = 1 << 26, 32  # bytes of a line, and about that of all texts that wait; of a leaf
LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
INTEGERS = json.JSONDecoder(parse_float=int, parse_constant=int)  # what int can't read is none
ENTRY = re.compile(rb"([a-z_]+:[sitj]|[a-z_]+:(n)):(0|[1-9][0-9]*):")
NUMBER, HASH = re.compile(r"0|-?[1-9][0-9]*"), re.compile(r"[0-9a-f]{64}")
RUN = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?")
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Seal(NamedTuple):
    number: int
    at: int
    previous: str
    ids: Sequence[int]
    leaves: Sequence[bytes]
    successor: bytes


class Event(NamedTuple):
    id: int
    stream: str
    seq: int
    chain: str
    text: str
    at: int
    kind: str
    actor: str
    detail: str

    def place(self) -> dict[str, int | str]:
        return {"event": self.id, "stream": self.stream, "seq": self.seq}


class Redaction(NamedTuple):
    number: int
    at: int
    event: int
    request: int
    chain: str
    hash: str
    requested_by: str
    approved_by: str
    leaf: bytes
    fields: Any
    digest: str

    def is_by_two(self) -> bool:
        people = {self.requested_by, self.approved_by}
        return len(people) == 2 and all(who.startswith("user:") for who in people)

    def left(self, event: Event) -> bool:
        """Whether the event is what this left of it."""
        return (event.chain, sha256(event.text.encode()).hexdigest()) == (self.chain, self.hash)

    def wanted(self) -> tuple[Any, ...]:
        """What the event by which somebody asked for it must say."""
        return self.requested_by, self.event, self.fields, self.hash


def record(raw: bytes) -> dict[str, Any]:
    """The JSON object of a line. Raises one of UNREADABLE, as all that read."""
    if not isinstance(said := json.loads(raw), dict) or LINE.encode(said).encode() + b"\n" != raw:
        raise ValueError("it isn't JSON in the form of an export")
    return said


def read_event(said: Mapping[str, Any]) -> Event:
    found = entries(said["text"], *EVENT)
    if found["stream"] is None or found["seq"] is None or not HASH.fullmatch(said["chain"]):
        raise ValueError("no id, no stream, no number or no chain value")
    stands = said["event"], found["stream"], int(found["seq"]), said["chain"], said["text"]
    tells = (found[name] or "" for name in ("kind", "actor", "detail"))
    return Event(*stands, int(found["at"] or 0), *tells)


def read_redaction(text: str) -> Redaction:
    said = {name: value or "" for name, value in entries(text, *REDACTION).items()}
    if not all(HASH.fullmatch(said[name]) for name in ("chain", "leaf", "hash")):
        raise ValueError("a hash is none")
    number, at, event, request = (int(said[name]) for name in ("number", "at", "event", "request"))
    chain, left, asker, approver = (said[name] for name in ("chain", "hash", "requested_by", "approved_by"))
    leaf, fields, digest = (
        bytes.fromhex(said["leaf"]),
        json.loads(said["fields"]),
        sha256(text.encode()).hexdigest(),
    )
    return Redaction(number, at, event, request, chain, left, asker, approver, leaf, fields, digest)


def read_seal(text: str) -> Seal:
    form = HANDOVER if text.startswith(HANDOVER[0]) else SEAL
    said = {"successor": "", **{name: value or "" for name, value in entries(text, *form).items()}}
    leaves = base64.b64decode(said["leaves"], validate=True)
    runs = list(_runs(said["events"]))
    # Counted before they are written out: a forged range could fill the memory.
    if not sum(last + 1 - first for first, last in runs) == int(said["count"]) == len(leaves) / LEAF:
        raise ValueError("count, events and leaves disagree")
    if form is HANDOVER and not HASH.fullmatch(said["successor"]):
        raise ValueError("its successor is no public key")
    ids = [number for first, last in runs for number in range(first, last + 1)]
    each = [leaves[at : at + LEAF] for at in range(0, len(leaves), LEAF)]
    return Seal(
        int(said["number"]), int(said["at"]), said["previous"], ids, each, bytes.fromhex(said["successor"])
    )


def checkpoint(raw: bytes) -> tuple[int, str, str, str, str]:
    said = {"text": "", **json.loads(raw)}
    number, *texts = (said[name] for name in ("number", "digest", "text", "key", "signature"))
    odd = type(number) is not int or number < 1 or not all(isinstance(text, str) for text in texts)
    if odd or (said["text"] and read_seal(said["text"]).number != number):
        raise ValueError("a field has another type, or its text is that of another seal")
    return number, *texts


def entries(text: str, header: str, fields: str) -> dict[str, str | None]:
    raw, position = text.encode(), len(header)
    if not text.startswith(header):
        raise ValueError("a text with an unknown first line")
    found: dict[str, str | None] = {}
    for field in fields.split():
        name, type_ = field.split(":")
        if not (entry := ENTRY.match(raw, position)) or entry[1].decode() not in (field, f"{name}:n"):
            raise ValueError(f"field {name} expected at byte {position} of the text")
        end = entry.end() + int(entry[3])
        value = raw[entry.end() : end].decode()
        if raw[end : end + 1] != b"\n" or (value if entry[2] else not _fits(type_, value)):
            raise ValueError(f"field {name} isn't written as it must be")
        found[name], position = None if entry[2] else value, end + 1
    if position != len(raw):
        raise ValueError("a text that goes on after its last field")
    return found


def _fits(type_: str, value: str) -> bool:
    if type_ == "j":
        return (said := INTEGERS.decode(value)) is not None and JSON.encode(said) == value
    return type_ == "s" or NUMBER.fullmatch(value) is not None


def _runs(text: str) -> Iterator[tuple[int, int]]:
    before = -1
    for part in text.split(",") if text else ():
        if not (run := RUN.fullmatch(part)) or not before + 1 < int(run[1]) < int(run[2] or int(run[1]) + 1):
            raise ValueError("events are no rising ranges")
        yield int(run[1]), (before := int(run[2] or run[1]))


def as_object(text: str) -> dict[str, Any]:
    said = json.loads(text or "{}")
    return said if isinstance(said, dict) else {}


def audit_key_id(key: bytes) -> str:
    return hmac.digest(key, b"actioncenter fingerprint audit.key", "sha256").hex()[:16]
