"""What is too large to be held, on disk until somebody reads it: under a key that lives in memory alone."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

BLOCK: Final = 1 << 18


class Spool:
    """Written once, then read as often as wanted. Without a name from the beginning, gone with this object."""

    def __init__(self) -> None:
        self._handle, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - what was opened goes on by its handle
        weakref.finalize(self, os.close, self._handle)
        # Never used for anything else, so one counter from the beginning is no counter twice.
        self._cipher = Cipher(AES256(os.urandom(32)), CTR(bytes(16)))
        self._encryptor = self._cipher.encryptor()
        self.size = 0

    def write(self, block: bytes) -> None:
        rest = self._encryptor.update(block)
        self.size += len(block)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def blocks(self) -> Iterator[bytes]:
        decryptor, at = self._cipher.decryptor(), 0
        while block := os.pread(self._handle, BLOCK, at):
            at += len(block)
            yield decryptor.update(block)
