"""Checks an export of the Action center's audit log. Needs Python 3.11 and `cryptography`, nothing else.

    python3 standalone.py EXPORT --public-key HEX_OR_FILE [--audit-key FILE] [--against CHECKPOINTS] [--json]

docs/audit/format.md describes what it reads. Exit status: 0 nothing is wrong, 1 something is and is named,
2 it can't be used. Memory: one seal, and a little for each stream, gap between ids and checkpoint.
"""

import argparse
import base64
import hmac
import io
import json
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.stdout.write("UNUSABLE: signatures can't be checked without the Python package cryptography.\n")
    sys.exit(2)

EVENT = "actioncenter-event 1\n", (
    "stream:s seq:i at:t kind:s actor:s actor_name:s actor_via:s subject:s subject_name:s area:i group_id:i "
    "request_id:s before:j after:j detail:j"
)  # fmt: skip
SEAL = "actioncenter-seal 1\n", "number:i at:t previous:s count:i events:s leaves:s"
LINES: Mapping[str, Mapping[str, type]] = {
    "seal": {"seal": str, "key": str, "signature": str},
    "event": {"event": int, "chain": str, "text": str},
    "unsealed": {"unsealed": bool},
    "end": {"end": dict},
}
LONGEST = 1 << 26  # bytes of a line, and about that of all texts that wait
LEAF = 32
LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
INTEGERS = json.JSONDecoder(parse_float=int, parse_constant=int)  # what int can't read is none
ENTRY = re.compile(rb"([a-z_]+:[sitj]|[a-z_]+:(n)):(0|[1-9][0-9]*):")
NUMBER = re.compile(r"0|-?[1-9][0-9]*")
RUN = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?")
HASH = re.compile(r"[0-9a-f]{64}")
Keys = Mapping[str, Ed25519PublicKey]
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Unusable(Exception):
    """Nothing can be said about this input."""


class Problem(Exception):
    """The first thing that is wrong: the check that found it, why, and where."""

    def __init__(self, check: str, message: str, place: Mapping[str, int | str]) -> None:
        super().__init__(message)
        self.check, self.place = check, dict(place)

    def __str__(self) -> str:
        # As JSON, because text from the file mustn't steer a terminal.
        place = ", ".join(f"{name} {json.dumps(value)[:200]}" for name, value in self.place.items())
        return f"{self.check}: {place}: {self.args[0]}"


@dataclass
class Result:
    pinned: bool
    chained: bool
    compared: bool
    seals: int = 0
    events: int = 0
    unsealed: int = 0
    problem: Problem | None = None

    def as_json(self) -> dict[str, Any]:
        found = self.problem
        bad = found and {"check": found.check, "message": found.args[0], **found.place}
        return {"ok": found is None, **vars(self), "problem": bad}


class Seal(NamedTuple):
    number: int
    previous: str
    ids: Sequence[int]
    leaves: Sequence[bytes]


class Event(NamedTuple):
    id: int
    stream: str
    seq: int
    chain: str
    text: str

    def place(self) -> dict[str, int | str]:
        return {"event": self.id, "stream": self.stream, "seq": self.seq}


def verify_file(
    path: Path, *, public_keys: Sequence[bytes] = (), audit_key: bytes | None = None, against: Path | None = None
) -> Result:  # fmt: skip
    """Raises Unusable: the export, the checkpoints or a key can't be read."""
    result = Result(bool(public_keys), audit_key is not None, against is not None)
    try:
        with path.open("rb") as file, against.open("rb") if against else io.BytesIO() as checkpoints:
            Verifier(_keys(file, public_keys), audit_key, checkpoints, result).run(file)
    except Problem as problem:
        result.problem = problem
    except OSError as error:
        raise Unusable(f"can't be read: {error}") from error
    return result


