"""Throw-away PostgreSQL, Redis and RabbitMQ from this machine's own binaries, on random loopback ports.

Used by tests and benchmarks. No durability at all: never point real data at one of these.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import psycopg
from psycopg import sql

NOT_DURABLE = ["--fsync=off", "--synchronous-commit=off", "--full-page-writes=off"]


class ServiceMissing(Exception):
    """The programs are not on this machine; `package` names what apt would install."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed (apt install {package})")
        self.package = package


class ServiceFailed(Exception):
    """The program is there but didn't come up; the text ends with what it wrote."""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Service:
    """One running server with its own folder; stop() ends it and removes everything."""

    folder: Path
    port: int
    spawn: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] = field(init=False)

    package: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM
    patience: ClassVar[float] = 20
    """Seconds that it may take to start."""

    def __post_init__(self) -> None:
        self.process = self.spawn()

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def halt(self, number: int | None = None) -> None:
        """End the process with that signal, else the usual one; what it stored stays for `resume`."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal if number is None else number)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def resume(self) -> Self:
        """Start it again where it was; returns once it answers."""
        self.process = self.spawn()
        return self.wait_until(self.answers, self.patience)

    def answers(self) -> bool:
        return self.accepts()

    def wait_until(self, answers: Callable[[], bool], seconds: float) -> Self:
        """Return self once it answers; raises ServiceFailed with the log's end when it dies or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError):
                if answers():
                    return self
            time.sleep(0.05)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise ServiceFailed(f"{type(self).__name__} did not start:\n{log}")

    def accepts(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True


class Postgres(Service):
    """Its databases belong to one role, the product runs under another: docs/operator/roles.md."""

    package = "postgresql"
    owner: ClassVar[str] = "actioncenter_owner"
    runtime: ClassVar[str] = "actioncenter"
    stop_signal = signal.SIGINT  # fast shutdown: doesn't wait for clients
    patience = 60

    @property
    def url(self) -> str:
        """As its superuser."""
        return self.url_of("postgres")

    def url_of(self, role: str, database: str = "postgres") -> str:
        return f"postgres://{role}@127.0.0.1:{self.port}/{database}"

    @classmethod
    def start(cls, *, durable: bool = False) -> Self:
        """Unless `durable`, what it acknowledged outlives the server and not the machine."""
        programs = cls._programs()
        folder, port = Path(tempfile.mkdtemp(prefix="actioncenter-pg-")), free_port()
        # It refuses to run as root.
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(folder, "postgres", "postgres")
        data = str(folder / "data")
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        _spawn([*initdb, "--no-locale", "--no-sync"], folder, user).wait()
        options = ["listen_addresses=127.0.0.1", *([] if durable else ["fsync=off", "full_page_writes=off"])]
        flags = [part for option in options for part in ("-c", option)]
        command = [programs / "postgres", "-D", data, "-k", folder, "-p", port, *flags]
        server = cls(folder, port, partial(_spawn, command, folder, user))
        server.wait_until(server.answers, cls.patience)
        server._make_roles()
        return server

    def _make_roles(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as server:
            for role in (self.owner, self.runtime):
                server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        self.hand_over("postgres")

    def hand_over(self, database: str) -> None:
        """That database belongs to the owner, and only the runtime role may come in beside it."""
        names = {
            "name": sql.Identifier(database),
            "owner": sql.Identifier(self.owner),
            "runtime": sql.Identifier(self.runtime),
        }
        with psycopg.connect(self.url, autocommit=True) as server:
            for statement in (
                "ALTER DATABASE {name} OWNER TO {owner}",
                "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {name} TO {runtime}",
            ):
                server.execute(sql.SQL(statement).format(**names))

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @classmethod
    def _programs(cls) -> Path:
        """Return the folder of the server's programs: on PATH, or Debian's folder of the newest version."""
        on_path = shutil.which("initdb")
        if on_path:
            return Path(on_path).resolve().parent
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not found:
            raise ServiceMissing("PostgreSQL", cls.package)
        return found[-1].parent


class Redis(Service):
    package = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @classmethod
    def start(cls) -> Self:
        program = _program("redis-server", "Redis", cls.package)
        folder, port = Path(tempfile.mkdtemp(prefix="actioncenter-redis-")), free_port()
        flags = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        server = cls(folder, port, partial(_spawn, [program, *flags], folder, {}))
        return server.wait_until(server.answers, cls.patience)


class RabbitMQ(Service):
    package = "rabbitmq-server"
    patience = 90

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @classmethod
    def start(cls) -> Self:
        # The script in sbin switches to the system's own user and data; this one doesn't.
        program = _program("/usr/lib/rabbitmq/bin/rabbitmq-server", "RabbitMQ", cls.package)
        folder, port = Path(tempfile.mkdtemp(prefix="actioncenter-rabbit-")), free_port()
        (folder / "plugins").write_text("[].\n")
        environment = {"env": _rabbit_environment(folder, port)}
        server = cls(folder, port, partial(_spawn, [program], folder, environment))
        return server.wait_until(server.answers, cls.patience)

    def stop(self) -> None:
        # Erlang's name server is a daemon of its own and would stay for ever.
        epmd = shutil.which("epmd")
        port = (self.folder / "epmd-port").read_text()
        super().stop()
        if epmd:
            command = [epmd, "-port", port, "-kill"]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own arguments


def _rabbit_environment(folder: Path, port: int) -> dict[str, str]:
    epmd_port = str(free_port())
    (folder / "epmd-port").write_text(epmd_port)
    return {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"ac{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": epmd_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _program(name: str, label: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ServiceMissing(label, package)
    return found


def _spawn(command: list[Any], folder: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    arguments = [str(part) for part in command]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(arguments, stdout=log, stderr=log, cwd="/", **options)  # noqa: S603
