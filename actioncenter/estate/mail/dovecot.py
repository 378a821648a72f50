"""A real Dovecot on random loopback ports, as a user of no power: IMAP, LMTP, Sieve, ManageSieve.

Nothing in it is durable. Its folder holds everything: configuration, accounts, mail, log, sockets.
"""

import grp
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from actioncenter.estate.services import Service, ServiceMissing, free_port

PROGRAM = "/usr/sbin/dovecot"
PACKAGES = "dovecot-imapd dovecot-lmtpd dovecot-sieve dovecot-managesieved"
BOT = "remediation"
"""The identity that acts for others; its own mailbox holds the connector's ledger."""
QUARANTINE, RECOVERABLE, EXPUNGED = "Quarantine", "Recoverable", "EXPUNGED"
_CONF = Path(__file__).with_name("dovecot.conf.template")
_ACL = f"""\
* user={BOT} lrwstiek
* owner lrwstipekxa
{QUARANTINE} -owner lrwstipekxa
{RECOVERABLE} -owner lrwstipekxa
{EXPUNGED}/* -owner lrwstipekxa
"""


@dataclass
class Dovecot(Service):
    """`secret` is the password of BOT; every owner's password is `password`."""

    sieve_port: int = field(kw_only=True)
    lmtp_port: int = field(kw_only=True)
    secret: str = field(kw_only=True, repr=False)
    password: str = field(kw_only=True, repr=False)

    package: ClassVar[str] = PACKAGES

    @classmethod
    def start(cls, folder: Path | None = None, *, outlives: bool = False) -> Self:
        """Raises ServiceMissing and ServiceFailed. A folder that is given must be empty.

        Unless it `outlives` this process, it ends with it, however that ends.
        """
        for program in (PROGRAM, "/usr/lib/dovecot/managesieve", "/usr/lib/dovecot/lmtp"):
            if not Path(program).exists():
                raise ServiceMissing("Dovecot", cls.package)
        folder = folder or Path(tempfile.mkdtemp(prefix="actioncenter-mail-"))
        imap, sieve, lmtp = free_port(), free_port(), free_port()
        secret, password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        _configure(folder, imap, sieve, lmtp, secret)
        server = cls(
            folder, imap, partial(_spawn, folder, outlives), sieve_port=sieve, lmtp_port=lmtp, secret=secret, password=password
        )  # fmt: skip
        return server.wait_until(server.answers, cls.patience)

    def add_users(self, addresses: Iterable[str]) -> None:
        """A file for each: Dovecot looks into one that it knows once a second at most."""
        for address in addresses:
            (self.folder / "users" / address).write_text(_account(address, self.password))

    def home(self, address: str) -> Path:
        return self.folder / "mail" / address

    def leave_running(self) -> None:
        """It outlives this process, which then need not wait for it."""
        self.process.returncode = 0

    def kill(self) -> None:
        """Take the whole server down without a warning, every process of it; `resume` starts it again."""
        end(self.process.pid)
        self.process.wait()
        (self.folder / "run" / "master.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Its children outlive a master that is asked to end, and would write into a folder that is being removed."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self, name: str = "") -> list[int]:
        return processes_of(self.process.pid, name)


def processes_of(master: int, name: str = "") -> list[int]:
    """Whatever lives in the master's session, itself included; only those of that program where one is named."""
    found = []
    for each in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            head, _, rest = (each / "stat").read_text().rpartition(")")
            state, _, _, session = rest.split()[:4]
            if int(session) == master and state != "Z" and name in ("", head.partition("(")[2]):
                found.append(int(each.name))
    return found


def end(master: int) -> None:
    """Kill it with all its children and return when none is left."""
    with suppress(ProcessLookupError):
        os.killpg(master, signal.SIGKILL)
    while processes_of(master):
        time.sleep(0.01)


def runs_as() -> pwd.struct_passwd:
    """Root hands over to the user that the package made; anybody else stays who he is."""
    return pwd.getpwnam("dovecot") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def give(path: Path) -> None:
    """To the user that the server runs as, with all that is in it."""
    user = runs_as()
    if os.geteuid() != 0:
        return
    os.chown(path, user.pw_uid, user.pw_gid)
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            os.chown(os.path.join(folder, name), user.pw_uid, user.pw_gid)  # noqa: PTH118 - thousands of files


def _account(address: str, password: str) -> str:
    return f"{address}:{{PLAIN}}{password}::::::\n"


def _configure(folder: Path, imap: int, sieve: int, lmtp: int, secret: str) -> None:
    user = runs_as()
    values = {
        "folder": folder, "imap": imap, "sieve": sieve, "lmtp": lmtp, "user": user.pw_name, "uid": user.pw_uid,
        "gid": user.pw_gid, "group": grp.getgrgid(user.pw_gid).gr_name, "expunged": EXPUNGED,
    }  # fmt: skip
    text = _CONF.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (folder / "dovecot.conf").write_text(text)
    (folder / "acl").write_text(_ACL)
    for name in ("mail", "users"):
        (folder / name).mkdir()
    for name in ("masters", f"users/{BOT}"):
        (folder / name).write_text(_account(BOT, secret))
    (folder / "log").touch()
    give(folder)


def _spawn(folder: Path, outlives: bool) -> "subprocess.Popen[bytes]":
    user = runs_as()
    become: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    command = [PROGRAM, "-F", "-c", str(folder / "dovecot.conf")]
    if not outlives:
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    with (folder / "log").open("ab") as log:
        # In a session of its own, so that Ctrl-C is left to whoever started it.
        return subprocess.Popen(  # noqa: S603 - our own arguments
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            **(become if os.geteuid() == 0 else {}),
        )  # fmt: skip


def master_in(folder: Path) -> int:
    """The running master of a folder, whoever started it; 0 when there is none."""
    with suppress(OSError, ValueError):
        master = int((folder / "run" / "master.pid").read_text())
        if f"{folder}/dovecot.conf" in Path(f"/proc/{master}/cmdline").read_text().split("\0"):
            return master
    return 0


def clear(folder: Path) -> None:
    """End what still runs in a folder and remove the folder."""
    if master := master_in(folder):
        end(master)
    shutil.rmtree(folder, ignore_errors=True)
