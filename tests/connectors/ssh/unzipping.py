"""Another reader of locked zips, after the published format and none of our own code: hashlib, and AES from ECB alone."""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB


def unlocked(raw: bytes, password: bytes) -> tuple[str, bytes]:
    """Name and content of the only file. Raises ValueError for a wrong password and for what was changed."""
    end = raw.rindex(b"PK\x05\x06")
    disk, start, here, all_, size, at, comment = struct.unpack("<HHHHIIH", raw[end + 4 : end + 22])
    if (disk, start, here, all_, comment, at + size) != (0, 0, 1, 1, 0, end):
        raise ValueError("directory")
    entry = struct.unpack("<4s6H3I5H2I", raw[at : at + 46])
    flags, method, packed, length, names, extras, offset = (entry[n] for n in (3, 4, 8, 9, 10, 11, 16))
    field = raw[at + 46 + names : at + 46 + names + extras]
    kind, _, version, vendor, strength, really = struct.unpack("<HHH2sBH", field)
    if (flags & 1, method, kind, version, vendor, strength, really) != (1, 99, 0x9901, 2, b"AE", 3, 0):
        raise ValueError("method")
    head = struct.unpack("<4s5H3I2H", raw[offset : offset + 30])
    if head[1:10] != entry[2:11]:
        raise ValueError("its two headers differ")
    name = raw[offset + 30 : offset + 30 + names]
    begin = offset + 30 + head[9] + head[10]
    if begin + packed != at or packed != length + 28 or name != raw[at + 46 : at + 46 + names]:
        raise ValueError("sizes")
    salt, check = raw[begin : begin + 16], raw[begin + 16 : begin + 18]
    secret, code = raw[begin + 18 : begin + packed - 10], raw[begin + packed - 10 : begin + packed]
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 66)
    if keys[64:] != check:
        raise ValueError("password")
    if hmac.digest(keys[32:64], secret, "sha1")[:10] != code:
        raise ValueError("changed")
    cipher = Cipher(AES256(keys[:32]), ECB()).encryptor()
    out = bytearray()
    for number in range(0, len(secret), 16):
        pad = cipher.update((number // 16 + 1).to_bytes(16, "little"))
        out += bytes(a ^ b for a, b in zip(secret[number : number + 16], pad, strict=False))
    return name.decode(), bytes(out)
