"""Enrolment of a host: by an admin who may sign in as root there once, and who knows its host key from elsewhere."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncssh

from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Permanent, Support, Transient
from actioncenter.connectors.ssh import network, packing
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.lines import CONNECT_SECONDS, LOGIN_SECONDS, Pinned
from actioncenter.connectors.ssh.pins import ALGORITHMS, Pin
from actioncenter.connectors.ssh.schema import Options

Answer = TypeVar("Answer")

SECONDS: Final = 60.0
_INSTALLER: Final = Path(__file__).with_name("installer.py")
# Constant: the script comes first on standard input, with its length, then what it is told.
_LOADER: Final = (
    "import sys; size = int(sys.stdin.readline()); script = sys.stdin.read(size); "
    "exec(compile(script, 'installer', 'exec'), {'__name__': '__main__'})"
)
_PLAIN: Final = f'/usr/bin/python3 -I -c "{_LOADER}"'


@dataclass(frozen=True, slots=True)
class Way:
    """How the admin gets in: `key` is a private key file, or empty for the agent's keys."""

    user: str
    key: str = ""
    namespace: str = ""


def shown_key(host: str, port: int, namespace: str = "") -> Pin:
    """The host key that is shown there now. Whether it is the right one, only a person can say."""

    async def look() -> Pin:
        try:
            async with asyncio.timeout(CONNECT_SECONDS + LOGIN_SECONDS):
                key = await asyncssh.get_server_host_key(
                    host, port, server_host_key_algs=list(ALGORITHMS), config=None
                )
        except (OSError, TimeoutError, asyncssh.Error):
            raise Transient("It can't be reached.", offline=True) from None
        if key is None:
            raise Permanent("identity", "It shows no host key.")
        algorithm = next(name for name in ALGORITHMS if name.encode() in key.sig_algorithms)
        return Pin(host, port, algorithm, str(key.get_fingerprint()))

    return _run(namespace, look)


def enrol(pin: Pin, way: Way, user: str, authority: Authority) -> list[tuple[str, str]]:
    """Install what belongs there, over a connection to the pinned key; returns what was done, step by step."""
    wish, script = _wish(user, authority), _INSTALLER.read_text(encoding="utf-8")
    told = f"{len(script)}\n{script}{json.dumps(wish)}"

    async def install() -> list[tuple[str, str]]:
        keys = {"client_keys": [way.key]} if way.key else {}
        command = _PLAIN if way.user == "root" else f"/usr/bin/sudo -n {_PLAIN}"
        try:
            async with asyncio.timeout(SECONDS), asyncssh.connect(
                pin.host, pin.port, username=way.user, known_hosts=([], [], []), config=None,
                client_factory=lambda: Pinned(pin), server_host_key_algs=[pin.algorithm], **keys,
            ) as connection:  # fmt: skip
                done = await connection.run(command, input=told)
        except asyncssh.HostKeyNotVerifiable:
            raise Permanent("identity_changed", "It shows another host key than the one given.") from None
        except asyncssh.PermissionDenied:
            raise Permanent("credentials", f"{way.user} isn't let in.") from None
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise Transient(f"The connection failed: {type(error).__name__}", offline=True) from None
        if done.exit_status:
            raise Permanent("refused", str(done.stderr).strip()[-500:] or "It could not be installed.")
        return [(str(what), str(of)) for what, of in map(json.loads, str(done.stdout).splitlines())]

    return _run(way.namespace, install)


def script(user: str, authority: Authority) -> str:
    """The same as one file that root runs on a host by any means; it holds no secret."""
    told = json.dumps(json.dumps(_wish(user, authority)))
    text = _INSTALLER.read_text(encoding="utf-8").replace(
        "json.loads(sys.stdin.read())", f"json.loads({told})"
    )
    return f"#!/usr/bin/python3 -I\n{text}"


def _wish(user: str, authority: Authority) -> dict[str, str]:
    return {"user": user, "helper": packing.helper().hex(), "authority": authority.public()}


def answers(pin: Pin, options: Options, authority: Authority) -> list[tuple[str, str]]:
    """Somebody else has installed it: signed in to as for any action. Raises ConnectorError where that fails."""
    found = SshHosts(options, authority).capabilities(TargetKind.DEVICE, str(pin))
    able = sum(each.support is Support.SUPPORTED for each in found.values())
    return [("answers", f"{able} kinds of actions")]


def _run(namespace: str, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    def inside() -> Answer:
        network.enter(namespace)
        return asyncio.run(work())

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()
