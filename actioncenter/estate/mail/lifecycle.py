"""`manage.py estate … --mailboxes`: a real mail server with a campaign in it, up, looked at, and gone without a trace."""

import json
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from actioncenter.estate.mail import campaign, dovecot, registering
from actioncenter.estate.mail.dovecot import Dovecot

ORDINARY: Final = 200
CAMPAIGN: Final = 100
"""Messages of each kind in every mailbox."""


class AlreadyUp(Exception):
    """There is one; it has to be taken down first."""


def _note() -> Path:
    return Path(settings.DATA_DIR) / "estate" / "mail.json"


def up(number: int) -> dict[str, Any]:
    """Start it with so many mailboxes and register it. Raises AlreadyUp, ServiceMissing and ServiceFailed.

    Where it lies is written down before anything is there, so that `down` also finds a half of it.
    """
    note = _note()
    if note.exists():
        raise AlreadyUp("The mail estate is up already; take it down first.")
    folder = Path(tempfile.gettempdir()) / f"actioncenter-mail-{secrets.token_hex(4)}"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"folder": str(folder)}))
    try:
        folder.mkdir(mode=0o700)
        server = Dovecot.start(folder, outlives=True)
        server.leave_running()
        boxes = campaign.addresses(number)
        messages = campaign.load(server, boxes, ordinary=ORDINARY, campaign=CAMPAIGN)
        registering.register(server, boxes)
        told = _told(server, number, messages)
        note.write_text(json.dumps(told))
    except BaseException:
        down()
        raise
    return told


def _told(server: Dovecot, mailboxes: int, messages: int) -> dict[str, Any]:
    return {
        "folder": str(server.folder),
        "imap": server.port,
        "managesieve": server.sieve_port,
        "lmtp": server.lmtp_port,
        "mailboxes": mailboxes,
        "messages": messages,
        "campaign": mailboxes * CAMPAIGN,
        "password": server.password,
        "connector": registering.NAME,
    }


def status() -> dict[str, Any] | None:
    """What `up` told, with whether the server runs; None when there is none."""
    with suppress(OSError, ValueError):
        told: dict[str, Any] = json.loads(_note().read_text())
        return told | {"running": bool(dovecot.master_in(Path(told["folder"])))}
    return None


def down() -> bool:
    """Remove whatever `up` made, finished or not; returns whether there was anything."""
    found = registering.forget()
    note = _note()
    with suppress(OSError, ValueError):
        dovecot.clear(Path(json.loads(note.read_text())["folder"]))
        found = True
    note.unlink(missing_ok=True)
    with suppress(OSError):
        note.parent.rmdir()
    return found
