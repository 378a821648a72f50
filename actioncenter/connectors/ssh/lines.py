"""Connections to hosts: opened first, spoken to last, with a limit on time and bytes for each.

Opening tells a host nothing of what is wanted: its helper starts and waits. Only `ask` sends the request, so
whatever goes wrong before it happened before anything was sent.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import asyncssh

from actioncenter.connectors.base import ConnectorError, Json, Permanent, Transient, Unknown
from actioncenter.connectors.ssh import network, packing
from actioncenter.connectors.ssh.authority import Credentials
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.connectors.ssh.receiving import Received, received

CONNECT_SECONDS: Final = 6.0
LOGIN_SECONDS: Final = 10.0
RETRY_AFTER: Final = 30.0
AT_ONCE: Final = 16
MOST_BYTES: Final = 2_000_000
"""Of one answer. Far more than any honest one, and far less than would hurt us."""

Answer = TypeVar("Answer")
# A dozen lines for each connection would drown what matters; what went wrong is in our errors.
asyncssh.set_log_level("WARNING")


class Pinned(asyncssh.SSHClient):
    """Believes the one host key that was pinned, and asks nobody else."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return secrets.compare_digest(str(key.get_fingerprint()), self._pin.fingerprint)


@dataclass(slots=True)
class Line:
    """One helper that waits for its request."""

    connection: asyncssh.SSHClientConnection
    process: "asyncssh.SSHClientProcess[bytes]"

    async def close(self) -> None:
        self.connection.abort()
        await self.connection.wait_closed()


class Lines:
    """For one call of the connector, in a thread of its own: the loop and the namespace are that thread's."""

    def __init__(self, namespace: str, user: str, credentials: Credentials) -> None:
        self._user = user
        self._credentials = credentials
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ssh")
        self._namespace = namespace
        self._loop = asyncio.Runner()
        self._open: dict[str, Line] = {}

    def __enter__(self) -> Self:
        try:
            self._thread.submit(network.enter, self._namespace).result()
        except OSError:
            self._thread.shutdown()
            raise Permanent("settings", "The network namespace of the settings can't be entered.") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._thread.submit(self._loop.close).result()
        self._thread.shutdown()

    def _do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._thread.submit(self._loop.run, work).result()

    def open(self, remotes: Sequence[str]) -> dict[str, ConnectorError]:
        """Connect to all of them; returns what went wrong where. Nothing has been asked of any yet."""
        found = self._do(_each({remote: self._connect(remote) for remote in remotes}))
        self._open = {remote: line for remote, line in found.items() if isinstance(line, Line)}
        return {remote: error for remote, error in found.items() if isinstance(error, ConnectorError)}

    def ask(self, questions: Mapping[str, Json], seconds: float) -> dict[str, Json | ConnectorError]:
        """Send each its request over its open line, which is used up by it. Raises nothing."""
        asked = {
            remote: self._ask(self._open.pop(remote), call, seconds) for remote, call in questions.items()
        }
        return self._do(_each(asked))

    def fetch(self, remote: str, call: Json, seconds: float, most: int) -> Received | ConnectorError:
        """A file over its open line, which is used up by it. Raises nothing."""
        asked = self._fetch(self._open.pop(remote), call, seconds, most)
        return self._do(_each({remote: asked}))[remote]

    async def _close(self) -> None:
        await asyncio.gather(*(line.close() for line in self._open.values()))
        self._open = {}

    async def _connect(self, remote: str) -> Line:
        pin = Pin.read(remote)
        try:
            async with asyncio.timeout(CONNECT_SECONDS + LOGIN_SECONDS):
                connection = await asyncssh.connect(
                    pin.host, pin.port, username=self._user, client_keys=[self._credentials],
                    client_factory=lambda: Pinned(pin), known_hosts=([], [], []),
                    server_host_key_algs=[pin.algorithm], connect_timeout=CONNECT_SECONDS,
                    login_timeout=LOGIN_SECONDS, config=None, agent_path=None, preferred_auth="publickey",
                    keepalive_interval=5, keepalive_count_max=3,
                )  # fmt: skip
                return await _started(connection)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed):
            raise Permanent(
                "identity_changed", "It shows another host key than when it was enrolled."
            ) from None
        except asyncssh.PermissionDenied:
            raise Permanent(
                "not_let_in", "It doesn't let us in: it no longer trusts our certificates."
            ) from None
        except (OSError, TimeoutError, asyncssh.Error, ValueError):
            raise Transient("It can't be reached.", RETRY_AFTER, offline=True) from None

    async def _ask(self, line: Line, call: Json, seconds: float) -> Json:
        nonce = secrets.token_hex(16)
        request = {**call, "nonce": nonce, "helper": packing.digest(), "seconds": max(1, int(seconds))}
        try:
            async with asyncio.timeout(seconds + 2):
                line.process.stdin.write(json.dumps(request).encode())
                line.process.stdin.write_eof()
                raw = await _read(line.process.stdout)
        except (OSError, TimeoutError, asyncssh.Error):
            raise Unknown("The connection broke before it answered.") from None
        finally:
            with contextlib.suppress(OSError, asyncssh.Error):
                await line.close()
        return _understood(raw, call, nonce)

    async def _fetch(self, line: Line, call: Json, seconds: float, most: int) -> Received:
        nonce = secrets.token_hex(16)
        request = {**call, "nonce": nonce, "helper": packing.digest(), "seconds": max(1, int(seconds))}
        try:
            async with asyncio.timeout(seconds):
                line.process.stdin.write(json.dumps(request).encode())
                line.process.stdin.write_eof()
                return await received(line.process.stdout, call, nonce, most)
        except TimeoutError:
            raise Permanent("too_slow", f"It wasn't here within {seconds:.0f} seconds.") from None
        except (OSError, asyncssh.Error):
            raise Transient(
                "The connection broke before all of it was here.", RETRY_AFTER, offline=True
            ) from None
        finally:
            with contextlib.suppress(OSError, asyncssh.Error):
                await line.close()


