"""Getting in: the socket, the certificate, the sign-in on behalf of somebody, and what each refusal means."""

import base64
import hashlib
import re
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from actioncenter.connectors.base import Permanent, Transient
from actioncenter.connectors.imap.schema import Settings
from actioncenter.connectors.imap.wire import Lost, Reply, Wire, text

NEEDED: Final = ("UIDPLUS", "MOVE")
_BACKOFF: Final = re.compile(r"backoff time: *(\d+) *milliseconds", re.IGNORECASE)
PATIENCE: Final = 60.0
"""Seconds, where the server asks for patience without a number."""


class NoMailbox(Exception):
    """There is no such mailbox, or the identity may not open it."""


class Away(Exception):
    """The server can't open this one mailbox now."""


@dataclass(frozen=True, slots=True)
class Door:
    """How to get in. `seconds` is the longest silence that is borne."""

    settings: Settings
    password: str = field(repr=False)
    seconds: float = 30.0

    def enter(self, mailbox: str = "") -> "Session":
        """On behalf of the mailbox's owner, else as ourselves.

        Raises Transient (can't be reached, patience), Permanent (identity, credentials, settings), NoMailbox, Away.
        """
        wire = Wire(self._connect())
        try:
            return self._sign_in(wire, mailbox)
        except Lost as error:
            wire.close()
            raise Transient(f"The mail server can't be spoken to. {error}") from error
        except BaseException:
            wire.close()
            raise

    def _connect(self) -> socket.socket:
        plain = self.reach(self.settings.port)
        return plain if self.settings.security == "none" else self.secured(plain)

    def reach(self, port: int) -> socket.socket:
        """Raises Transient."""
        try:
            plain = socket.create_connection((self.settings.host, port), timeout=self.seconds)
        except OSError as error:
            raise Transient("The mail server can't be reached.") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def secured(self, plain: socket.socket) -> ssl.SSLSocket:
        """From here on by TLS. Raises Transient, and Permanent for another identity than the one trusted."""
        try:
            return self._shaken_hands(plain)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise Permanent(
                "identity", "Nobody vouches for the identity that the mail server shows."
            ) from error
        except OSError as error:
            plain.close()
            raise Transient("The mail server speaks no TLS.") from error

    def _shaken_hands(self, plain: socket.socket) -> ssl.SSLSocket:
        """A pinned certificate is trusted for itself, any other only through an authority."""
        context = _context(pinned=bool(self.settings.fingerprint))
        sock = context.wrap_socket(plain, server_hostname=self.settings.host)
        shown = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self.settings.fingerprint not in ("", shown):
            sock.close()
            raise Permanent(
                "identity", "The mail server shows another identity: its certificate is not the one trusted."
            )
        return sock

    def _sign_in(self, wire: Wire, mailbox: str) -> "Session":
        _bear(wire.greeting())
        identity = f"{mailbox}\0{self.settings.user}\0{self.password}"
        reply = wire.ask("AUTHENTICATE PLAIN", base64.b64encode(identity.encode()).decode())
        if not reply.ok:
            _refused(reply, mailbox)
        offered = reply.said.split() if reply.code == "CAPABILITY" else _capabilities(wire)
        missing = [name for name in NEEDED if name not in offered]
        if missing:
            raise Permanent("settings", f"The mail server lacks {' and '.join(missing)}.")
        wire.can_write_ahead = "LITERAL+" in offered
        return Session(wire, mailbox, frozenset(offered))


@cache
def _context(*, pinned: bool) -> ssl.SSLContext:
    """Kept, because reading the authorities of the system takes longer than a sign-in."""
    if not pinned:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _bear(reply: Reply) -> None:
    """Raise Transient where the server asks for patience."""
    found = _BACKOFF.search(reply.text)
    if found or (not reply.ok and reply.code == "LIMIT"):
        seconds = int(found[1]) / 1000 if found else PATIENCE
        raise Transient("The mail server asks for patience.", retry_after=seconds, throttled=True)
    if reply.status == "BYE":
        raise Transient("The mail server takes no one in now.")


def _refused(reply: Reply, mailbox: str) -> None:
    _bear(reply)
    if reply.code in {"UNAVAILABLE", "INUSE"}:
        if mailbox:
            raise Away("The mail server can't open this mailbox now.")
        raise Transient("The mail server can't sign anyone in now.")
    if mailbox:
        raise NoMailbox("There is no such mailbox, or it may not be opened.")
    raise Permanent("credentials", "The mail server refused the sign-in.")


def _capabilities(wire: Wire) -> list[str]:
    reply = wire.ask("CAPABILITY")
    return [str(word) for line in reply.data for word in line[1:]]


@dataclass
class Session:
    """Signed in. `identity` is the FETCH item that names a message for ever, "" where there is none."""

    wire: Wire
    mailbox: str
    offered: frozenset[str]
    _identity: str | None = None

    def close(self) -> None:
        self.wire.close()

    @property
    def identity(self) -> str:
        """EMAILID by RFC 8474; Dovecot keeps its own since long before."""
        if self._identity is None:
            self._identity = "EMAILID" if "OBJECTID" in self.offered else self._by_name()
        return self._identity

    def _by_name(self) -> str:
        if "ID" not in self.offered:
            return ""
        said = self.wire.ask('ID ("name" "Action center")').data
        return "X-GUID" if b"dovecot" in b" ".join(_strings(said)).lower() else ""

    def select(self, folder: str, *, writing: bool) -> int:
        """The folder's UIDVALIDITY, or 0 where it can't be opened."""
        return validity(self.wire.ask("SELECT" if writing else "EXAMINE", text(folder)))


def validity(reply: Reply) -> int:
    return next((int(note.said) for note in reply.notes if note.code == "UIDVALIDITY"), 0) if reply.ok else 0


def _strings(value: object) -> list[bytes]:
    if isinstance(value, list | tuple):
        return [each for inner in value for each in _strings(inner)]
    return [value] if isinstance(value, bytes) else []
