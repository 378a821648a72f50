"""What a binding says of a host: where it is and which host key it showed when it was enrolled."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from actioncenter.connectors.base import Unsupported

ALGORITHMS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_PIN: Final = re.compile(r"(?P<host>\S+)@(?P<port>[0-9]{1,5}) (?P<algorithm>\S+) (?P<fingerprint>\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """As text, the `remote` of a binding: `10.0.0.7@22 ssh-ed25519 SHA256:…`.

    An action freezes it when it is proposed, so that a host that was enrolled anew since is another one.
    """

    host: str
    port: int
    algorithm: str
    fingerprint: str

    @classmethod
    def read(cls, remote: str) -> Self:
        """Raises Unsupported for a reference that no enrolment wrote."""
        found = _PIN.fullmatch(remote)
        if found is None or not _is_host(found["host"]):
            raise Unsupported("It isn't enrolled for SSH.")
        port, algorithm, fingerprint = int(found["port"]), found["algorithm"], found["fingerprint"]
        if not 0 < port < 2**16 or algorithm not in ALGORITHMS or not _FINGERPRINT.fullmatch(fingerprint):
            raise Unsupported("It isn't enrolled for SSH.")
        return cls(found["host"], port, algorithm, fingerprint)

    def __str__(self) -> str:
        return f"{self.host}@{self.port} {self.algorithm} {self.fingerprint}"


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _NAME.fullmatch(text) is not None
    return True