async def _started(connection: asyncssh.SSHClientConnection) -> Line:
    """The helper runs and waits; what is asked for is what the certificate forces anyway."""
    try:
        process = await connection.create_process(packing.COMMAND, encoding=None, stderr=asyncssh.DEVNULL)
    except BaseException:
        connection.abort()
        raise
    return Line(connection, process)


async def _each(work: Mapping[str, Coroutine[Any, Any, Answer]]) -> dict[str, Answer | ConnectorError]:
    """All of them, a few at a time; a connector's error is an answer as well."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(each: Coroutine[Any, Any, Answer]) -> Answer | ConnectorError:
        async with turn:
            try:
                return await each
            except ConnectorError as error:
                return error

    return dict(zip(work, await asyncio.gather(*map(one, work.values())), strict=True))


async def _read(stream: "asyncssh.SSHReader[bytes]") -> bytes:
    """To its end. Raises Unknown for an answer without one."""
    raw = b""
    while block := await stream.read(65536):
        raw += block
        if len(raw) > MOST_BYTES:
            raise Unknown("Its answer is larger than any can be.")
    return raw


def _understood(raw: bytes, call: Json, nonce: str) -> Json:
    """The answer to this very request. Raises Unknown for anything else, Permanent for a refusal."""
    try:
        answer = json.loads(raw)
        mine = (answer.get("id"), answer.get("nonce")) == (call["id"], nonce)
    except (ValueError, AttributeError, RecursionError):
        raise Unknown("It answered nothing that can be read.") from None
    if not mine:
        raise Unknown("It answered another request.")
    error = answer.get("error")
    if isinstance(error, dict):
        # Never under a code of its own choice: some of ours say something of the whole connector.
        raise Permanent(
            "refused", f"It refused ({str(error.get('code'))[:40]}): {str(error.get('text'))[:400]}"
        )
    if answer.get("helper") != packing.digest() or call["call"] not in answer:
        raise Unknown("It answered nothing that can be read.")
    return dict(answer)
