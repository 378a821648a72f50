"""A line to a real mail server that can be cut, kept waiting, or end at an impostor. It speaks TLS, the server need not."""

import base64
import contextlib
import datetime
import re
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HIDDEN = b"EXPUNGED/"
PATIENCE = 30


@dataclass(frozen=True)
class Certificate:
    """With its key, as one file."""

    path: Path
    fingerprint: str


def certificate(path: Path) -> Certificate:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")]),
    )
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return Certificate(path, made.fingerprint(hashes.SHA256()).hex())


class Listener:
    """`port` leads to the server at `target`; each line that somebody opens has a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._line, args=(sock,), daemon=True).start()

    def _line(self, plain: socket.socket) -> None:
        raise NotImplementedError


class Proxy(Listener):
    """Whatever is set holds for lines that are opened afterwards."""

    def __init__(self, target: int, shown: Certificate, impostor: Certificate) -> None:
        self.contexts = [context(each) for each in (shown, impostor)]
        self.shown = shown
        self.fingerprint = shown.fingerprint
        self.reset()
        super().__init__(target)

    def reset(self) -> None:
        self.impostor = False
        self.told = False
        """Whether the impostor was sent anything."""
        self.patience = 0.0
        self.away: set[str] = set()
        self.closed: set[str] = set()
        self.cut: Callable[[Line, bytes], bool | None] = _never
        """Whether a command is to be lost after (True) or before (False) the server did it."""

    def lose(self, *, after_effect: bool, in_two: bool = False) -> None:
        """The next command that has the effect; deleting for good has it when the hidden copy goes, and so has what
        moves first and then deletes, `in_two`.
        """

        def cut(line: "Line", command: bytes) -> bool | None:
            last = b"UID EXPUNGE" in command and line.selected.startswith(HIDDEN)
            first = b"UID STORE" in command and not in_two and not line.selected.startswith(HIDDEN)
            moves = b"UID MOVE" in command and not (in_two and after_effect)
            if moves or (last if after_effect else first):
                return after_effect
            return None

        self.cut = cut

    def _line(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.contexts[self.impostor].wrap_socket(plain, server_side=True) as client:
                if self.impostor:
                    self.told = self.told or bool(client.recv(1))
                    return
                with socket.create_connection(("127.0.0.1", self.target)) as server:
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    Line(self, client, server).run()


class Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: ssl.SSLSocket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.selected = b""
        self.swallowed = b""
        """The tag of the command whose answer is kept back."""
        self.kept = b""
        self.over = False

    def run(self) -> None:
        """In one thread: a TLS socket doesn't bear being read and written at the same time."""
        self.client.settimeout(PATIENCE)
        waiting = b""
        while True:
            ready = (
                [self.client]
                if self.client.pending()
                else select.select([self.client, self.server], [], [])[0]
            )
            if self.client in ready:
                got = self.client.recv(65536)
                if not got:
                    return
                waiting = self._commands(waiting + got)
            if self.over or (self.server in ready and not self._answers()):
                return

    def _commands(self, waiting: bytes) -> bytes:
        """Pass whole commands on; returns what isn't one yet."""
        while b"\r\n" in waiting and not self.over:
            command, _, waiting = waiting.partition(b"\r\n")
            command += b"\r\n"
            if literal := re.search(rb"\{(\d+)\+?\}\r\n\Z", command):
                size = int(literal[1])
                if len(waiting) < size:
                    return command + waiting
                command, waiting = command + waiting[:size], waiting[size:]
            if not self._handled(command):
                self.server.sendall(command)
        return waiting

    def _handled(self, command: bytes) -> bool:
        tag, _, rest = command.strip().partition(b" ")
        if rest.startswith(b"AUTHENTICATE"):
            return self._refused(tag, rest)
        if rest.startswith((b"SELECT ", b"EXAMINE ")):
            self.selected = rest.partition(b" ")[2].strip(b'"')
        lost = self.proxy.cut(self, rest)
        if lost:
            self.swallowed = tag
        elif lost is False:
            self.proxy.cut = _never
            self.over = True
        return self.over

    def _refused(self, tag: bytes, rest: bytes) -> bool:
        owner = base64.b64decode(rest.split()[-1]).split(b"\0")[0].decode()
        if self.proxy.patience:
            text = f"[LIMIT] Request is throttled. Suggested Backoff Time: {self.proxy.patience * 1000:.0f} milliseconds"
        elif owner in self.proxy.away:
            text = "[UNAVAILABLE] Temporary failure"
        elif owner in self.proxy.closed:
            text = "[AUTHORIZATIONFAILED] Authorization denied"
        else:
            return False
        self.client.sendall(tag + f" NO {text}\r\n".encode())
        return True

    def _answers(self) -> bool:
        """Pass them on; False when the line is to end."""
        answer = self.server.recv(65536)
        if not self.swallowed:
            self.client.sendall(answer)
            return bool(answer)
        self.kept += answer
        found = re.search(rb"(?m)^%s (OK|NO|BAD).*\r\n" % self.swallowed, self.kept)
        if found and found[1] == b"OK":
            self.proxy.cut = _never
            return False
        if found:
            self.client.sendall(self.kept)
            self.kept, self.swallowed = b"", b""
        return bool(answer)


def _never(line: Line, command: bytes) -> bool | None:
    return None


def context(shown: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.path)
    return context
