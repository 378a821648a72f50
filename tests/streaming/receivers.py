"""Real receivers: syslog over TCP, TLS and UDP that takes nothing but RFC 5424, and an HTTPS server."""

import base64
import hmac
import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

HEADER = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48})"
    rb" ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) (.*)",
    re.DOTALL,
)
ELEMENT = re.compile(
    rb'\[([\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32})((?: [\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\]'
)
PARAM = re.compile(rb' ([^=]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message: bytes) -> dict[str, Any]:
    """Raises ValueError: it isn't RFC 5424."""
    head = HEADER.fullmatch(message)
    if head is None or int(head[1]) > 191:
        raise ValueError(f"no header: {message[:80]!r}")
    element = ELEMENT.match(head[7])
    if element is None or head[7][element.end() : element.end() + 1] != b" ":
        raise ValueError(f"no structured data: {head[7][:200]!r}")
    data = {}
    for name, value in PARAM.findall(element[2]):
        text = re.sub(rb'\\(["\\\]])', rb"\1", value).decode()
        if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text):
            raise ValueError("a control character")
        data[name.decode()] = text
    return {
        "pri": int(head[1]),
        "msgid": head[6].decode(),
        "data": data,
        "said": json.loads(head[7][element.end() :]),
    }


def frames(raw: bytes) -> list[bytes]:
    """Octet counting of RFC 6587; what isn't whole is left out."""
    found = []
    while raw:
        length = re.match(rb"([1-9]\d*) ", raw)
        if length is None:
            raise ValueError(f"no length: {raw[:40]!r}")
        end = length.end() + int(length[1])
        if end <= len(raw):
            found.append(raw[length.end() : end])
        raw = raw[end:]
    return found


class Syslog:
    """Listens on a port of its own until closed; `port` opens the same one again."""

    def __init__(self, context: ssl.SSLContext | None = None, *, port: int = 0, deaf: bool = False) -> None:
        self._context, self._deaf = context, deaf
        self._lines: list[socket.socket] = []
        self._parts: list[bytearray] = []
        self._server = socket.create_server(("127.0.0.1", port))
        if deaf:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._server.accept()
                self._lines.append(line)
                if not self._deaf:
                    thread = threading.Thread(target=self._take, args=(line,), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _take(self, line: socket.socket) -> None:
        part = bytearray()
        self._parts.append(part)
        with suppress(OSError):
            taken = self._context.wrap_socket(line, server_side=True) if self._context else line
            self._lines.append(taken)
            while some := taken.recv(65536):
                part += some

    def close(self) -> None:
        """Once all that came is read; those who are in the middle are cut off."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join(10)
        for thread in self._threads[1:]:
            thread.join(10)
        for line in self._lines:
            line.close()

    def messages(self) -> list[dict[str, Any]]:
        self.close()
        return [parsed(message) for part in self._parts for message in frames(bytes(part))]


class Web(http.server.ThreadingHTTPServer):
    """Answers what `answers` says, then 204; keeps what was posted and answered with 2xx."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None, secret: str, *, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.secret, self.answers, self.kept, self.asked = (
            secret,
            list[Any](),
            list[str](),
            list[dict[str, str]](),
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever doesn't trust us hangs up."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(dict(self.headers))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        if not self._is_signed(body):
            status = 401
        if 200 <= status < 300:
            self.server.kept += body.decode("ascii").splitlines(keepends=True)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _is_signed(self, body: bytes) -> bool:
        made_of = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        digest = hmac.digest(self.server.secret.encode(), made_of, "sha256")
        return bool(self.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what was kept."""


@contextmanager
def web(context: ssl.SSLContext | None, secret: str, *, port: int = 0) -> Iterator[Web]:
    with Web(context, secret, port=port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
