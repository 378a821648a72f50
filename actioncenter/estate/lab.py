"""Real hosts on this machine: namespaces with an sshd each, on a network that nothing outside can reach.

A lab is a management namespace with a bridge, hosts behind it, and one peer to prove isolation against.
Every name begins with the lab's tag, so that what a killed `up` left is found by name alone.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

from actioncenter.connectors.ssh import network
from actioncenter.estate.services import ServiceFailed, ServiceMissing

STATE: Final = Path("/run/actioncenter-estate")
SCRIPT: Final = Path(__file__).with_name("host.sh")
PROGRAMS: Final = {
    "/usr/sbin/sshd": "openssh-server",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "sudo": "sudo",
}
MOST: Final = 200
PATIENCE: Final = 20.0
PREFIX: Final = "aclab"
CONTROLLER: Final = ("10.77.0.1", "fd77::1")
PEER: Final = ("10.77.0.2", "fd77::2")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LabHost:
    """`pid` is its first process as seen from this machine; `key` its public host key."""

    name: str
    namespace: str
    address: str
    address6: str
    pid: int
    key: str

    def run(self, *command: str, stdin: bytes = b"") -> bytes:
        """What root types on the host itself. Raises CalledProcessError."""
        entered = [
            "nsenter",
            f"--target={self.pid}",
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "-r",
            "-w",
            "--",
            *command,
        ]
        return subprocess.run(entered, input=stdin, capture_output=True, check=True).stdout  # noqa: S603

    @property
    def root(self) -> Path:
        """Its files, for somebody who doesn't go through it."""
        return Path(f"/proc/{self.pid}/root")


def missing() -> list[str]:
    """Packages that have to be installed first; raises ServiceMissing without the right to make namespaces."""
    if os.geteuid() != 0 or not Path("/proc/self/ns/net").exists():
        raise ServiceMissing("Root with the right to make network namespaces", "none: run as root")
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})


class Lab:
    """`tag` sets labs apart; `owned` ones end with the process that started them."""

    def __init__(self, tag: str, *, owned: bool = False) -> None:
        self.tag = tag
        self.owned = owned
        self.folder = STATE / tag
        self.hosts: list[LabHost] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def management(self) -> str:
        return f"{PREFIX}-{self.tag}-m"

    @property
    def peer(self) -> str:
        return f"{PREFIX}-{self.tag}-p"

    @property
    def admin_key(self) -> Path:
        return self.folder / "admin"

    def up(self, number: int) -> None:
        """Start that many hosts; raises ServiceMissing or ServiceFailed, and leaves nothing behind then."""
        if packages := missing():
            raise ServiceMissing("What test hosts are made of", " ".join(packages))
        if not 1 <= number <= MOST:
            raise ServiceFailed(f"A lab has 1 to {MOST} hosts.")
        if self.names():
            raise ServiceFailed("It is up already.")
        try:
            self._up(number)
        except BaseException:
            self.down()
            raise

    def _up(self, number: int) -> None:
        self.folder.mkdir(parents=True, mode=0o700)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "estate", "-f", str(self.admin_key))
        self._wire(number)
        self._processes += [self._start(place) for place in range(1, number + 1)]
        with ThreadPoolExecutor(min(number, 8)) as pool:
            self.hosts = list(pool.map(self._ready, range(1, number + 1), self._processes))
        state = json.dumps([asdict(host) for host in self.hosts])
        (self.folder / "hosts.json").write_text(state, encoding="utf-8")

    def _host(self, place: int) -> str:
        return f"{PREFIX}-{self.tag}-{place}"

    def _wire(self, number: int) -> None:
        """A bridge in the management namespace, and a cable to everybody."""
        ends = [
            (self.peer, PEER),
            *((self._host(place), addresses_of(place)) for place in range(1, number + 1)),
        ]
        _ip("", [f"netns add {name}" for name in (self.management, *(name for name, _ in ends))])
        hub = ["link add bridge0 type bridge", *_addressed("bridge0", CONTROLLER)]
        for place, (namespace, _) in enumerate(ends):
            hub.append(f"link add port{place} type veth peer name eth0 netns {namespace}")
            hub.append(f"link set port{place} master bridge0 up")
        _ip(self.management, hub)
        for namespace, addresses in ends:
            _ip(namespace, _addressed("eth0", addresses))

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        root = self.folder / f"host{place}"
        root.mkdir()
        address4, address6 = addresses_of(place)
        leash = ["setpriv", "--pdeathsig", "KILL"] if self.owned else ["setsid"]
        spaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL"]
        command = ["ip", "netns", "exec", self._host(place), *leash, *spaces]
        command += ["/bin/sh", str(SCRIPT), str(root), f"lab-{place}", address4, address6]
        # The key arrives as fd 3, since a path of this machine means nothing in there.
        command = [
            "/bin/sh",
            "-c",
            'exec 3<"$0"; exec "$@"',
            str(self.admin_key.with_suffix(".pub")),
            *command,
        ]
        with (self.folder / f"host{place}.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")  # noqa: S603

    def _ready(self, place: int, process: subprocess.Popen[bytes]) -> LabHost:
        address, address6 = addresses_of(place)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            if within(self.management, lambda: _answers(address)):
                pid = _child(process.pid)
                key = Path(f"/proc/{pid}/root/etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8")
                return LabHost(f"lab-{place}", self._host(place), address, address6, pid, key.strip())
            time.sleep(0.02)
        log = (self.folder / f"host{place}.log").read_text(errors="replace")[-2000:]
        raise ServiceFailed(f"Host {place} did not start:\n{log}")

    def log(self, host: LabHost) -> str:
        """What its sshd wrote."""
        place = host.name.rpartition("-")[2]
        return (self.folder / f"host{place}.log").read_text(errors="replace")

    def read(self) -> list[LabHost]:
        """The hosts of a lab that another process started; empty when it isn't up."""
        with suppress(FileNotFoundError):
            found = json.loads((self.folder / "hosts.json").read_text(encoding="utf-8"))
            self.hosts = [LabHost(**each) for each in found]
        return self.hosts

    def names(self) -> list[str]:
        return [name for name in _namespaces() if name.startswith(f"{PREFIX}-{self.tag}-")]

    def down(self) -> None:
        """End every process in its namespaces, and remove them; also what a killed `up` left."""
        names = self.names()
        for name in names:
            _end(name)
        while self._processes:
            self._processes.pop().wait()
        if names:
            _ip("", [f"netns del {name}" for name in names])
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            STATE.rmdir()
        self.hosts = []


