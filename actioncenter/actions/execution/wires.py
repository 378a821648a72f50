"""The four ways out to a receiver of the stream. Each raises Undelivered unless the receiver has taken all of it.

What "taken" means differs: a webhook answers; TCP and TLS syslog have no answer, so there it is that the
receiver's machine has acknowledged every byte; UDP has nothing. Addresses are looked up once and the one
found is connected to, never this machine or its link (settings.models.streams.is_forbidden).
"""

import base64
import email.utils
import fcntl
import hmac
import http.client
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import SplitResult

from actioncenter.settings.models.streams import is_forbidden

TIMEOUT: Final = 10.0
"""Seconds for each step: to connect, to send, to be answered."""
DEADLINE: Final = 25.0
"""Seconds for all of one delivery, whatever trickles in."""
MOST_ANSWER: Final = 4096
DEFAULT_PORT: Final = {"https": 443, "http": 80}


class Undelivered(Exception):
    """Not taken, or nobody knows; `after` is how long the receiver asked us to wait."""

    def __init__(self, message: str, *, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


def post(url: SplitResult, body: bytes, *, secret: str, ref: str, ca: str) -> None:
    """JSON lines, signed as Standard Webhooks do: `v1,` and base64 of HMAC-SHA256(secret, ref.time.body)."""
    at = str(int(time.time()))
    digest = hmac.digest(secret.encode(), f"{ref}.{at}.".encode() + body, "sha256")
    headers = {
        "Content-Type": "application/x-ndjson",
        "User-Agent": "actioncenter",
        "webhook-id": ref,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    with _connected(url, ca=ca) as line:
        wire = http.client.HTTPConnection(url.hostname or "", url.port or DEFAULT_PORT[url.scheme])
        wire.sock = line
        wire.request("POST", url._replace(scheme="", netloc="").geturl() or "/", body, headers)
        answer = wire.getresponse()
        answer.read(MOST_ANSWER)
        if not 200 <= answer.status < 300:
            after = _asked(answer.headers.get("Retry-After", "")) if answer.status in (429, 503) else None
            said = "redirects, which are not followed" if 300 <= answer.status < 400 else "answers"
            raise Undelivered(f"It {said} ({answer.status}).", after=after)


def _asked(text: str) -> timedelta | None:
    """Of `Retry-After`: seconds or a date."""
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:6]))
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)
    except (TypeError, ValueError):
        return None


def syslog(url: SplitResult, messages: Sequence[bytes], *, ca: str) -> None:
    """RFC 6587 octet counting, under TLS as in RFC 5425; each datagram a message (RFC 5426)."""
    with _connected(url, ca=ca) as line:
        if url.scheme == "syslog+udp":
            for message in messages:
                line.send(message)
            return
        line.sendall(b"".join(b"%d %b" % (len(message), message) for message in messages))
        _acknowledged(line)


def _acknowledged(line: socket.socket) -> None:
    """Until the other machine has confirmed every byte. A reset while we wait is one that didn't."""
    until = time.monotonic() + TIMEOUT
    line.settimeout(0.01)
    while True:
        try:
            if line.recv(MOST_ANSWER) == b"":
                raise Undelivered("It closed the connection.")
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        [left] = struct.unpack("i", fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        if left == 0:
            return
        if time.monotonic() > until:
            raise Undelivered("It takes nothing: the connection stays full.")


@contextmanager
def _connected(url: SplitResult, *, ca: str) -> Iterator[Any]:
    """A socket that is shut after DEADLINE seconds. All that can go wrong becomes Undelivered."""
    opened: list[socket.socket] = []
    watch = threading.Timer(DEADLINE, _shut, [opened])
    watch.daemon = True
    try:
        opened.append(_open(url))
        watch.start()
        if url.scheme in ("https", "syslog+tls"):
            line = _encrypted(opened[0], url, ca)
            opened.append(line)
            line.do_handshake()
        yield opened[-1]
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Undelivered(_told(error)) from error
    finally:
        watch.cancel()
        for each in reversed(opened):
            each.close()


def _open(url: SplitResult) -> socket.socket:
    datagram = url.scheme == "syslog+udp"
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    found = socket.getaddrinfo(url.hostname, url.port or DEFAULT_PORT.get(url.scheme), type=kind)
    family, _, _, _, place = found[0]
    if any(is_forbidden(str(each[4][0])) for each in found):
        raise Undelivered(f"{url.hostname} is this machine or its link; nothing is sent there.")
    line = socket.socket(family, kind)
    try:
        line.settimeout(TIMEOUT)
        line.connect(place)
    except OSError:
        line.close()
        raise
    return line


def _encrypted(line: socket.socket, url: SplitResult, ca: str) -> ssl.SSLSocket:
    trust = ssl.create_default_context(cadata=ca or None)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    return trust.wrap_socket(line, server_hostname=url.hostname, do_handshake_on_connect=False)


def _shut(lines: Sequence[socket.socket]) -> None:
    for line in lines:
        # One that is closed already.
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def _told(error: Exception) -> str:
    """One short line. Text of the receiver's is never repeated."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate isn't trusted: {error.verify_message}."
    if isinstance(error, socket.gaierror):
        return "Its name isn't known."
    if isinstance(error, TimeoutError):
        return "It didn't answer in time."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"It doesn't speak the protocol ({type(error).__name__})."
