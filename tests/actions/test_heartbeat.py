"""A watcher outside hears that we live, and notices when it no longer does."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from actioncenter import environment
from actioncenter.actions import housekeeping
from actioncenter.actions.execution import heartbeat
from actioncenter.actions.models import RunnerBeat
from tests.actions.conftest import RUNNER
from tests.actions.stopping import until, worker
from tests.settings.stopping import pull, stop_file

__all__ = ["stop_file"]
TOKEN = "only-for-this"


class Watcher:
    """What it hears, and whether it has become too quiet."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/alive?who=ac"
        self.heard: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.last = 0.0
        self.status = 204

    def hear(self, wire: BaseHTTPRequestHandler) -> None:
        self.asked.append(wire.path)
        known = wire.headers.get("Authorization") == f"Bearer {TOKEN}"
        body = wire.rfile.read(int(wire.headers["Content-Length"]))
        if known and self.status < 300:
            self.heard.append(json.loads(body))
            self.last = time.monotonic()
        wire.send_response(self.status if known else 401)
        if self.status == 302:
            wire.send_header("Location", "/elsewhere")
        wire.send_header("Content-Length", "0")
        wire.end_headers()

    def quiet_for(self, seconds: float) -> bool:
        return time.monotonic() - self.last > seconds


@contextmanager
def watching() -> Iterator[Watcher]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            watcher.hear(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    watcher = Watcher(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield watcher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def watcher(settings: Any) -> Iterator[Watcher]:
    with watching() as made:
        settings.WATCHER_URL, settings.WATCHER_TOKEN = urlsplit(made.url), TOKEN
        yield made


def a_runner() -> None:
    RunnerBeat.objects.create(name="here:1", host="here", acknowledged=0)


@pytest.mark.oversight("SC-017")
def test_heartbeat_silence_noticed(shared_database: str) -> None:
    """Frozen, as a machine that hangs; it is heard again when it wakes, and no more when it was killed."""
    with watching() as watcher:
        told = {
            "ACTIONCENTER_WATCHER_URL": watcher.url,
            "ACTIONCENTER_WATCHER_TOKEN": TOKEN,
            "ACTIONCENTER_WATCHER_SECONDS": "1",
        }
        with worker(shared_database, **told) as process:
            until(lambda: len(watcher.heard) > 1, "it was never heard")
            process.send_signal(signal.SIGSTOP)
            until(lambda: watcher.quiet_for(4), "its silence went unnoticed")
            before = len(watcher.heard)
            process.send_signal(signal.SIGCONT)
            until(lambda: len(watcher.heard) > before, "it was not heard again")
            process.kill()
            until(lambda: watcher.quiet_for(4), "its end went unnoticed")
    assert watcher.heard[0] == {"runners": 1, "silent": 0, "stopped": False}


@pytest.mark.django_db
@pytest.mark.usefixtures("stop_file")
def test_it_says_how_things_stand_and_nothing_else(watcher: Watcher) -> None:
    a_runner()
    housekeeping.tidy(by=RUNNER, chores=housekeeping.HEARTBEAT)
    pull()
    housekeeping.tidy(by=RUNNER, chores=housekeeping.HEARTBEAT)
    assert [told["stopped"] for told in watcher.heard] == [False, True]
    assert {*watcher.heard[0]} == {"runners", "silent", "stopped"}
    assert watcher.asked == ["/alive?who=ac"] * 2


@pytest.mark.django_db
def test_without_a_runner_it_stays_silent(watcher: Watcher) -> None:
    assert heartbeat.send(RUNNER) == 0
    assert watcher.heard == []


@pytest.mark.django_db
@pytest.mark.parametrize("status", [302, 401, 500])
def test_nothing_but_a_plain_yes_counts_and_a_redirect_is_not_followed(watcher: Watcher, status: int) -> None:
    a_runner()
    watcher.status = status
    assert heartbeat.send(RUNNER) == 0
    assert watcher.asked == ["/alive?who=ac"]


@pytest.mark.django_db
def test_a_watcher_that_is_away_holds_up_nobody(settings: Any) -> None:
    a_runner()
    settings.WATCHER_URL = urlsplit("http://127.0.0.1:1/")
    assert heartbeat.send(RUNNER) == 0


@pytest.mark.django_db
def test_a_file_is_touched(settings: Any, tmp_path: Path) -> None:
    a_runner()
    path = tmp_path / "alive"
    settings.WATCHER_URL = urlsplit(f"file://{path}")
    assert heartbeat.send(RUNNER) == 1
    assert json.loads(path.read_text())["runners"] == 1
    settings.WATCHER_URL = urlsplit(f"file://{tmp_path}/nowhere/alive")
    assert heartbeat.send(RUNNER) == 0


@pytest.mark.parametrize(
    "url",
    ["http://watch.example/x", "ftp://watch.example", "https://", "https://a:b@watch.example/", "file://host/x",
     "https://watch.example/#x", "https://watch.example:many/", "/just/a/path", "http://[::1"],
)  # fmt: skip
def test_what_would_show_the_credential_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_WATCHER_URL", url)
    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_WATCHER_URL"):
        environment.watcher("ACTIONCENTER_WATCHER_URL")


@pytest.mark.parametrize("value", ["0", "-1", "3601", "soon"])
def test_an_interval_is_a_number_of_seconds(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_WATCHER_SECONDS", value)
    with pytest.raises(environment.BadSetting, match="seconds between 1 and 3600"):
        environment.seconds("ACTIONCENTER_WATCHER_SECONDS", 30)
