"""Our own certificate authority: each call signs in with a key made for it, for five minutes and one command."""

import hashlib
import time
from collections.abc import Sequence
from typing import Final

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actioncenter.connectors.base import Permanent
from actioncenter.connectors.ssh.packing import COMMAND

MINUTES: Final = 5
SKEW: Final = 60
"""Seconds that a host's clock may be behind ours."""

Credentials = tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]


class Authority:
    """`seed` is 32 bytes as hexadecimal text. The key is held by the library; nothing here shows it."""

    def __init__(self, seed: str) -> None:
        try:
            key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        except ValueError:
            raise Permanent(
                "settings", "The key that signs the certificates for hosts can't be read."
            ) from None
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        self._key = asyncssh.import_private_key(pem)

    def public(self) -> str:
        """The line that hosts trust."""
        return self._key.export_public_key("openssh").decode().strip()

    def fingerprint(self) -> str:
        return str(self._key.get_fingerprint())

    def sign(self, name: str, user: str, sources: Sequence[str]) -> Credentials:
        """A fresh key and its certificate. `name` is what the host's own log calls it: the action's id."""
        fresh = asyncssh.generate_private_key("ssh-ed25519")
        now = int(time.time())
        certificate = self._key.generate_user_certificate(
            fresh,
            name,
            serial=int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big"),
            principals=[user],
            valid_after=now - SKEW,
            valid_before=now + MINUTES * 60,
            force_command=COMMAND,
            source_address=list(sources),
            permit_x11_forwarding=False,
            permit_agent_forwarding=False,
            permit_port_forwarding=False,
            permit_pty=False,
            permit_user_rc=False,
        )
        return fresh, certificate
