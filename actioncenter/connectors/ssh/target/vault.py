"""Files that were taken out of the way, with all that makes them what they were. For root alone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from typing import Any

from actioncenter.connectors.ssh.target.places import (
    VAULT,
    VAULT_KEY,
    Json,
    Refusal,
    forget,
    read,
    sync,
    write,
)

MOST_BYTES = 2 << 30
_BLOCK = 1 << 20
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


def name_of(request: str, key: str) -> str:
    """Of a vault entry; the same for the same target of the same request."""
    return hashlib.sha256(f"{request} {key}".encode(errors="surrogateescape")).hexdigest()[:32]


def entry(name: str) -> Json | None:
    """What is written of it; None if there is none. Raises Refusal for a name that is none of ours."""
    if len(name) != 32 or not name.isalnum():
        raise Refusal("no_record", "Without a record of where it went there is nothing to restore.")
    found: Json | None = read(f"{VAULT}/{name}.json")
    return found


def record(name: str, what: Json) -> None:
    write(f"{VAULT}/{name}.json", what)


def entries() -> list[Json]:
    found = [read(f"{VAULT}/{each}") for each in os.listdir(VAULT) if each.endswith(".json")]
    return [each for each in found if each]


def content(name: str) -> str:
    return f"{VAULT}/{name}"


def drop_content(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(content(name))


def drop(name: str) -> None:
    """As if it had never been taken in."""
    drop_content(name)
    forget(f"{VAULT}/{name}.json")


def take_in(handle: int, name: str) -> Json:
    """Copy it and say what it is. The hashes are of what was copied, so nobody can swap it in between."""
    traits = traits_of(handle)
    if traits["size"] > MOST_BYTES:
        raise Refusal("too_big", "It is larger than what is taken into quarantine.")
    sha256, sha1, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    nonce = os.urandom(16)
    secret = _Secret(nonce)
    os.lseek(handle, 0, os.SEEK_SET)
    copy = os.open(content(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o400)
    try:
        while size <= MOST_BYTES:
            block = _whole(handle)
            if not block:
                break
            size += len(block)
            sha256.update(block)
            sha1.update(block)
            _write_all(copy, secret.over(block))
        os.fsync(copy)
    finally:
        os.close(copy)
    sync(VAULT)
    told = {"size": size, "sha256": sha256.hexdigest(), "sha1": sha1.hexdigest(), "nonce": nonce.hex()}
    return {**traits, **told}


class _Secret:
    """Content XOR what SHAKE-256 makes of the host's key, the file's nonce and the place: the library has no cipher.

    It keeps scanners, backups and hands from the content. Who is root here reads the key too.
    """

    def __init__(self, nonce: bytes) -> None:
        self._seed = _key() + nonce
        self._number = 0

    def over(self, block: bytes) -> bytes:
        seed = self._seed + self._number.to_bytes(8, "big")
        self._number += 1
        pad = int.from_bytes(hashlib.shake_256(seed).digest(len(block)), "big")
        return (int.from_bytes(block, "big") ^ pad).to_bytes(len(block), "big")


def _key() -> bytes:
    """Made with the first file; for root alone."""
    if not os.path.exists(VAULT_KEY):
        handle = os.open(VAULT_KEY + ".draft", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o400)
        try:
            _write_all(handle, os.urandom(32))
            os.fsync(handle)
        finally:
            os.close(handle)
        # What lies there is always whole. There is one call at a time that comes here.
        os.rename(VAULT_KEY + ".draft", VAULT_KEY)
        sync(os.path.dirname(VAULT_KEY))
    with open(VAULT_KEY, "rb") as file:
        return file.read(32)


def traits_of(handle: int) -> Json:
    """Owner, mode, times in nanoseconds, extended attributes (ACLs and capabilities among them), flags."""
    found = os.fstat(handle)
    return {
        "device": found.st_dev,
        "inode": found.st_ino,
        "links": found.st_nlink,
        "size": found.st_size,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "mode": found.st_mode & 0o7777,
        "atime": found.st_atime_ns,
        "mtime": found.st_mtime_ns,
        "attributes": {name: os.getxattr(handle, name).hex() for name in sorted(os.listxattr(handle))},
        "flags": _flags(handle),
    }


def give_back(name: str, handle: int, traits: Json) -> None:
    """Write it into an open, empty file and make that what it was.

    Raises OSError where that can't be, and Refusal where the vault no longer holds what was taken in.
    """
    secret = _Secret(bytes.fromhex(traits["nonce"])) if traits.get("nonce") else None
    sha256 = hashlib.sha256()
    with open(os.open(content(name), os.O_RDONLY | os.O_NOFOLLOW), "rb") as source:
        while True:
            block = source.read(_BLOCK)
            if not block:
                break
            plain = secret.over(block) if secret else block
            sha256.update(plain)
            _write_all(handle, plain)
    if sha256.hexdigest() != traits["sha256"]:
        raise Refusal("damaged", "What the vault holds is no longer what was taken in.")
    # A change of owner drops the setuid bit and capabilities, so they come after it; times come last.
    os.fchown(handle, traits["uid"], traits["gid"])
    os.fchmod(handle, traits["mode"])
    for each, value in traits["attributes"].items():
        os.setxattr(handle, each, bytes.fromhex(value))
    os.utime(handle, ns=(traits["atime"], traits["mtime"]))
    os.fsync(handle)


def _whole(handle: int) -> bytes:
    """A block of full length, but for the last: the secret of each depends on its place."""
    block = b""
    while len(block) < _BLOCK:
        more = os.read(handle, _BLOCK - len(block))
        if not more:
            break
        block += more
    return block


def _write_all(handle: int, block: bytes) -> None:
    while block:
        block = block[os.write(handle, block) :]


def _flags(handle: int) -> int:
    try:
        return int(struct.unpack("l", fcntl.ioctl(handle, _GET_FLAGS, struct.pack("l", 0)))[0])
    except OSError:
        return 0  # this file system has none


def unlock(handle: int) -> None:
    """Clear what keeps even root from moving it."""
    flags = _flags(handle)
    if flags & (_IMMUTABLE | _APPEND_ONLY):
        _set_flags(handle, flags & ~(_IMMUTABLE | _APPEND_ONLY))


def lock(handle: int, traits: Json) -> None:
    """The counterpart, once it is back in its place."""
    if traits["flags"] & (_IMMUTABLE | _APPEND_ONLY):
        _set_flags(handle, traits["flags"])


def _set_flags(handle: int, flags: int) -> Any:
    return fcntl.ioctl(handle, _SET_FLAGS, struct.pack("l", flags))
