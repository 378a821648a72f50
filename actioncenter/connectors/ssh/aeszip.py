"""A zip with one stored file, locked with AES-256 as WinZip does it (AE-2), written as the content comes.

The password is known to everybody: it keeps mail filters and scanners from removing a sample, and people from running it
by mistake. What keeps it confidential is the vault that it lies in.
"""

import hashlib
import hmac
import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

PASSWORD: Final = "infected"  # noqa: S105 - the convention of the field
_ROUNDS, _SALT, _CHECK, _CODE = 1000, 16, 2, 10
_BLOCK: Final = 1 << 16
_METHOD, _STORED, _AES256 = 99, 0, 3
_LOCKED: Final = 0x0001
_JANUARY_1980: Final = 0x21
_FIELD: Final = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", _AES256, _STORED)


def locked(name: str, size: int, blocks: Iterable[bytes], password: str = PASSWORD) -> Iterator[bytes]:
    """`name` in ASCII. Raises ValueError where the content isn't of the size that was said."""
    if size >= 1 << 31:
        raise ValueError("too large for a zip of this kind")
    raw, packed = name.encode("ascii"), _SALT + _CHECK + size + _CODE
    about = struct.pack(
        "<HHHHHIIIHH", 51, _LOCKED, _METHOD, 0, _JANUARY_1980, 0, packed, size, len(raw), len(_FIELD)
    )
    yield b"PK\x03\x04" + about + raw + _FIELD
    yield from _content(size, blocks, password)
    offset = 4 + len(about) + len(raw) + len(_FIELD) + packed
    entry = (
        b"PK\x01\x02" + struct.pack("<H", 51) + about + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw + _FIELD
    )
    yield entry
    yield b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), offset, 0)


def _content(size: int, blocks: Iterable[bytes], password: str) -> Iterator[bytes]:
    salt = os.urandom(_SALT)
    keys = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _ROUNDS, 32 + 32 + _CHECK)
    code = hmac.new(keys[32:64], digestmod="sha1")
    yield salt + keys[64:]
    stream, seen = _Stream(keys[:32]), 0
    for block in blocks:
        seen += len(block)
        secret = stream.over(block)
        code.update(secret)
        yield secret
    if seen != size:
        raise ValueError("it isn't of the size that was said")
    yield code.digest()[:_CODE]


class _Stream:
    """AES in counter mode with the counter as WinZip has it: from one, its lowest byte first."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - of counters, none of them twice
        self._next = 1
        self._left = b""

    def over(self, block: bytes) -> bytes:
        while len(self._left) < len(block):
            self._left += self._more()
        pad, self._left = self._left[: len(block)], self._left[len(block) :]
        mixed = int.from_bytes(block, "little") ^ int.from_bytes(pad, "little")
        return mixed.to_bytes(len(block), "little")

    def _more(self) -> bytes:
        count = _BLOCK // 16
        counters = array("Q", bytes(_BLOCK))
        counters[0::2] = array("Q", range(self._next, self._next + count))
        self._next += count
        return self._encryptor.update(counters.tobytes())
