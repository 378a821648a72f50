"""A line to a real server of sieve scripts (ManageSieve): it turns to TLS when asked, and answers on it can get lost."""

import base64
import contextlib
import re
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.connectors.imap_proxy import Certificate, Listener, context

LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
OURS = b"actioncenter-"


class SieveProxy(Listener):
    """`activated` counts, by mailbox, how often another script was made the active one."""

    def __init__(self, target: int, shown: Certificate) -> None:
        self.context = context(shown)
        self.reset()
        super().__init__(target)

    def reset(self) -> None:
        self.activated: Counter[str] = Counter()
        self.lost: bool | None = None
        """Whether the next answer is lost after (True) or before (False) the effect."""
        self.before: dict[bytes, Callable[[], object]] = {}
        """By command, what happens once just before the server gets it."""

    def _line(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain, socket.create_connection(("127.0.0.1", self.target)) as far:
            server = far.makefile("rb")
            greeting = answer_of(server)
            plain.sendall(greeting.replace(b"OK", b'"STARTTLS"\r\nOK', 1))
            assert b"STARTTLS" in command_of(plain.makefile("rb"))
            plain.sendall(b"OK\r\n")
            with self.context.wrap_socket(plain, server_side=True) as client:
                client.sendall(greeting)
                self._pass_on(client, far, server)

    def _pass_on(self, client: socket.socket, far: socket.socket, server: Any) -> None:
        """Whole commands and whole answers, in turn."""
        mailbox, said = "", client.makefile("rb")
        while command := command_of(said):
            if command.startswith(b"AUTHENTICATE"):
                mailbox = base64.b64decode(command.split()[-1]).split(b"\0")[0].decode()
            acts = command.startswith(b"SETACTIVE")
            # An undo is whole only when our copy is gone.
            ends = command.startswith(b"DELETESCRIPT") or (acts and OURS in command)
            if deed := self.before.pop(command.split()[0], None):
                deed()
            if acts and self.lost is False:
                self.lost = None
                return
            far.sendall(command)
            answer = answer_of(server)
            self.activated[mailbox] += acts and answer.startswith(b"OK")
            if ends and self.lost:
                self.lost = None
                return
            client.sendall(answer)


def command_of(file: Any) -> bytes:
    """With its literals; empty when the line has ended."""
    whole: bytes = file.readline()
    while found := LITERAL.search(whole):
        whole += file.read(int(found[1])) + file.readline()
    return whole


def answer_of(file: Any) -> bytes:
    whole = b""
    while line := command_of(file):
        whole += line
        if re.match(rb"(OK|NO|BYE)\b", line):
            break
    return whole
