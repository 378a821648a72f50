"""A throw-away Unbound that resolves one made-up zone and refuses what our feed says, on a random loopback port."""

import shutil
import socket
import struct
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Final, Self

from actioncenter.estate.services import Service, ServiceMissing, free_port

ZONE: Final = "example"
"""Unbound answers for `test` by itself, which would prove nothing."""
ADDRESS: Final = "192.0.2.80"
POLICY: Final = "actioncenter.rpz"
NXDOMAIN: Final = 3
_CONF: Final = """
server:
    interface: 127.0.0.1
    port: {port}
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    module-config: "respip iterator"
    num-threads: 1
    so-rcvbuf: 0
remote-control:
    control-enable: yes
    control-interface: {folder}/control
    control-use-cert: no
auth-zone:
    name: {zone}
    zonefile: "{folder}/zone"
    for-upstream: yes
    for-downstream: no
rpz:
    name: {policy}
    zonefile: "{folder}/policy"
    url: "{feed}"
"""
_RECORDS: Final = """$ORIGIN {zone}.
$TTL 1
@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 1
@ NS ns.{zone}.
ns A 127.0.0.1
* A {address}
"""


class Unbound(Service):
    """`feed` is where it pulls its policy from."""

    package = "unbound"

    @classmethod
    def start(cls, feed: str) -> Self:
        program()
        folder, port = Path(tempfile.mkdtemp(prefix="actioncenter-unbound-")), free_port()
        values = {"port": port, "folder": folder, "zone": ZONE, "policy": POLICY, "feed": feed}
        (folder / "unbound.conf").write_text(_CONF.format(**values))
        (folder / "zone").write_text(_RECORDS.format(zone=ZONE, address=ADDRESS))
        server = cls(folder, port, partial(_spawn, folder))
        return server.wait_until(server.answers, cls.patience)

    def answers(self) -> bool:
        return self.ask(f"alive.{ZONE}") == ADDRESS

    def pull(self) -> None:
        """Ask our feed now instead of in half a minute. Raises CalledProcessError."""
        subprocess.run(  # noqa: S603 - our own arguments
            [program("unbound-control"), "-c", self.folder / "unbound.conf", "auth_zone_transfer", POLICY],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip

    def ask(self, name: str) -> str:
        """Its address, or empty where there is no such name. Raises OSError when nothing comes back."""
        labels = b"".join(struct.pack("B", len(each)) + each for each in name.encode().split(b"."))
        question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(5)
            line.sendto(question, ("127.0.0.1", self.port))
            answer = line.recv(4096)
        code, found = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
        if code == NXDOMAIN:
            return ""
        if code or not found:
            raise OSError(f"It answers with code {code} and {found} records.")
        return socket.inet_ntoa(_address_in(answer))


_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"


def program(name: str = "unbound") -> Path:
    """Raises ServiceMissing."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise ServiceMissing("Unbound", Unbound.package)
    return Path(found)


def _address_in(answer: bytes) -> bytes:
    """Of its first record; others may follow."""
    at = answer.index(struct.pack("!HH", 1, 1), answer.index(b"\xc0\x0c"))
    return answer[at + 10 : at + 14]


def _spawn(folder: Path) -> "subprocess.Popen[bytes]":
    command = [str(program()), "-d", "-c", str(folder / "unbound.conf")]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            ["setpriv", "--pdeathsig", "TERM", *command],  # noqa: S607
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
