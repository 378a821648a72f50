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
RELABEL = "/usr/sbin/restorecon"
SELINUX = "/sys/fs/selinux/enforce"
PYTHON = (3, 9)
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
    if sys.version_info < PYTHON:
        sys.exit("The helper needs Python 3.9 or later as /usr/bin/python3.")
    _account(user)
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
    _require_in_force(user)
    _relabel(FOLDER, TRUST, RIGHT, SSHD)
    _say("enrolled", user)


def _account(user: str) -> None:
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        words = ("--system", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "-p", "*")
        _run("useradd", *words, user)
        _say("account", user)
        return
    # As on a machine that runs this product itself. Somebody else's account isn't changed.
    if found.pw_uid == 0 or found.pw_shell.endswith(("/nologin", "/false")):
        sys.exit(
            f"There is an account {user} already that is root or has the shell {found.pw_shell}, so nobody can sign in as it"
            " to run the helper. Set another account in the connector's settings, and enrol again."
        )


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


def _require_in_force(user: str) -> None:
    """What was written is read: an sshd before OpenSSH 8.2, or one without the line, leaves the folder out."""
    told = _run("/usr/sbin/sshd", "-T", "-C", f"user={user},host=localhost,addr=127.0.0.1")
    lines = told.lower().splitlines()
    if "trustedusercakeys " + TRUST not in lines:
        sys.exit(
            f"sshd doesn't read {SSHD}: put `Include /etc/ssh/sshd_config.d/*.conf` at the head of /etc/ssh/sshd_config"
            " (OpenSSH 8.2 or later), then enrol again."
        )
    for line in lines:
        if line.startswith(("allowusers ", "allowgroups ", "denyusers ", "denygroups ")):
            _say("look whether sshd lets it in", line)


def _relabel(*paths: str) -> None:
    """With SELinux, what lies there gets the label that the host's own policy has for it."""
    if os.path.exists(SELINUX) and os.path.exists(RELABEL):
        _run(RELABEL, "-RF", *paths)


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


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {(done.stderr or done.stdout).strip()[:500]}")
    return done.stdout


def _say(what: str, of: str) -> None:
    print(json.dumps([what, of]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