class Verifier:
    def __init__(self, keys: Keys, audit_key: bytes | None, kept: IO[bytes], result: Result) -> None:
        self._keys, self._audit_key, self._kept, self._result = keys, audit_key, kept, result
        self._place: dict[str, int | str] = {}
        self._seal, self._next, self._digest = Seal(0, "", (), ()), 0, ""
        self._seen: list[tuple[int, int]] = []
        self._streams: dict[str, tuple[int, str]] = {}
        self._waiting: dict[tuple[str, int], Event] = {}
        self._size, self._part = 0, "sealed"
        self._checkpoints: dict[int, list[int]] = {}

    def must(self, fine: object, check: str, message: str, **place: int | str) -> None:
        if not fine:
            raise Problem(check, message, place or self._place)

    def run(self, file: IO[bytes]) -> None:
        self._read_checkpoints()
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST), b""), start=2):
            self._place = {"line": number}
            self.must(whole := raw.endswith(b"\n"), "end", "it is cut off, or longer than a line may be")
            try:
                if whole:
                    self._take(_record(raw))
            except UNREADABLE as error:
                raise Problem("form", str(error), self._place) from error
        self._finish()

    def _take(self, said: Mapping[str, Any]) -> None:
        types = {name: type(value) for name, value in said.items()}
        kind = next((kind for kind, needed in LINES.items() if types == needed), "")
        self.must(self._part != "ended", "end", "the file goes on after its last line")
        if kind == "event":
            return self._take_event(said)
        self._skip_to(len(self._seal.ids))
        if kind == "end":
            self._part, counts = "ended", {"seals": self._result.seals, "events": self._result.events}
            self.must(said["end"] == counts, "end", f"the file holds {counts}")
        elif kind == "seal" and self._part == "sealed":
            self._take_seal(**said)
        elif kind == "unsealed" and self._part == "sealed":
            self._part = "unsealed"
        else:
            raise ValueError("no line of an export, or not in this place")
        return None

    def _take_seal(self, seal: str, key: str, signature: str) -> None:
        expected = self._place["seal"] = self._result.seals + 1
        self._seal, before = read_seal(seal), self._digest
        self._next, self._digest, self._result.seals = 0, sha256(seal.encode()).hexdigest(), expected
        self.must(self._is_signed(key, seal, signature), "signature", "none of the keys signed it")
        self.must(self._seal.number == expected, "number", f"seal {self._seal.number} stands in its place")
        self.must(self._seal.previous == before, "previous", "it doesn't name the digest of the one before")
        self._compare()

    def _take_event(self, said: Mapping[str, Any]) -> None:
        self._place["event"] = said["event"]
        event = read_event(said)
        self._place = event.place()
        self._result.events += 1
        self.must(self._is_new(event.id), "twice", "an event with this id was there before")
        self._result.unsealed += self._part == "unsealed"
        if self._part == "sealed":
            self._in_seal(event)
        self._in_stream(event)

    def _in_seal(self, event: Event) -> None:
        seal, at = self._seal, bisect_left(self._seal.ids, event.id)
        named = at < len(seal.ids) and seal.ids[at] == event.id
        self.must(named, "events", f"seal {seal.number} doesn't name it")
        if named:
            self._skip_to(at)
            self._next = at + 1
            leaf = sha256(bytes.fromhex(event.chain) + event.text.encode()).digest()
            self.must(leaf == seal.leaves[at], "leaf", f"seal {seal.number} was made of something else")

    def _skip_to(self, at: int) -> None:
        if at > self._next:
            place = {"seal": self._seal.number, "event": self._seal.ids[self._next]}
            self.must(False, "events", "the seal names this event, and it isn't in its place", **place)
        self._next = at

    def _is_new(self, number: int) -> bool:
        """Whether this id wasn't there before. They are kept as ranges."""
        at = bisect_left(self._seen, (number,))
        near = self._seen[max(at - 1, 0) : at + 1]
        if any(first <= number <= last for first, last in near):
            return False
        joined = [run for run in near if number in (run[0] - 1, run[1] + 1)]
        at -= sum(last < number for _, last in joined)
        ends = [number, *(end for run in joined for end in run)]
        self._seen[at : at + len(joined)] = [(min(ends), max(ends))]
        return True

    def _in_stream(self, event: Event | None) -> None:
        while event is not None:
            done, before = self._streams.get(event.stream, (0, ""))
            place, missing = event.place(), f"number {done + 1} of its stream isn't before it"
            # A transaction that began first may end last, and then be in an earlier seal than the other.
            if event.seq > done + 1 and self._part == "sealed":
                self._size += len(event.text)
                known = self._waiting.setdefault((event.stream, event.seq), event)
                self.must(known is event and self._size <= LONGEST, "seq", missing, **place)
                return
            self.must(event.seq == done + 1, "seq", missing, **place)
            if self._audit_key:
                start = bytes.fromhex(before) if before else bytes(LEAF) + event.stream.encode()
                made = hmac.digest(self._audit_key, start + event.text.encode(), "sha256").hex()
                self.must(
                    made == event.chain, "chain", "this key and the one before it give another", **place
                )
            self._streams[event.stream] = event.seq, event.chain
            event = self._waiting.pop((event.stream, event.seq + 1), None)
            self._size -= len(event.text) if event else 0

    def _finish(self) -> None:
        seals = self._result.seals
        self.must(self._part == "ended", "end", "the file is cut off: its last line is missing", seal=seals)
        self._skip_to(len(self._seal.ids))
        for event in self._waiting.values():
            self.must(False, "seq", "one before it in its stream is missing", **event.place())
        behind = min(self._checkpoints, default=0)
        self.must(not behind, "cut back", f"it is missing: the export ends with seal {seals}", seal=behind)

    def _is_signed(self, key: str, text: str, signature: str) -> bool:
        with suppress(KeyError, InvalidSignature, ValueError):
            self._keys[key].verify(bytes.fromhex(signature), text.encode())
            return True
        return False

    def _read_checkpoints(self) -> None:
        for line, raw in enumerate(iter(lambda: self._kept.readline(LONGEST), b""), start=1):
            try:
                number, digest, text, key, signature = _checkpoint(raw)
            except UNREADABLE as error:
                raise Unusable(f"line {line} of the checkpoints is none: {error}") from error
            fine = digest == sha256(text.encode()).hexdigest() and self._is_signed(key, text, signature)
            self.must(fine or not text, "checkpoint", "none of the keys signed it", seal=number)
            self._checkpoints.setdefault(number, []).append(self._kept.tell() - len(raw))

    def _compare(self) -> None:
        for at in self._checkpoints.pop(self._result.seals, ()):
            self._kept.seek(at)
            number, digest, text, *_ = _checkpoint(self._kept.readline())
            if digest != self._digest:
                kept = read_seal(text) if text else self._seal
                differing = {*zip(kept.ids, kept.leaves)} ^ {*zip(self._seal.ids, self._seal.leaves)}  # noqa: B905
                first = {"event": min(differing)[0]} if differing else {}
                self.must(False, "another seal", "it isn't the checkpoint's", seal=number, **first)


