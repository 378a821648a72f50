"""Keeps child processes running until it is told to stop, and then leaves none behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
GRACE = 10.0
LONGEST_STANDSTILL = 30.0
"""Seconds after which a stopped process is ended: it may hold the lock that every writer waits for."""
PR_SET_PDEATHSIG = 1


OWNER = "ACTIONCENTER_DATABASE_OWNER_URL"


def _environment() -> dict[str, str]:
    """What migrates the tables isn't for those that work with them."""
    return {name: value for name, value in os.environ.items() if name not in {OWNER, f"{OWNER}_FILE"}}


@dataclass
class Child:
    """One program in a process group of its own. Restarted with a growing delay when it ends by itself."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay: float = FIRST_DELAY
    start_at: float = field(default_factory=time.monotonic)
    moved_at: float = field(default_factory=time.monotonic)

    def tend(self, say: Callable[[str], None]) -> None:
        """Start the program when its time has come; plan its restart when it has ended."""
        now = time.monotonic()
        self._end_if_stopped(now, say)
        if self.process is not None and self.process.poll() is not None:
            # A server's workers outlive their parent and would keep the port and the old code.
            self.signal_group(signal.SIGKILL)
            self.delay = (
                FIRST_DELAY if now - self.started_at > LONGEST_DELAY else min(self.delay * 2, LONGEST_DELAY)
            )
            say(
                f"{self.name} ended with status {self.process.returncode}; starting it again in {self.delay:.0f} s."
            )
            self.process, self.start_at = None, now + self.delay
        if self.process is None and now >= self.start_at:
            self.started_at = self.moved_at = now
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.command,
                env=_environment(),
                process_group=0,
                preexec_fn=_die_with(os.getpid()),
            )

    def _end_if_stopped(self, now: float, say: Callable[[str], None]) -> None:
        if self.process is None or not _is_stopped(self.process.pid):
            self.moved_at = now
        elif now - self.moved_at > LONGEST_STANDSTILL:
            say(f"{self.name} has been stopped for {LONGEST_STANDSTILL:.0f} s; ending it.")
            self.signal_group(signal.SIGKILL)
            self.process.wait()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal_group(self, number: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


def _is_stopped(pid: int) -> bool:
    """By SIGSTOP or the like; not one that a debugger holds, and never where the system doesn't tell."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def supervise(children: Sequence[Child], each_round: Callable[[], None], say: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM; a second one ends without waiting. Must be called from the main thread."""
    previous = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while True:
            for child in children:
                child.tend(say)
            each_round()
            time.sleep(0.2)
    except KeyboardInterrupt:
        say("Stopping ...")
    finally:
        _stop(children)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(children: Sequence[Child]) -> None:
    for child in children:
        child.signal_group(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    try:
        while any(child.is_running() for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for child in children:
            child.signal_group(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _die_with(parent: int) -> Callable[[], None] | None:
    """Return what the child does before it starts: ask Linux for SIGTERM when the supervisor dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask
