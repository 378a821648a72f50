"""ManageSieve (RFC 5804) on a socket: the scripts of one mailbox, listed, read, laid down, made the active one."""

import base64
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from actioncenter.connectors.base import Permanent, Transient
from actioncenter.connectors.imap.session import Door
from actioncenter.connectors.imap.wire import Lost, tokens, whole_line

_ENDS: Final = ("OK", "NO", "BYE")


@dataclass(frozen=True, slots=True)
class Answer:
    ok: bool
    code: str
    text: str
    lines: list[list[Any]]


@dataclass
class SieveLine:
    """Signed in on behalf of a mailbox's owner. Every call raises Lost where the line breaks."""

    sock: socket.socket
    _file: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._file = self.sock.makefile("rb")

    @classmethod
    def enter(cls, door: Door, mailbox: str) -> "SieveLine":
        """Raises Transient and Permanent; that the mailbox can be opened is known from IMAP, which says more."""
        line = cls(door.reach(door.settings.sieve_port))
        try:
            line._greeted()
            if door.settings.security != "none":
                line = line._secured(door)
            identity = f"{mailbox}\0{door.settings.user}\0{door.password}".encode()
            answer = line.ask("AUTHENTICATE", "PLAIN", base64.b64encode(identity).decode())
        except Lost as error:
            line.close()
            raise Transient(f"The server of sieve scripts can't be spoken to. {error}") from error
        except BaseException:
            line.close()
            raise
        if not answer.ok:
            line.close()
            if answer.code == "TRYLATER":
                raise Transient("The scripts of this mailbox can't be read now.", 30.0, offline=True)
            raise Permanent("credentials", "The server of sieve scripts refused the sign-in.")
        return line

    def _greeted(self) -> None:
        if not self._answer().ok:
            raise Transient("The server of sieve scripts takes no one in now.")

    def _secured(self, door: Door) -> "SieveLine":
        if not self.ask("STARTTLS").ok:
            raise Permanent("settings", "The server of sieve scripts offers no TLS.")
        secured = SieveLine(door.secured(self.sock))
        secured._greeted()
        return secured

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def names(self) -> tuple[list[str], str]:
        """All scripts, and the active one ("" where there is none)."""
        lines = self._done("LISTSCRIPTS").lines
        names = [line[0].decode("utf-8", "surrogateescape") for line in lines]
        return names, next((name for name, line in zip(names, lines, strict=True) if len(line) > 1), "")

    def get(self, name: str) -> bytes | None:
        """None where there is no such script."""
        answer = self.ask("GETSCRIPT", name)
        return bytes(answer.lines[0][0]) if answer.ok and answer.lines else None

    def put(self, name: str, content: bytes) -> str:
        """Empty, or why not."""
        return _refusal(self.ask("PUTSCRIPT", name, content))

    def activate(self, name: str) -> str:
        return _refusal(self.ask("SETACTIVE", name))

    def delete(self, name: str) -> str:
        return _refusal(self.ask("DELETESCRIPT", name))

    def ask(self, command: str, *arguments: str | bytes) -> Answer:
        """Every argument goes as a literal, so that nothing in it can be taken for a command."""
        sent = bytearray(command.encode())
        for argument in arguments:
            raw = argument if isinstance(argument, bytes) else argument.encode("utf-8", "surrogateescape")
            sent += b" {%d+}\r\n%s" % (len(raw), raw)
        try:
            self.sock.sendall(bytes(sent) + b"\r\n")
        except (OSError, ssl.SSLError) as error:
            raise Lost("The line broke.") from error
        return self._answer()

    def _done(self, command: str) -> Answer:
        answer = self.ask(command)
        if not answer.ok:
            raise Lost(f"The server refused {command}: {answer.text[:200]}")
        return answer

    def _answer(self) -> Answer:
        lines: list[list[Any]] = []
        while True:
            found = list(tokens(whole_line(self._file)))
            if not found or not isinstance(found[0], str) or found[0].upper() not in _ENDS:
                lines.append(found)
                continue
            code = next((str(each[0]).upper() for each in found[1:] if isinstance(each, list) and each), "")
            said = next((each for each in found[1:] if isinstance(each, bytes)), b"")
            text = said.decode("utf-8", "replace")
            if found[0].upper() == "BYE":
                raise Lost(f"The server hung up: {text}")
            return Answer(found[0].upper() == "OK", code.partition("/")[0], text, lines)


def _refusal(answer: Answer) -> str:
    return "" if answer.ok else f"refused: {answer.text[:200]}"
