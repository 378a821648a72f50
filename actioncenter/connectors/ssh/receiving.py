"""A file on its way from a host: in frames, hashed and counted as it comes, believed in nothing but its content."""

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from actioncenter.connectors.base import Json, Permanent, Transient
from actioncenter.connectors.ssh import packing
from actioncenter.connectors.ssh.spool import Spool

if TYPE_CHECKING:
    import asyncssh

LARGEST_FRAME: Final = 1 << 20
LARGEST_NOTE: Final = 1 << 14
LATER: Final = 30.0


class Received(NamedTuple):
    content: Spool
    size: int
    sha256: str


async def received(stream: "asyncssh.SSHReader[bytes]", call: Json, nonce: str, most: int) -> Received:
    """Raises Transient where it broke off, which has changed nothing anywhere, and Permanent for what is wrong."""
    head = _note(await _frame(stream, LARGEST_NOTE), call, nonce)
    size, said = head.get("size"), head.get("sha256")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= most:
        raise Permanent("too_big", "It would send more than is taken.")
    spool, sha256 = Spool(), hashlib.sha256()
    while block := await _frame(stream, LARGEST_FRAME):
        if spool.size + len(block) > size:
            raise Permanent("too_big", "It sent more than it had said.")
        sha256.update(block)
        spool.write(block)
    if _note(await _frame(stream, LARGEST_NOTE), call, nonce).get("sent") is not True:
        raise Permanent("nonsense", "It didn't say that this was all.")
    if (spool.size, sha256.hexdigest()) != (size, said):
        raise Permanent("hash_mismatch", "What it sent isn't what it said that it would send.")
    return Received(spool, size, sha256.hexdigest())


async def _frame(stream: "asyncssh.SSHReader[bytes]", most: int) -> bytes:
    try:
        (size,) = struct.unpack(">I", await stream.readexactly(4))
        if size > most:
            raise Permanent("nonsense", "It sent what can't be read.")
        return bytes(await stream.readexactly(size)) if size else b""
    except EOFError:
        raise Transient("The connection broke before all of it was here.", LATER, offline=True) from None


def _note(raw: bytes, call: Json, nonce: str) -> Json:
    try:
        note = json.loads(raw)
        mine = (note.get("id"), note.get("nonce")) == (call["id"], nonce)
    except (ValueError, AttributeError, RecursionError):
        raise Permanent("nonsense", "It sent what can't be read.") from None
    if not mine:
        raise Permanent("nonsense", "It answered another request.")
    if isinstance(error := note.get("error"), dict):
        raise Permanent("refused", f"{str(error.get('code'))[:40]}: {str(error.get('text'))[:400]}")
    if note.get("helper") != packing.digest():
        raise Permanent("nonsense", "It sent what can't be read.")
    return dict(note)
