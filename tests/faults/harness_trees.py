"""The product as an operator starts it, and kill -9 on the whole of it, on its parent or on one child.

Embedded it is `manage.py up` on SQLite; scaled, two Celery workers that a supervisor keeps alive.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from celery import Celery
from django.conf import settings
from django.utils import timezone

from actioncenter.actions import dispatch
from actioncenter.actions.models import RunnerBeat
from actioncenter.estate.services import free_port
from tests.actions.stopping import PATIENCE, environment
from tests.faults.harness import decided, held_now, until, until_quiet

LEASE = 4.0
STARTED_WITHIN = 300.0
"""Seconds after which a machine, however busy, should have started the product."""
KINDS = ("tree", "parent", "child")
RECOVERED_WITHIN = 2 * LEASE
"""Seconds after which nothing may be held by the dead any more, once somebody lives to take it over."""

WORKERS = """
import os, sys
from actioncenter.ops.supervisor import Child, supervise
start = "import django; django.setup(); from tests.faults.harness_trees import worker; worker()"
command = [sys.executable, "-c", start, sys.argv[1], "-A", "actioncenter", "worker", "-c", "4", "-l", "ERROR"]
say = lambda text: None
supervise([Child(f"worker {n}", [*command, "-n", f"{n}@%h"]) for n in (1, 2)], lambda: None, say)
"""


def worker() -> None:
    """A Celery worker as the operator's guide starts it, with a mistake in it or without."""
    # Only in a worker's process: the test's own stays as it is.
    from celery.__main__ import main  # noqa: PLC0415

    from tests.faults.harness_plants import PLANTS  # noqa: PLC0415

    PLANTS[sys.argv.pop(1)]()
    main()


@dataclass
class Tree:
    """One supervisor with its children, started again by whoever uses this."""

    command: Sequence[str]
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def ensure(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL
            )

    def children(self) -> list[int]:
        assert self.process is not None
        return _children_of(self.process.pid)

    def kill(self, kind: str, rng: random.Random) -> None:
        """The children of a killed parent are not killed: they go on until they notice."""
        assert self.process is not None
        children = self.children()
        if kind != "child":
            self.process.kill()
            self.process.wait()
        if kind == "tree":
            for pid in children:
                _kill(pid)
        elif kind == "child":
            _kill(rng.choice(until(lambda: [*filter(_is_runner, self.children())], "it has no children")))

    def end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)


def _children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _is_runner(pid: int) -> bool:
    with suppress(OSError):
        return b"granian" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _kill(pid: int) -> None:
    # With what it has started: a web server's worker outlives it, and isn't what is tried here.
    for number in [pid, *_children_of(pid)]:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


@contextmanager
def embedded(url: str, folder: Path) -> Iterator[Tree]:
    """`manage.py up` in that folder, with the keys of this process."""
    tree = Tree(
        [sys.executable, "manage.py", "up", "--no-demo", "--port", str(free_port())],
        environment(
            url,
            ACTIONCENTER_DATA=str(folder),
            ACTIONCENTER_KEYS_DIR=str(settings.KEYS_DIR),
            ACTIONCENTER_TEST_LEASE=str(LEASE),
            ACTIONCENTER_NO_BOOTSTRAP="1",
        ),
    )
    yield from _kept(tree)


@contextmanager
def workers(url: str, broker: str, *, plant: str = "", **more: str) -> Iterator[Tree]:
    """Two workers; this process tells them of what it decides, through the broker."""
    tree = Tree(
        [sys.executable, "-c", WORKERS, plant],
        environment(url, ACTIONCENTER_BROKER_URL=broker, ACTIONCENTER_TEST_LEASE=str(LEASE), **more),
    )
    with Celery(broker=broker) as app, _hinting(app):
        yield from _kept(tree)


def _kept(tree: Tree) -> Iterator[Tree]:
    try:
        tree.ensure()
        yield tree
    finally:
        tree.end()


@contextmanager
def _hinting(app: Celery) -> Iterator[None]:
    before = dispatch.wake
    dispatch.wake = lambda ids=(): app.send_task("actions.wake", kwargs={"ids": list(ids)})
    try:
        yield
    finally:
        dispatch.wake = before


@dataclass
class Toll:
    """What was killed, how much of the work hung on the dead, and how long until others had it."""

    kills: list[str] = field(default_factory=list)
    held: int = 0
    overdue: list[str] = field(default_factory=list)
    slowest: float = 0.0


def killed_over_and_over(tree: Tree, kinds: Sequence[str], *, batch: int, rng: random.Random) -> Toll:
    """For each kind: decide some, kill while they are being carried out, see who takes over."""
    toll = Toll()
    for kind in kinds:
        _await_life(tree, "child", timezone.now())
        decided(batch)
        time.sleep(rng.uniform(0.0, 0.6))
        tree.kill(kind, rng)
        killed_at = timezone.now()
        toll.kills.append(kind)
        held = dict(held_now().values_list("pk", "token"))
        toll.held += len(held)
        _await_life(tree, kind, killed_at)
        _see_it_taken_over(toll, held)
    until_quiet()
    return toll


def _await_life(tree: Tree, kind: str, killed_at: datetime) -> None:
    """Until somebody is heard of who doesn't merely finish what it is at."""

    def lives() -> bool:
        # Refused while the killed one's children still hold the port, as by any service manager.
        tree.ensure()
        if kind == "child":
            return _somebody_lives(killed_at + timedelta(seconds=1.5))
        return _somebody_lives(killed_at, born=killed_at)

    until(lives, "nobody came back", patience=STARTED_WITHIN)


def _somebody_lives(since: datetime, *, born: datetime | None = None) -> bool:
    heard = RunnerBeat.objects.filter(ended_at=None, seen_at__gt=since)
    return (heard.filter(started_at__gt=born) if born else heard).exists()


def _see_it_taken_over(toll: Toll, held: dict[int, int]) -> None:
    began = time.monotonic()
    until(lambda: not _as_before(held), "what the dead held was never taken over")
    took = time.monotonic() - began
    toll.slowest = max(toll.slowest, took)
    if took > RECOVERED_WITHIN:
        toll.overdue.append(f"{len(held)} attempts, {took:.1f} s after {toll.kills[-1]}")


def _as_before(held: dict[int, int]) -> bool:
    """Some of it is with the same runner still. One that lives is through with its part soon."""
    return any(held[pk] == token for pk, token in held_now().filter(pk__in=held).values_list("pk", "token"))
