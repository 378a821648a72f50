"""Checks an export of the Action center's audit log. Needs Python 3.11 and `cryptography`, nothing else.

    python3 standalone.py EXPORT --public-key HEX_OR_FILE [--audit-key FILE] [--against CHECKPOINTS] [--json]

docs/audit/format.md describes what it reads. Keys can be given several times. Exit status: 0 nothing is wrong, 1 something is and is named,
2 it can't be used. Memory: one seal, and a little for each stream, gap between ids and checkpoint.
"""

import argparse
import hmac
import io
import json
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.stdout.write("UNUSABLE: signatures can't be checked without the Python package cryptography.\n")
    sys.exit(2)

# Its other half; the one file that `manage.py audit script` writes has it here.
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from actioncenter.audit.standalone_texts import (
    HASH,
    LEAF,
    LINES,
    LONGEST,
    PURGE,
    UNREADABLE,
    Event,
    Redaction,
    Seal,
    as_object,
    audit_key_id,
    checkpoint,
    entries,
    read_event,
    read_redaction,
    read_seal,
    record,
)  # fmt: skip

# End of the other half.

Keys = dict[str, Ed25519PublicKey]


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
    redacted: int = 0
    untold: int = 0
    handed_over_to: tuple[str, ...] = ()
    problem: Problem | None = None

    def as_json(self) -> dict[str, Any]:
        bad = (one := self.problem) and {"check": one.check, "message": one.args[0], **one.place}
        return {"ok": bad is None, **vars(self), "problem": bad}


def verify_file(path: Path, *, public_keys: Sequence[bytes] = (), audit_keys: Sequence[bytes] = (), against: Path | None = None) -> Result:  # fmt: skip
    """Raises Unusable: the export, the checkpoints or a key can't be read."""
    result = Result(bool(public_keys), bool(audit_keys), against is not None)
    try:
        with path.open("rb") as file, against.open("rb") if against else io.BytesIO() as checkpoints:
            Verifier(_keys(file, public_keys), audit_keys, checkpoints, result).run(file)
    except Problem as problem:
        result.problem = problem
    except OSError as error:
        raise Unusable(f"can't be read: {error}") from error
    return result


