"""`manage.py up` as a person starts it: real processes, a real page, Ctrl-C."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from actioncenter.estate.services import free_port
from tests.architecture.tree import ROOT


def start(data: Path, port: int, *arguments: str) -> "subprocess.Popen[str]":
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ACTIONCENTER_", "DJANGO_"))
    }
    command = [sys.executable, "manage.py", "up", "--port", str(port), "--data", str(data), *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | {"ACTIONCENTER_NO_BOOTSTRAP": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def running(data: Path, port: int, *arguments: str) -> Iterator[str]:
    """Yield what it printed until it was ready; afterwards press Ctrl-C and demand that every process ends."""
    with start(data, port, *arguments) as process:
        try:
            yield until_ready(process)
        finally:
            process.send_signal(signal.SIGINT)
            # The children hold this pipe: its end means that none of them is left.
            process.communicate(timeout=30)
        assert process.returncode == 0


def until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return "".join(lines)
    raise AssertionError("".join(lines))


def kinds(data: Path) -> set[str]:
    """Of all events in its log."""
    (file,) = data.glob("actioncenter*.sqlite3")
    with closing(sqlite3.connect(file)) as database:
        return {kind for (kind,) in database.execute("SELECT kind FROM audit_event")}


def fetch(port: int) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=10) as response:
        return response.status, response.headers["Content-Security-Policy"]


def test_first_start_prints_a_password_that_the_second_does_not_know(tmp_path: Path) -> None:
    port = free_port()

    with running(tmp_path, port, "--no-demo") as first:
        assert f"http://127.0.0.1:{port}/" in first
        status, policy = fetch(port)
        assert status == 200
        assert "default-src 'none'" in policy

    with running(tmp_path, port, "--no-demo") as second:
        assert "manage.py changepassword admin" in second

    assert {"user.created", "role.granted"} <= kinds(tmp_path)
    found = re.search(r"Password \(shown only now\): (\S+)", first)
    assert found
    assert found[1] not in second
    assert not any(found[1].encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_second_one_over_the_same_data_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, free_port(), "--no-demo"), start(tmp_path, free_port()) as second:
        text, _ = second.communicate(timeout=60)

    assert second.returncode == 1
    assert "already running" in text


@pytest.mark.parametrize(("port", "message"), [(None, "is in use"), (70000, "is not a port")])
def test_port_that_cannot_be_used_is_named(port: int | None, message: str, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        start(tmp_path, port or taken.getsockname()[1]) as refused,
    ):
        text, _ = refused.communicate(timeout=60)

    assert refused.returncode == 1
    assert message in text
    assert "Traceback" not in text
