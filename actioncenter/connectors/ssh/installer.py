"""Runs on a host, as root, once: makes the account, the helper, its one right and the trust in our certificates.

Standard library only; it comes over standard input and leaves nothing of itself. It says what it did, a line of
JSON for each step, and doing it again changes nothing but what differs.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from typing import Any

FOLDER = "/usr/local/lib/actioncenter"
HELPER = FOLDER + "/helper"
TRUST = "/etc/ssh/actioncenter_ca.pub"
SSHD = "/etc/ssh/sshd_config.d/50-actioncenter.conf"
RIGHT = "/etc/sudoers.d/actioncenter"
PIDS = ("/run/sshd.pid", "/var/run/sshd.pid")
_SSHD = """# Action center: certificates of its authority sign in to this account, for one command, and nothing else does.
Match User {user}
    TrustedUserCAKeys {trust}
    AuthorizedKeysFile none
    AuthenticationMethods publickey
    ForceCommand /usr/bin/sudo -n {helper}
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
"""
_RIGHT = """# Action center: this account may run this one program, and may tell it nothing but on standard input.
Defaults!{helper} env_keep += "SSH_CONNECTION", !requiretty
{user} ALL=(root) NOPASSWD: {helper} ""
"""


def main(wish: "dict[str, Any]") -> None:
    user = wish["user"]
    _need("/usr/bin/python3", "/usr/bin/sudo", "/usr/sbin/sshd")
    try:
        pwd.getpwnam(user)
    except KeyError:
        _run(
            "useradd",
            "--system",
            "--no-create-home",
            "--home-dir",
            "/",
            "--shell",
            "/bin/sh",
            "-p",
            "*",
            user,
        )
        _say("account", user)
    os.makedirs(FOLDER, mode=0o755, exist_ok=True)
    _put(HELPER, bytes.fromhex(wish["helper"]), 0o755)
    _put(TRUST, (wish["authority"] + "\n").encode(), 0o644)
    right = _RIGHT.format(helper=HELPER, user=user).encode()
    _put(RIGHT, right, 0o440, check=["visudo", "-cqf"])
    if _put(SSHD, _SSHD.format(user=user, trust=TRUST, helper=HELPER).encode(), 0o644):
        try:
            _run("/usr/sbin/sshd", "-t")
        except SystemExit:
            os.unlink(SSHD)
            raise
        _reload()
    _say("enrolled", user)


def _need(*programs: str) -> None:
    for program in programs:
        if not os.path.exists(program):
            sys.exit(f"There is no {program} on this host.")


def _put(path: str, content: bytes, mode: int, check: "list[str] | None" = None) -> bool:
    """Write it whole or not at all; returns whether that changed anything."""
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = path + "~"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as file:
        os.fchown(file.fileno(), 0, 0)
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if check:
        _run(*check, draft)
    os.rename(draft, path)
    _say("wrote", path)
    return True


def _reload() -> None:
    """Sessions that are open go on."""
    if os.path.isdir("/run/systemd/system") and shutil.which("systemctl"):
        for unit in ("sshd", "ssh"):
            if subprocess.run(["systemctl", "reload", unit], capture_output=True).returncode == 0:
                _say("reloaded", unit)
                return
    for path in PIDS:
        if os.path.exists(path):
            with open(path) as file:
                os.kill(int(file.read()), signal.SIGHUP)
            _say("reloaded", "sshd")
            return
    _say("reload sshd yourself", SSHD)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {(done.stderr or done.stdout).strip()[:500]}")


def _say(what: str, of: str) -> None:
    print(json.dumps([what, of]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
