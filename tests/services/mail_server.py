"""A mail server on a socket of this machine that takes mail, or fails in one chosen way."""

import base64
import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum, auto
from typing import Self

USER, PASSWORD = "center", "hunter2-of-the-mail-server"


class Fault(Enum):
    NONE = auto()
    BUSY = auto()
    """421 instead of a greeting."""
    RECIPIENT_REFUSED = auto()
    CONTENT_REFUSED = auto()
    LOST_BEFORE = auto()
    """The line breaks before the text of the mail."""
    LOST_AFTER = auto()
    """The mail is taken, but the line breaks before it says so."""
    RUDE = auto()
    """The mail is taken; the line breaks instead of a goodbye."""
    SLOW = auto()
    """It never answers; its client gives up."""


class MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.fault = fault
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.calls = 0
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.calls += 1
        if self.server.fault is Fault.BUSY:
            return self.say("421 Come back later")
        if self.server.fault is Fault.SLOW:
            self.server.closing.wait()
            return None
        self.say("220 ready")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if not self.answer(verb.upper(), rest):
                return None
        return None

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def answer(self, verb: str, rest: str) -> bool:
        """Whether the line stays up."""
        fault = self.server.fault
        if verb == "QUIT" and fault is Fault.RUDE:
            return False
        if verb == "DATA":
            return self.take()
        if verb == "RCPT" and fault is Fault.RECIPIENT_REFUSED:
            self.say("550 Nobody of that name\x1b[2J here")
        elif verb == "RCPT":
            self.server.recipients.append(rest)
            self.say("250 ok")
        elif verb == "EHLO":
            self.say("250-here", "250 AUTH PLAIN")
        elif verb == "AUTH":
            self.say("235 welcome" if self.is_known(rest) else "535 No such user or password")
        else:
            self.say("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def is_known(self, sent: str) -> bool:
        return base64.b64decode(sent.split()[1]).split(b"\0")[1:] == [USER.encode(), PASSWORD.encode()]

    def take(self) -> bool:
        fault = self.server.fault
        if fault is Fault.LOST_BEFORE:
            return False
        self.say("354 go on")
        text = b""
        while (line := self.rfile.readline()) != b".\r\n":
            text += line
        if fault is Fault.CONTENT_REFUSED:
            self.say("554 Looks like spam")
            return True
        message = message_from_bytes(text, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.taken.append(message)
        if fault is Fault.LOST_AFTER:
            return False
        self.say("250 taken")
        return True
