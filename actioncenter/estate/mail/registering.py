"""The estate's mail as one more connector instance, and gone again."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from actioncenter.audit.actor import Actor
from actioncenter.estate.mail.campaign import DOMAIN
from actioncenter.estate.mail.dovecot import BOT, EXPUNGED, QUARANTINE, RECOVERABLE, Dovecot
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding, Mailbox

NAME: Final = "Mail of the test estate"
KIND: Final = "imap"
BY: Final = Actor.command("estate")
ADDRESSES: Final = "estate-mail"


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "directories"


def settings_of(server: Dovecot) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sieve_port": server.sieve_port,
        "user": BOT,
        "directory": ADDRESSES,
        "domains": [DOMAIN],
        "quarantine": QUARANTINE,
        "recoverable": RECOVERABLE,
        "expunged": f"{EXPUNGED}/",
    }


def register(server: Dovecot, addresses: list[str]) -> ConnectorInstance:
    """Enabled, and reaching the tenant and these mailboxes before any other instance."""
    with transaction.atomic():
        forget()
        _folder().mkdir(mode=0o700, exist_ok=True)
        (_folder() / ADDRESSES).write_text("".join(f"{address}\n" for address in addresses))
        secret = {"password": server.secret}
        instance = ConnectorInstance.add(KIND, NAME, settings_of(server), by=BY, priority=10, secret=secret)
        known = set(Mailbox.objects.filter(address__in=addresses).values_list("address", flat=True))
        Mailbox.objects.bulk_create(Mailbox(address=each) for each in addresses if each not in known)
        mailboxes = Mailbox.objects.filter(address__in=addresses)
        Binding.reach(instance, mailboxes=list(mailboxes), by=BY)
    instance.enable(by=BY)
    return instance


def forget() -> bool:
    """Take the instance out of use; returns whether there was one. What it carried out keeps its name.

    A row that actions point to is no trace of the estate but of history, so the row stays, switched off.
    """
    (_folder() / ADDRESSES).unlink(missing_ok=True)
    with suppress(OSError):
        _folder().rmdir()
    row = ConnectorInstance.objects.filter(kind=KIND, name=NAME).first()
    if row is None:
        return False
    with transaction.atomic():
        Binding.drop_all(row, by=BY)
        row.disable(by=BY)
        row.lay_aside(f"{NAME}, number {row.pk}", by=BY)
    return True
