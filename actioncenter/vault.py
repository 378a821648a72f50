"""Encryption at rest of what the product keeps for later: secrets, restore data, artefacts."""

import json
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


def _keys() -> MultiFernet:
    keys = [settings.FIELD_KEY, *settings.FIELD_KEY_FALLBACKS]
    return MultiFernet([Fernet(key) for key in keys])


def seal(value: Any) -> bytes:
    """Encrypt anything JSON can carry."""
    return seal_bytes(json.dumps(value).encode())


def unseal(token: bytes | memoryview) -> Any:
    """Raises cryptography.fernet.InvalidToken when the key is another or the text was changed."""
    return json.loads(unseal_bytes(token))


def seal_bytes(content: bytes) -> bytes:
    return _keys().encrypt(content)


def unseal_bytes(token: bytes | memoryview) -> bytes:
    return _keys().decrypt(bytes(token))


def is_current(token: bytes | memoryview) -> bool:
    """Whether it was made with the key that is in use now. A token carries no key id: its own MAC tells."""
    return is_of(settings.FIELD_KEY, token)


def is_of(key: bytes, token: bytes | memoryview) -> bool:
    try:
        Fernet(key).decrypt(bytes(token))
    except InvalidToken:
        return False
    return True


def renewed(token: bytes | memoryview) -> bytes:
    """The same content under the current key. Raises as `unseal`."""
    return _keys().rotate(bytes(token))


# Files: a key of their own under the product's key, so that renewing that one is a matter of a few bytes

_MAGIC = b"ACF1"
_BLOCK = 1 << 20
_TAG = 16
_LONGEST_HEAD = 4096


def seal_stream(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Encrypt as it comes. What is cut off, put in another order or changed can't be opened."""
    key = AESGCM.generate_key(256)
    head = _keys().encrypt(key)
    yield _MAGIC + struct.pack(">I", len(head)) + head
    cipher, waiting, number = AESGCM(key), b"", 0
    for block in blocks:
        waiting += block
        while len(waiting) > _BLOCK:
            yield cipher.encrypt(_nonce(number, last=False), waiting[:_BLOCK], None)
            waiting, number = waiting[_BLOCK:], number + 1
    yield cipher.encrypt(_nonce(number, last=True), waiting, None)


def unseal_stream(source: IO[bytes]) -> Iterator[bytes]:
    """Raises InvalidToken where it isn't whole or not ours, at the block where that shows."""
    head = _head(source)
    if head is None:
        source.seek(0)
        yield unseal_bytes(source.read())
        return
    cipher = AESGCM(_keys().decrypt(head))
    number, block = 0, source.read(_BLOCK + _TAG)
    while True:
        following = source.read(_BLOCK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), block, None)
        except InvalidTag:
            raise InvalidToken from None
        if not following:
            return
        number, block = number + 1, following


def head_of(source: IO[bytes]) -> bytes:
    """What the product's key opens: the file's own key, or all of it where it is an old one. Left at what follows."""
    head = _head(source)
    if head is not None:
        return head
    source.seek(0)
    return source.read()


def renewed_stream(source: IO[bytes]) -> Iterator[bytes]:
    """The same file under the current key. Raises InvalidToken without the old one."""
    head = _head(source)
    if head is None:
        source.seek(0)
        yield renewed(source.read())
        return
    token = renewed(head)
    yield _MAGIC + struct.pack(">I", len(token)) + token
    while block := source.read(_BLOCK):
        yield block


def _head(source: IO[bytes]) -> bytes | None:
    """None for a file that is one token, as all were once."""
    if source.read(len(_MAGIC)) != _MAGIC:
        return None
    (size,) = struct.unpack(">I", source.read(4).rjust(4, b"\xff"))
    if size > _LONGEST_HEAD:
        raise InvalidToken
    return source.read(size)


def _nonce(number: int, *, last: bool) -> bytes:
    """Never twice under one key; the last one says so, or a file cut at a block would look whole."""
    return struct.pack(">QI", number, last)
