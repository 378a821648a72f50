"""Runners in processes of their own that are cheap to start: forked from one that has loaded everything.

As a program it reads one order a line, {"start": {...}} or {"reap": pid}, and answers each with a number.
A runner's spec: {"failpoint": "kill:marked" or "", "threads": n, "tidy": bool, "plant": name or ""}.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from tests.actions.stopping import PATIENCE, environment
from tests.impatience import TookTooLong

PR_SET_PDEATHSIG = 1
START = "import django; django.setup(); from tests.faults.harness_nursery import main; main()"


@dataclass
class Runner:
    """One runner's process, as the test sees it."""

    nursery: "Nursery"
    pid: int

    @property
    def state(self) -> str:
        """One letter, as Linux tells it: Z has ended, T is frozen."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "gone"

    @property
    def has_ended(self) -> bool:
        return self.state in {"Z", "gone"}

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.ended()

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def frozen(self) -> None:
        """Returns when it has frozen itself."""
        self._wait_for({"T", "t"}, "it never froze")

    def ended(self) -> int:
        """Its exit status once it has ended; minus the signal that it died of."""
        self._wait_for({"Z", "gone"}, "it never ended")
        return self.nursery.reap(self.pid)

    def stop(self) -> int:
        """In good order: what is under way is finished first."""
        self.send(signal.SIGTERM)
        return self.ended()

    def _wait_for(self, states: set[str], what: str) -> None:
        over = time.monotonic() + PATIENCE
        while (state := self.state) not in states:
            assert state not in {"Z", "gone"}, "the runner broke"
            if time.monotonic() >= over:
                raise TookTooLong(what)
            time.sleep(0.01)


class Nursery:
    """Starts runners over one database. As a context manager it leaves none behind."""

    def __init__(self, url: str, *, lease: float, **more: str) -> None:
        self.lease = lease
        self.runners: dict[int, Runner] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-c", START],
            env=environment(url, ACTIONCENTER_TEST_LEASE=str(lease), **more),
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        # Its runners are killed with it, frozen ones too.
        with self._process:
            self._process.kill()

    def start(self, *, failpoint: str = "", threads: int = 1, tidy: bool = False, plant: str = "") -> Runner:
        spec = {"failpoint": failpoint, "threads": threads, "tidy": tidy, "plant": plant}
        runner = Runner(self, self._ask(start=spec))
        self.runners[runner.pid] = runner
        return runner

    def reap(self, pid: int) -> int:
        del self.runners[pid]
        return self._ask(reap=pid)

    def _ask(self, **order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            number = _born(order["start"])
        else:
            number = os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _born(spec: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _live(spec)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


def _live(spec: dict[str, Any]) -> None:
    # Only where Django is set up, and never in the test's own process.
    from actioncenter.actions import housekeeping  # noqa: PLC0415
    from actioncenter.actions.execution import failpoints, loop, stepping  # noqa: PLC0415
    from actioncenter.actions.models import pacing  # noqa: PLC0415
    from actioncenter.audit.actor import Actor  # noqa: PLC0415
    from tests.faults.harness_plants import PLANTS  # noqa: PLC0415

    loop.POLL_SECONDS = stepping.ASK_AGAIN = 0.1
    # With leases this short a busy machine makes every call look as if it hung.
    pacing.FAILURES = 10**6
    PLANTS[spec["plant"]]()
    if spec["failpoint"]:
        failpoints.arm(spec["failpoint"])
    runner = loop.Runner(by=Actor.system("runner"), threads=spec["threads"])
    signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    if not spec["tidy"]:
        runner.run()
        return
    with housekeeping.beside(runner.stopping, by=runner.by):
        runner.run()
