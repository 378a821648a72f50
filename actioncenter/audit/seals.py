"""The text of a seal, which puts a batch of events in the order of all and is signed.

The format, complete enough to be written again in another language:

- The text is UTF-8: the line `actioncenter-seal 1` and then one entry per field, in the order of FIELDS,
  written as in an event's text (audit/canonical.py): `name:type:length:value` and a line feed.
- `number` counts the seals from 1, without gaps. `at` is when it was made. `previous` is the digest of the
  seal before it; of the first, empty. `count` says how many events it holds, perhaps none.
- `events` names them by their ids, in rising order, as `5-17,19`. Ids are given before a transaction ends,
  so a seal may name lower ids than the one before it, and never the same.
- `leaves` has one leaf of 32 bytes for each event in that order, all together in base64 (RFC 4648, padded).
  leaf = SHA-256(chain + text): the 32 bytes of the event's chain value and its canonical text.
- digest = SHA-256(text), in lower-case hex.
- signature = Ed25519 (RFC 8032) over the text, in hex. The key's id is the first 16 hex digits of the
  SHA-256 of its 32 public bytes.
- A seal that hands over to the next signing key begins with `actioncenter-seal 2` and has one more entry:
  `successor`, the 32 bytes of that public key in hex. All seals after it are signed with the successor.

An event belongs to exactly one seal. Whoever knows the public key needs no other to see that.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from actioncenter.audit.canonical import microseconds, moment

HEADER: Final = "actioncenter-seal 1\n"
FIELDS: Final[Mapping[str, str]] = {
    "number": "i", "at": "t", "previous": "s", "count": "i", "events": "s", "leaves": "s",
}  # fmt: skip
HANDOVER_HEADER: Final = "actioncenter-seal 2\n"
HANDOVER_FIELDS: Final[Mapping[str, str]] = {**FIELDS, "successor": "s"}
LEAF_BYTES: Final = 32
_CHAIN: Final = re.compile(r"[0-9a-f]{64}")
_PUBLIC_KEY: Final = _CHAIN
_RANGES: Final = re.compile(r"(?:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)?")


@dataclass(frozen=True, slots=True)
class SealText:
    """What a seal says."""

    number: int
    at: datetime
    previous: str
    ids: Sequence[int]
    leaves: Sequence[bytes]
    successor: str = ""
    """Public key (hex) that signs all after this one; empty where it stays the same."""

    def render(self) -> str:
        values = (
            str(self.number), str(microseconds(self.at)), self.previous, str(len(self.ids)),
            ranges(self.ids), base64.b64encode(b"".join(self.leaves)).decode(),
        )  # fmt: skip
        if self.successor:
            return written(HANDOVER_HEADER, HANDOVER_FIELDS, (*values, self.successor))
        return written(HEADER, FIELDS, values)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError: it is no text of a seal."""
        is_handover = text.startswith(HANDOVER_HEADER)
        said = (
            entries(HANDOVER_HEADER, HANDOVER_FIELDS, text) if is_handover else entries(HEADER, FIELDS, text)
        )
        leaves = base64.b64decode(said["leaves"], validate=True)
        count = int(said["count"])
        # No more than there are leaves: a forged range could fill the memory.
        ids = list(islice(ids_of(said["events"]), len(leaves) // LEAF_BYTES + 1))
        if not len(ids) == count == len(leaves) / LEAF_BYTES:
            raise ValueError("count, events and leaves disagree")
        if ids != sorted(set(ids)):
            raise ValueError("events are not in rising order")
        if "successor" in said and not _PUBLIC_KEY.fullmatch(said["successor"]):
            raise ValueError("its successor is no public key")
        seal = cls(
            int(said["number"]),
            moment(int(said["at"])),
            said["previous"],
            ids,
            [leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)],
            said.get("successor", ""),
        )
        if seal.render() != text:
            raise ValueError("written otherwise than a seal is")
        return seal


def written(header: str, fields: Mapping[str, str], values: Sequence[str]) -> str:
    """A signed text. ASCII throughout, so characters are bytes."""
    each = zip(fields.items(), values, strict=True)
    return header + "".join(f"{name}:{kind}:{len(value)}:{value}\n" for (name, kind), value in each)


def entries(header: str, fields: Mapping[str, str], text: str) -> dict[str, str]:
    """What `written` was given. Raises ValueError."""
    if not text.isascii() or not text.startswith(header):
        raise ValueError("unknown header")
    found, position = {}, len(header)
    for name, kind in fields.items():
        start = re.compile(rf"{name}:{kind}:(\d+):").match(text, position)
        if start is None:
            raise ValueError(f"field {name} expected at byte {position}")
        end = start.end() + int(start[1])
        if text[end : end + 1] != "\n":
            raise ValueError(f"field {name} has a wrong length")
        found[name], position = text[start.end() : end], end + 1
    if position != len(text):
        raise ValueError("text after the last field")
    return found


def leaf(chain: str, text: str) -> bytes:
    """Of one event. Whoever forges a chain value that is no hex must not keep others from being sealed."""
    raw = bytes.fromhex(chain) if _CHAIN.fullmatch(chain) else chain.encode()
    return hashlib.sha256(raw + text.encode()).digest()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ranges(ids: Iterable[int]) -> str:
    """Rising numbers as `5-17,19`."""
    runs: list[list[int]] = []
    for number in ids:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def ids_of(text: str) -> Iterator[int]:
    """The numbers in such ranges. Raises ValueError."""
    if not _RANGES.fullmatch(text):
        raise ValueError("events are no ranges of numbers")
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]


def by_id(keys: Iterable[bytes]) -> dict[str, bytes]:
    """Public keys under their ids."""
    return {key_id(key): key for key in keys}


def public_key(private: bytes) -> bytes:
    """32 raw bytes of either."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign(private: bytes, text: str) -> str:
    return Ed25519PrivateKey.from_private_bytes(private).sign(text.encode()).hex()


def is_signed(public: bytes, text: str, signature: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