def _addressed(device: str, addresses: tuple[str, str]) -> list[str]:
    return [
        "link set lo up",
        f"addr add {addresses[0]}/16 dev {device}",
        f"addr add {addresses[1]}/64 dev {device} nodad",
        f"link set {device} up",
    ]


def addresses_of(place: int) -> tuple[str, str]:
    return f"10.77.{place // 200 + 1}.{place % 200 + 1}", f"fd77::1:{place:x}"


def within(namespace: str, call: Callable[[], Answer]) -> Answer:
    """Call it in a thread of that network namespace. A socket made there stays there."""

    def inside() -> Answer:
        network.enter(namespace)
        return call()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


@contextmanager
def owned(tag: str, number: int) -> Iterator[Lab]:
    """A lab that ends with the block, and at the latest with this process."""
    sweep()
    lab = Lab(f"{tag}{os.getpid()}", owned=True)
    lab.up(number)
    try:
        yield lab
    finally:
        lab.down()


def sweep() -> None:
    """Remove what owned labs of dead processes left: empty namespaces."""
    for tag in {name.split("-")[1] for name in _namespaces() if name.startswith(f"{PREFIX}-")}:
        pid = tag.lstrip("abcdefghijklmnopqrstuvwxyz")
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            Lab(tag).down()


def _namespaces() -> list[str]:
    return sorted(path.name for path in network.NAMESPACES.glob(f"{PREFIX}-*"))


def _answers(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 22), timeout=1) as line:
        return line.recv(4) == b"SSH-"
    return False


def _child(pid: int) -> int:
    """The first process in the new namespaces, which is the only child of `unshare`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return int(children[0])


def _end(namespace: str) -> None:
    listing = ["ip", "netns", "pids", namespace]
    found = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    for pid in map(int, found):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(_lives(int(pid)) for pid in found):
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether it runs; a zombie that nobody reaped yet doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _ip(namespace: str, lines: Sequence[str]) -> None:
    _run("ip", *(["-n", namespace] if namespace else []), "-batch", "-", stdin="\n".join(lines))


def _run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ServiceFailed(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
