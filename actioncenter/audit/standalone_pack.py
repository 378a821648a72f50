"""Checks an evidence pack, in the folder where it was unpacked. Python's standard library and `cryptography`.

    python3 verify.py [--public-key HEX_OR_FILE]

Status 0 when all fits, 1 when something doesn't, 2 when it can't be read. Format: docs/audit/format.md.
"""

import argparse
import base64
import json
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT: Final = "actioncenter-evidence-pack 1"
REDACTED: Final = "actioncenter-evidence-pack 2"
"""With events from which text was taken out."""
CUT: Final = "actioncenter-evidence-pack 3"
"""Of streams that lost their beginning by rule; with or without such events."""
HANDOVER: Final = "actioncenter-seal 2\n"
HEX: Final = re.compile(r"[0-9a-f]{64}")
ENTRY: Final = re.compile(rb"([a-z_]+):([sitjn]):(\d{1,9}):")
UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError)

Keys = dict[str, Ed25519PublicKey]


class Problem(Exception):
    """Something that isn't as it was sealed."""


def entries(text: str, header: str) -> dict[str, str]:
    """Fields of a canonical text. Raises ValueError."""
    raw = text.encode()
    if not raw.startswith(header.encode()):
        raise ValueError("unknown header")
    found, at = {}, len(header)
    while at < len(raw):
        entry = ENTRY.match(raw, at)
        if entry is None:
            raise ValueError(f"no field at byte {at}")
        at = entry.end() + int(entry[3])
        if raw[at : at + 1] != b"\n":
            raise ValueError(f"a field before byte {at} has a wrong length")
        found[entry[1].decode()] = raw[entry.end() : at].decode()
        at += 1
    return found