class Verifier:
    def __init__(self, keys: Keys, audit: Sequence[bytes], kept: IO[bytes], result: Result) -> None:
        self._keys, self._ever, self._audit, self._kept, self._result = keys, dict(keys), audit, kept, result
        self._place: dict[str, int | str] = {}
        self._seal, self._next, self._digest = Seal(0, 0, "", (), (), b""), 0, ""
        self._seen: list[tuple[int, int]] = []
        self._streams: dict[str, tuple[int, str]] = {}
        self._waiting: dict[tuple[str, int], Event] = {}
        self._size, self._part = 0, "sealed"
        self._dropped, self._last_dropped, self._oldest = 0, 0, -(1 << 62)
        self._papers: list[tuple[int | str, tuple[str, str, str]]] = []
        self._redactions: dict[int, Redaction] = {}
        self._untold: dict[str, Redaction] = {}
        self._asked: dict[int, tuple[Any, ...]] = {}
        self._limits: dict[bytes, int] = {}
        self._made: dict[bytes, int] = {}
        self._checkpoints: dict[int, list[int]] = {}

    def must(self, fine: object, check: str, message: str, **place: int | str) -> None:
        if not fine:
            raise Problem(check, message, place or self._place)

    def run(self, file: IO[bytes]) -> None:
        for line, raw in enumerate(iter(lambda: self._kept.readline(LONGEST), b""), start=1):
            try:
                self._checkpoints.setdefault(checkpoint(raw)[0], []).append(self._kept.tell() - len(raw))
            except UNREADABLE as error:
                raise Unusable(f"line {line} of the checkpoints is none: {error}") from error
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST), b""), start=2):
            self._place = {"line": number}
            self.must(whole := raw.endswith(b"\n"), "end", "it is cut off, or longer than a line may be")
            try:
                if whole:
                    self._take(record(raw))
            except UNREADABLE as error:
                raise Problem("form", str(error), self._place) from error
        seals = self._dropped + self._result.seals
        self.must(self._part == "ended", "end", "it is cut off: its last line is missing", seal=seals)
        for at, paper in self._papers:
            self.must(self._is_signed(*paper, ever=True), "signature", "no key signed it", line=at)
        for left in self._untold.values():
            # What happened after the end of the file can't be told in it.
            self.must(left.at > self._seal.at, "redaction", "no event tells of it", event=left.event)
            self._result.untold += 1
        self._skip_to(len(self._seal.ids))
        for event in self._waiting.values():
            self.must(False, "seq", "one before it in its stream is missing", **event.place())
        self._compare(min((number for number in self._checkpoints if number > self._dropped), default=0))

    def _take(self, said: Mapping[str, Any]) -> None:
        types = {name: type(value) for name, value in said.items()}
        kind = next((kind for kind, needed in LINES.items() if types == needed), "")
        self.must(self._part != "ended", "end", "the file goes on after its last line")
        if kind != "event":
            self._skip_to(len(self._seal.ids))
        if kind == "event":
            self._take_event(said)
        elif kind == "end":
            self._part, counts = "ended", {"seals": self._result.seals, "events": self._result.events}
            self.must(said["end"] == counts, "end", f"the file holds {counts}")
        elif kind == "purge" and self._place == {"line": 2}:
            self._take_purge(**said)
        elif kind == "redaction" and self._seal.number == 0:
            self._take_redaction(**said)
        elif kind == "seal" and self._part == "sealed":
            self._take_seal(**said)
        elif kind == "unsealed" and self._part == "sealed":
            self._part = "unsealed"
        else:
            raise ValueError("no line of an export, or not in this place")

    def _take_purge(self, purge: str, key: str, signature: str) -> None:
        self._take_paper(key, purge, signature)
        said = {name: value or "" for name, value in entries(purge, *PURGE).items()}
        self._dropped, self._digest, self._seen = int(said["seal"]), said["digest"], [(0, int(said["last"]))]
        self._streams, self._last_dropped = json.loads(said["heads"]), int(said["last"])
        self._oldest = int(said["oldest"])
        self._compare(self._dropped)

    def _take_redaction(self, redaction: str, key: str, signature: str) -> None:
        self._take_paper(key, redaction, signature)
        said = read_redaction(redaction)
        self.must(said.is_by_two(), "redaction", "it isn't of two people")
        before = self._redactions.get(said.event)
        self.must(
            before is None or before.number < said.number, "form", "its number isn't higher than before"
        )
        self._result.redacted += before is None
        self._redactions[said.event] = self._untold[said.digest] = said

    def _take_paper(self, *paper: str) -> None:
        """Key, text and signature of what has no place among the seals: a later one may hand over to its key."""
        key, text, signature = paper
        fine = key not in self._keys or self._is_signed(key, text, signature)
        self.must(fine, "signature", "none of the keys signed it")
        self._papers.append((self._place["line"], (key, text, signature)))

    def _take_seal(self, seal: str, key: str, signature: str) -> None:
        expected = self._place["seal"] = self._dropped + self._result.seals + 1
        self._seal, before = read_seal(seal), self._digest
        self._next, self._digest = 0, sha256(seal.encode()).hexdigest()
        self._result.seals += 1
        self.must(self._is_signed(key, seal, signature), "signature", "none of the keys signed it")
        self.must(self._seal.number == expected, "number", f"seal {self._seal.number} stands in its place")
        self.must(self._seal.previous == before, "previous", "it doesn't name the digest of the one before")
        self._compare(expected)
        if heir := self._seal.successor:
            self._keys.pop(key, None)
            self._keys |= (new := _by_id([heir]))
            self._ever |= new
            self._result.handed_over_to += (*new,)

    def _take_event(self, said: Mapping[str, Any]) -> None:
        self._place["event"] = said["event"]
        self._place = (event := read_event(said)).place()
        self._result.events += 1
        self.must(self._is_new(event.id), "twice", "an event with this id was there before")
        self.must(event.at >= self._oldest, "older", "it is older than all that was left")
        self._result.unsealed += self._part == "unsealed"
        taken = self._redactions.get(event.id)
        self.must(taken is None or taken.left(event), "redaction", "it isn't what its redaction left")
        if self._part == "sealed":
            at = bisect_left(self._seal.ids, event.id)
            named = self._seal.ids[at : at + 1] == [event.id]
            self.must(named, "events", f"seal {self._seal.number} doesn't name it")
            self._skip_to(at)
            own = sha256(bytes.fromhex(event.chain) + event.text.encode()).digest()
            self._next, leaf = at + named, taken.leaf if taken else own
            self.must(not named or leaf == self._seal.leaves[at], "leaf", "it isn't what was sealed")
        self._in_stream(event)

    def _skip_to(self, at: int) -> None:
        if at > self._next:
            place = {"seal": self._seal.number, "event": self._seal.ids[self._next]}
            self.must(False, "events", "the seal names this event, and it isn't in its place", **place)
        self._next = at

    def _is_new(self, number: int) -> bool:
        """Whether this id wasn't there before. They are kept as ranges."""
        at = bisect_left(self._seen, (number + 1,))
        before, after = self._seen[max(at - 1, 0) : at], self._seen[at : at + 1]
        if before and number <= before[0][1]:
            return False
        first = before[0][0] if before and before[0][1] == number - 1 else number
        last = after[0][1] if after and after[0][0] == number + 1 else number
        self._seen[at - (first < number) : at + (last > number)] = [(first, last)]
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
            self._check_chain(event, before)
            self._hear(event)
            self._streams[event.stream] = event.seq, event.chain
            event = self._waiting.pop((event.stream, event.seq + 1), None)
            self._size -= len(event.text) if event else 0

    def _check_chain(self, event: Event, before: str) -> None:
        """Not of what was redacted: its chain value belongs to the text that it had."""
        if not self._audit or event.id in self._redactions:
            return
        start = bytes.fromhex(before) if before else bytes(LEAF) + event.stream.encode()
        made = [key for key in self._audit if hmac.digest(key, start + event.text.encode(), "sha256").hex() == event.chain]  # fmt: skip
        self.must(made, "chain", "no key and the one before it give this", **event.place())
        for maker in made:
            fine = event.id <= self._limits.get(maker, event.id)
            self.must(fine, "chain", f"its key {audit_key_id(maker)} had been retired", **event.place())
            self._made[maker] = max(event.id, self._made.get(maker, 0))
            if (event.stream, event.kind) == ("key:audit", "key.retired"):
                self._retire(event, maker)

    def _retire(self, event: Event, maker: bytes) -> None:
        """A key that this event names makes none with a higher id. No key sets its own limit."""
        named = as_object(event.detail).get("id")
        for key in self._audit:
            if key != maker and audit_key_id(key) == named:
                fine = self._made.get(key, 0) <= event.id
                self.must(fine, "chain", f"its key {named} had been retired", event=self._made.get(key, 0))
                self._limits[key] = min(event.id, self._limits.get(key, event.id))

    def _hear(self, event: Event) -> None:
        """What the log tells of redactions, in the order in which it happened."""
        if event.stream != "redaction" or event.kind not in {"audit.redaction_requested", "audit.redacted"}:
            return
        detail = as_object(event.detail)
        if event.kind == "audit.redaction_requested":
            self._asked[event.id] = event.actor, detail.get("event"), detail.get("fields"), detail.get("hash")
            return
        said = self._untold.pop(str(detail.get("digest")), None)
        if said is None:
            gone = isinstance(about := detail.get("event"), int) and about <= self._last_dropped
            self.must(gone, "redaction", "it tells of a redaction whose record is gone", **event.place())
            return
        self.must(event.actor == said.approved_by, "redaction", "another one approved it", **event.place())
        fine = said.request <= self._last_dropped or self._asked.get(said.request) == said.wanted()
        self.must(fine, "redaction", "nobody asked for what it tells of", **event.place())

    def _is_signed(self, key: str, text: str, signature: str, *, ever: bool = False) -> bool:
        with suppress(KeyError, InvalidSignature, ValueError):
            (self._ever if ever else self._keys)[key].verify(bytes.fromhex(signature), text.encode())
            return True
        return False

    def _compare(self, number: int) -> None:
        for at in self._checkpoints.pop(number, ()):
            self._kept.seek(at)
            _, digest, text, key, signature = checkpoint(self._kept.readline())
            fits, seals = digest == sha256(text.encode()).hexdigest(), self._dropped + self._result.seals
            fine = not text or (fits and self._is_signed(key, text, signature))
            self.must(fine, "checkpoint", "none of the keys signed it", seal=number)
            self.must(number <= seals, "cut back", f"the export ends with seal {seals}", seal=number)
            kept = read_seal(text) if text else self._seal
            differing = {*zip(kept.ids, kept.leaves)} ^ {*zip(self._seal.ids, self._seal.leaves)}  # noqa: B905
            first = {"event": min(differing)[0]} if differing else {}
            fine = number > seals or digest == self._digest
            self.must(fine, "another seal", "it isn't the checkpoint's", seal=number, **first)


