"""Real processes; every one of them holds the pipe that is read here, so its end proves that none is left."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.tree import ROOT

CHILD = """
import os, subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) if {helper} else None
print("started", os.getpid(), flush=True)
time.sleep(600)
"""
SUPERVISOR = """
import sys
from actioncenter.ops import supervisor
from actioncenter.ops.supervisor import Child, supervise
supervisor.LONGEST_STANDSTILL = 0.5
supervise([Child("The child", [sys.executable, "-c", {child!r}])], lambda: None, lambda text: print(text, flush=True))
"""


@pytest.fixture
def supervised(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A supervisor with one child, which has a helper of its own unless the test says otherwise."""
    child = CHILD.format(helper=getattr(request, "param", True))
    command = [sys.executable, "-c", SUPERVISOR.format(child=child)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def child_pid(process: subprocess.Popen[str]) -> int:
    """Wait for the child's greeting."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.fullmatch(r"started (\d+)\n", line):
            return int(found[1])
    raise AssertionError("the child never started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_leaves_no_process(supervised: subprocess.Popen[str], number: int) -> None:
    child_pid(supervised)

    supervised.send_signal(number)

    rest, _ = supervised.communicate(timeout=30)
    assert rest == "Stopping ...\n"
    assert supervised.returncode == 0


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="crashed"),
        pytest.param(
            signal.SIGSTOP,
            id="stands still",
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="only Linux says that a process is stopped"
            ),
        ),
    ],
)
def test_a_child_that_is_of_no_use_is_started_again_and_its_helpers_are_gone(
    supervised: subprocess.Popen[str], number: int
) -> None:
    first = child_pid(supervised)

    os.kill(first, number)

    assert child_pid(supervised) != first
    supervised.send_signal(signal.SIGINT)
    supervised.communicate(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("supervised", [False], indirect=True)
def test_child_ends_with_a_killed_supervisor(supervised: subprocess.Popen[str]) -> None:
    child_pid(supervised)

    supervised.kill()

    supervised.communicate(timeout=30)
    assert supervised.returncode == -signal.SIGKILL