def _record(raw: bytes) -> dict[str, Any]:
    """The JSON object of a line. Raises one of UNREADABLE, as all that read."""
    said = json.loads(raw)
    if not isinstance(said, dict) or LINE.encode(said).encode() + b"\n" != raw:
        raise ValueError("it isn't JSON in the form of an export")
    return said


def read_event(said: Mapping[str, Any]) -> Event:
    found = _entries(said["text"], *EVENT)
    if found["stream"] is None or found["seq"] is None or not HASH.fullmatch(said["chain"]):
        raise ValueError("no stream, no number or no chain value")
    return Event(said["event"], found["stream"], int(found["seq"]), said["chain"], said["text"])


def read_seal(text: str) -> Seal:
    said = {name: value or "" for name, value in _entries(text, *SEAL).items()}
    leaves = base64.b64decode(said["leaves"], validate=True)
    runs = list(_runs(said["events"]))
    # Counted before they are written out: a forged range could fill the memory.
    if not sum(last + 1 - first for first, last in runs) == int(said["count"]) == len(leaves) / LEAF:
        raise ValueError("count, events and leaves disagree")
    ids = [number for first, last in runs for number in range(first, last + 1)]
    each = [leaves[at : at + LEAF] for at in range(0, len(leaves), LEAF)]
    return Seal(int(said["number"]), said["previous"], ids, each)