def leaves_of(seals: Path, keys: Keys, wanted: set[int], ever: Keys) -> dict[int, bytes]:
    """Leaf by id, of the events that are wanted; `keys` change as they are handed over, `ever` grows. Raises Problem."""
    found: dict[int, bytes] = {}
    for number, said in enumerate(records(seals), start=1):
        text, key = said["seal"], keys.get(said["key"])
        if key is None:
            raise Problem(f"seals.jsonl line {number}: its key isn't trusted")
        try:
            key.verify(bytes.fromhex(said["signature"]), text.encode())
        except InvalidSignature as error:
            raise Problem(f"seals.jsonl line {number}: its signature is wrong") from error
        handover = text.startswith(HANDOVER)
        fields = entries(text, HANDOVER if handover else "actioncenter-seal 1\n")
        if handover:
            successor = bytes.fromhex(fields["successor"])
            del keys[said["key"]]
            ever[key_id(successor)] = keys[key_id(successor)] = Ed25519PublicKey.from_public_bytes(successor)
        leaves = base64.b64decode(fields["leaves"], validate=True)
        for at, pk in enumerate(ids_of(fields["events"], len(leaves) // 32)):
            if pk in wanted:
                found[pk] = leaves[32 * at : 32 * at + 32]
    return found


def redacted(file: Path, keys: Keys) -> dict[tuple[int, str, str], bytes]:
    """Event, chain value and hash of the text that was left -> leaf in its seal. Raises Problem."""
    found = {}
    for number, said in enumerate(records(file), start=1):
        fields = entries(said["redaction"], "actioncenter-redaction 1\n")
        try:
            keys[said["key"]].verify(bytes.fromhex(said["signature"]), said["redaction"].encode())
        except (KeyError, InvalidSignature) as error:
            raise Problem(f"redactions.jsonl line {number}: no trusted key signed it") from error
        people = {fields["requested_by"], fields["approved_by"]}
        if len(people) < 2 or not all(who.startswith("user:") for who in people):
            raise Problem(f"redactions.jsonl line {number}: it isn't of two people")
        found[int(fields["event"]), fields["chain"], fields["hash"]] = bytes.fromhex(fields["leaf"])
    return found


def begun(file: Path, keys: Keys) -> dict[str, set[int]]:
    """Stream -> numbers up to which signed purges say that it was dropped by rule. Raises Problem."""
    found: dict[str, set[int]] = {}
    for number, said in enumerate(records(file), start=1):
        fields = entries(said["purge"], "actioncenter-purge 1\n")
        try:
            keys[said["key"]].verify(bytes.fromhex(said["signature"]), said["purge"].encode())
        except (KeyError, InvalidSignature) as error:
            raise Problem(f"purges.jsonl line {number}: no trusted key signed it") from error
        for stream, (seq, _) in json.loads(fields["heads"]).items():
            found.setdefault(stream, set()).add(seq)
    return found


def ids_of(text: str, most: int) -> Iterator[int]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if int(last or first) - int(first) >= most:
            raise ValueError("more events than leaves")
        yield from range(int(first), int(last or first) + 1)


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def verify(folder: Path, keys: Keys, facts: dict[str, Any]) -> tuple[int, int]:
    """How many events fit, and how many no seal holds. Raises Problem."""
    wanted = {said["event"] for said in records(folder / "events.jsonl")}
    ever = dict(keys)
    leaves = leaves_of(folder / "seals.jsonl", keys, wanted, ever)
    blank, cut = folder / "redactions.jsonl", folder / "purges.jsonl"
    left = redacted(blank, ever) if facts["format"] == REDACTED or blank.exists() else {}
    begins = begun(cut, ever) if facts["format"] == CUT else {}
    fit = unsealed = 0
    last: dict[str, int] = {}
    for said in records(folder / "events.jsonl"):
        place = f"event {int(said['event'])}"
        fields = entries(said["text"], "actioncenter-event 1\n")
        stream, seq = fields["stream"], int(fields["seq"])
        before = {last[stream]} if stream in last else {0, *begins.get(stream, ())}
        if facts["whole_streams"] and seq - 1 not in before:
            raise Problem(f"{place}: events of its stream are missing before it, or it is there twice")
        last[stream] = seq
        if said["event"] not in leaves:
            unsealed += 1
            continue
        if not HEX.fullmatch(said["chain"]):
            raise Problem(f"{place}: its chain value is none")
        leaf = sha256(bytes.fromhex(said["chain"]) + said["text"].encode()).digest()
        stands = said["event"], said["chain"], sha256(said["text"].encode()).hexdigest()
        if left.get(stands, leaf) != leaves[said["event"]]:
            raise Problem(f"{place}: it isn't what was sealed")
        fit += 1
    if (fit + unsealed, unsealed) != (facts["events"], facts["unsealed"]):
        raise Problem(f"{fit + unsealed} events, {unsealed} of them in no seal; pack.json says otherwise")
    return fit, unsealed


def trusted(given: list[str], facts: dict[str, Any]) -> Keys:
    texts = [Path(each).read_text(encoding="ascii") if Path(each).is_file() else each for each in given]
    raw = [bytes.fromhex(text.strip()) for text in texts or facts["public_keys"].values()]
    return {key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in raw}


def key_id(public: bytes) -> str:
    return sha256(public).hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an evidence pack.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--public-key", action="append", default=[], metavar="HEX_OR_FILE")
    given = parser.parse_args()
    try:
        facts = json.loads((given.folder / "pack.json").read_text(encoding="utf-8"))
        if facts["format"] not in {FORMAT, REDACTED, CUT}:
            raise ValueError("its format is unknown")
        fit, unsealed = verify(given.folder, trusted(given.public_key, facts), facts)
    except Problem as problem:
        sys.stdout.write(f"WRONG: {problem}\n")
        return 1
    except UNREADABLE as error:
        sys.stdout.write(f"UNUSABLE: {error!r}\n")
        return 2
    if not given.public_key:
        sys.stdout.write("WARNING: NO PUBLIC KEY GIVEN. The pack fits together; who made it isn't shown.\n")
    sys.stdout.write(f"{fit} events are as they were sealed; {unsealed} are in no seal.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
