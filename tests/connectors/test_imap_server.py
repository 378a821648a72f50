"""The mail server of the tests ends with the tests, and what it needs is looked for first."""

import imaplib
import subprocess
import sys
from pathlib import Path

import pytest

from actioncenter.estate.mail import campaign, dovecot
from actioncenter.estate.mail.dovecot import Dovecot
from actioncenter.estate.services import ServiceMissing
from tests.actions.stopping import until
from tests.architecture.tree import ROOT

START = """
import time
from actioncenter.estate.mail.dovecot import Dovecot
print(Dovecot.start().folder, flush=True)
time.sleep(600)
"""


@pytest.mark.dovecot
def test_it_ends_with_the_process_that_started_it() -> None:
    command = [sys.executable, "-c", START]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert dovecot.master_in(folder)
        process.kill()
    until(lambda: not dovecot.master_in(folder), "it goes on without anybody to end it")
    dovecot.clear(folder)
    assert not folder.exists()


@pytest.mark.dovecot
def test_nothing_of_it_is_left() -> None:
    """Although its processes were at work until the end."""
    server = Dovecot.start()
    server.add_users(boxes := campaign.addresses(3))
    lines = [imaplib.IMAP4("127.0.0.1", server.port) for _ in boxes]
    for line, address in zip(lines, boxes, strict=True):
        line.login(address, server.password)
        line.select()
    assert len(server.processes("imap")) >= len(boxes)
    pid = server.process.pid
    server.stop()
    for line in lines:
        line.shutdown()
    assert not server.folder.exists()
    assert not dovecot.processes_of(pid)


def test_without_it_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dovecot, "PROGRAM", str(tmp_path / "dovecot"))
    with pytest.raises(ServiceMissing, match=r"apt install dovecot-imapd .* dovecot-managesieved"):
        Dovecot.start()
