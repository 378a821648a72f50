"""Makes .venv from the pinned requirements, re-executes itself in it, then hands over to Django.

Standard library only, and it must parse on older Pythons, so that they get a message and not a traceback.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"
DEVELOPMENT_COMMANDS = {"test", "check_all", "screenshots"}
OLDEST_PYTHON = (3, 11)


def main() -> None:
    """Run the command line in the project's own environment; make or refresh that first where needed."""
    if sys.version_info < OLDEST_PYTHON:
        stop("Python 3.11 or newer is needed; this is %d.%d." % sys.version_info[:2])  # noqa: UP031
    if not os.environ.get("ACTIONCENTER_NO_BOOTSTRAP"):
        wanted = DEVELOPMENT if set(sys.argv[1:2]) & DEVELOPMENT_COMMANDS else RUNTIME
        ensure_environment(wanted)
        if Path(sys.prefix) != VENV:
            os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606 - the same command, in the environment
    elif importlib.util.find_spec("django") is None:
        stop(
            "ACTIONCENTER_NO_BOOTSTRAP is set, but this Python has no Django: unset it, or install requirements.txt."
        )

    # Only importable once the environment exists.
    from actioncenter.ops import commandline  # noqa: PLC0415

    commandline.run(sys.argv)


def ensure_environment(wanted: Path) -> None:
    """Bring .venv up to date with that requirements file; does nothing, and asks no network, when it is."""
    if is_current(wanted):
        return
    with only_one():
        if is_current(wanted):  # another process made it while this one waited
            return
        if DEVELOPMENT.name in stamps():
            wanted = DEVELOPMENT
        started = time.monotonic()
        stamp_file().unlink(missing_ok=True)
        install(wanted)
        write_stamps(wanted)
        say(f"Set-up finished in {time.monotonic() - started:.0f} s.")


def is_current(wanted: Path) -> bool:
    return os.access(PYTHON, os.X_OK) and stamps().get(wanted.name) == digest(wanted)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stamp_file() -> Path:
    return VENV / "installed"


def stamps() -> dict[str, str]:
    """Return file name -> digest of what .venv was made from."""
    try:
        lines = stamp_file().read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split(" ", 1) for line in lines if " " in line)


def write_stamps(wanted: Path) -> None:
    # The development set contains the runtime set, pin for pin.
    files = [RUNTIME, DEVELOPMENT] if wanted == DEVELOPMENT else [RUNTIME]
    lines = [f"{path.name} {digest(path)}\n" for path in files]
    stamp_file().write_text("".join(lines), encoding="utf-8")


@contextmanager
def only_one() -> Iterator[None]:
    """Two commands started at once must not install into the same folder."""
    with (ROOT / ".venv.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is setting up; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(wanted: Path) -> None:
    count = sum(1 for line in wanted.read_text(encoding="utf-8").splitlines() if "==" in line)
    say(f"Setting up: installing {count} pinned packages into .venv (only on the first start) ...")
    uv = shutil.which("uv")
    if uv and install_with_uv(uv, wanted):
        return
    install_with_pip(wanted)


def install_with_uv(uv: str, wanted: Path) -> bool:
    if not os.access(PYTHON, os.X_OK):
        shutil.rmtree(VENV, ignore_errors=True)
        if run([uv, "venv", "--quiet", "--no-project", "--python", base_python(), str(VENV)]):
            return False
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(PYTHON)]
    return run([*command, "--requirement", str(wanted)]) == 0


def install_with_pip(wanted: Path) -> None:
    if not os.access(PYTHON, os.X_OK):
        shutil.rmtree(VENV, ignore_errors=True)
        # Without pip: this part works also where the distribution has split pip off (Debian, Ubuntu).
        if run([base_python(), "-m", "venv", "--without-pip", str(VENV)]):
            stop(needs_package())
    pip = find_pip()
    if pip is None:
        stop(needs_package())
    arguments = ["install", "-qq", "--disable-pip-version-check", "--require-hashes", "--requirement"]
    if run([*pip, *arguments, str(wanted)]):
        stop(
            "The packages could not be installed (see above). Is the package index reachable from here? "
            "Start the same command again once it is; nothing else is needed."
        )


def find_pip() -> list[str] | None:
    """Return the command that installs into .venv: its own pip, one made by ensurepip, or the system's."""
    own = [str(PYTHON), "-m", "pip"]
    if quiet([*own, "--version"]) or quiet([str(PYTHON), "-m", "ensurepip"]):
        return own
    system = [base_python(), "-m", "pip", "--python", str(PYTHON)]
    return system if quiet([*system, "--version"]) else None


def base_python() -> str:
    """Return the interpreter that .venv is made from, also when already running inside .venv."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def needs_package() -> str:
    return "This Python can make no environment. Install one package: apt install python3-venv"


def quiet(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def run(command: list[str]) -> int:
    """Run the command, saying now and then that it is still at work; return its exit status."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=sys.stderr) as process:  # noqa: S603
        while True:
            try:
                return process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                say(f"  still at work ({time.monotonic() - started:.0f} s) ...")


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def stop(message: str) -> NoReturn:
    say(message)
    raise SystemExit(1)