def _keys(file: IO[bytes], pinned: Sequence[bytes]) -> Keys:
    """By their ids; those that the file brings when there are no others."""
    try:
        said = record(file.readline(LONGEST))
        if said["format"] not in {f"actioncenter-audit-export {number}" for number in (1, 2, 3)}:
            raise ValueError("its format is unknown")
        return _by_id(pinned or map(bytes.fromhex, said["public_keys"].values()))
    except UNREADABLE as error:
        raise Unusable(f"this is no export of the audit log, or a key is none: {error}") from error


def _by_id(keys: Iterable[bytes]) -> Keys:
    return {sha256(key).hexdigest()[:16]: Ed25519PublicKey.from_public_bytes(key) for key in keys}


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
    if result.redacted:
        yield f"Text was taken out of {result.redacted} events, each time by two people as its signed record says."
    if result.untold:
        yield f"Of {result.untold} of these records no event in this file tells: they are of later, and rest on a signing key alone until a later file tells of them."
    if not result.chained:
        yield f"Without --audit-key nothing vouches for the last {result.unsealed} events, which no seal holds."
    if not result.compared:
        yield "Without --against nothing shows an older state put back, or all written anew with stolen keys."


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an export of the audit log.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--public-key", action="append", default=[], metavar="HEX_OR_FILE")
    parser.add_argument("--audit-key", action="append", default=[], metavar="FILE")
    parser.add_argument("--against", type=Path, metavar="CHECKPOINTS")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    given = parser.parse_args()
    try:
        keys = {"public_keys": [*map(_key, given.public_key)], "audit_keys": [*map(_key, given.audit_key)]}
        result = verify_file(given.export, against=given.against, **keys)
    except Unusable as error:
        answer, status, lines = {"ok": False, "unusable": str(error)}, 2, [f"UNUSABLE: {error}"]
    else:
        answer, status, lines = result.as_json(), int(result.problem is not None), [*sentences(result)]
    sys.stdout.write((json.dumps(answer) if given.json else "\n".join(lines)) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