def _checkpoint(raw: bytes) -> tuple[int, str, str, str, str]:
    said = {"text": "", **json.loads(raw)}
    number, *texts = (said[name] for name in ("number", "digest", "text", "key", "signature"))
    if type(number) is not int or number < 1 or not all(isinstance(text, str) for text in texts):
        raise ValueError("a field has another type")
    if said["text"] and read_seal(said["text"]).number != number:
        raise ValueError("its text is that of another seal")
    return number, *texts


def _entries(text: str, header: str, fields: str) -> dict[str, str | None]:
    raw, position = text.encode(), len(header)
    if not text.startswith(header):
        raise ValueError("a text with an unknown first line")
    found: dict[str, str | None] = {}
    for field in fields.split():
        name, type_ = field.split(":")
        entry = ENTRY.match(raw, position)
        if entry is None or entry[1].decode() not in (field, f"{name}:n"):
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
        said = INTEGERS.decode(value)
        return said is not None and JSON.encode(said) == value
    return type_ == "s" or NUMBER.fullmatch(value) is not None


def _runs(text: str) -> Iterator[tuple[int, int]]:
    before = -1
    for part in text.split(",") if text else ():
        run = RUN.fullmatch(part)
        if run is None or not before + 1 < int(run[1]) < int(run[2] or int(run[1]) + 1):
            raise ValueError("events are no rising ranges")
        before = int(run[2] or run[1])
        yield int(run[1]), before


def _keys(file: IO[bytes], pinned: Sequence[bytes]) -> Keys:
    """By their ids; those that the file brings when there are no others."""
    try:
        said = _record(file.readline(LONGEST))
        if said["format"] != "actioncenter-audit-export 1":
            raise ValueError("its format is unknown")
        keys = pinned or [bytes.fromhex(key) for key in said["public_keys"].values()]
        return {sha256(key).hexdigest()[:16]: Ed25519PublicKey.from_public_bytes(key) for key in keys}
    except UNREADABLE as error:
        raise Unusable(f"this is no export of the audit log, or a key is none: {error}") from error


def _key(said: str) -> bytes:
    """From hex, or a file that holds hex or 32 bytes."""
    try:
        raw = said.encode() if HASH.fullmatch(said) else Path(said).read_bytes()
        return raw if len(raw) == 32 else bytes.fromhex(HASH.fullmatch(raw.decode().strip())[0])  # type: ignore[index]
    except (OSError, *UNREADABLE) as error:
        raise Unusable(f"{said} is no key of 32 bytes: {error}") from error


def sentences(result: Result) -> Iterator[str]:
    if not result.pinned:
        yield "WARNING: NO PUBLIC KEY GIVEN. Signatures were checked with the keys in the file itself. That shows"
        yield "that the file fits together, not who made it: anybody can make one with keys of their own."
    if result.problem:
        yield f"WRONG: {result.problem}"
        return
    yield f"Nothing is wrong with {result.events} events and {result.seals} seals."
    if not result.chained:
        yield f"Without --audit-key nothing vouches for the last {result.unsealed} events, which no seal holds."
    if not result.compared:
        yield "Without --against nothing shows an older state put back, or all written anew with stolen keys."


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an export of the audit log.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--public-key", action="append", default=[], metavar="HEX_OR_FILE")
    parser.add_argument("--audit-key", metavar="FILE")
    parser.add_argument("--against", type=Path, metavar="CHECKPOINTS")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    given = parser.parse_args()
    try:
        public, secret = [*map(_key, given.public_key)], given.audit_key and _key(given.audit_key)
        result = verify_file(given.export, public_keys=public, audit_key=secret, against=given.against)
    except Unusable as error:
        answer, status, lines = {"ok": False, "unusable": str(error)}, 2, [f"UNUSABLE: {error}"]
    else:
        answer, status, lines = result.as_json(), int(result.problem is not None), [*sentences(result)]
    sys.stdout.write((json.dumps(answer) if given.json else "\n".join(lines)) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
