"""Finding work and doing it: new claims, due polls, lost leases, reads. One pass or for ever."""

import contextlib
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from actioncenter.actions import dispatch
from actioncenter.actions.execution import anchoring, beating, candidates, claiming, jobs, stepping, stumbling
from actioncenter.actions.execution.crew import Crew, Task
from actioncenter.actions.execution.holding import Pulse
from actioncenter.actions.execution.timekeeping import Timekeeper
from actioncenter.actions.models import Attempt, ConnectorJob, attempting, pacing
from actioncenter.audit.actor import Actor

logger = logging.getLogger(__name__)
THREADS = 16
POLL_SECONDS = 1.0
HINTS = 1000
SHARE = 4
"""So many pieces of what is under way go before a new one, so that more isn't begun than can be ended."""
LARGEST = 2**63
DATAGRAM = 4096


def runner_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:120]


def take_due(
    runner: str, shut: Collection[int] | None = None, clock: Timekeeper | None = None
) -> Attempt | None:
    """An attempt whose poll is due or whose runner is gone, now ours."""
    shut = pacing.closed_ids() if shut is None else shut
    clock = clock or Timekeeper(claiming.LEASE)
    return attempting.take_over(runner, lease=claiming.LEASE, shut=shut, is_steady=clock.is_steady)


def next_task(
    runner: str, *, by: Actor, busy: Collection[int] = (), new_first: bool = False, clock: Timekeeper | None = None
) -> Task | None:  # fmt: skip
    """The next thing to do, claimed already; None when there is nothing.

    What was decided goes before reads: a storm of proposals must not hold up an isolation. `busy` are
    connector instances that keep enough of the runner's threads. With `new_first` new work goes
    before what is under way: of a connector with a narrow limit both must get their share.
    """
    shut = pacing.closed_ids(busy)
    if anchoring.may_dispatch(by=by):
        looks: list[Callable[[], Attempt | None]] = [
            lambda: take_due(runner, shut, clock),
            lambda: claiming.claim_next(runner, by=by, shut=shut),
        ]
        for look in reversed(looks) if new_first else looks:
            attempt = look()
            if attempt is not None:
                return _task_of(attempt, by=by)
    job = jobs.claim_next(shut)
    return None if job is None else _task_of_job(job, by=by)


def _task_of(attempt: Attempt, *, by: Actor) -> Task:
    return Task(
        attempt.instance_id,
        do=lambda: stepping.work(attempt, by=by),
        leave=lambda: stepping.leave(copy(attempt), by=by),
        is_new=attempt.sent_at is None,
    )


def _task_of_job(job: ConnectorJob, *, by: Actor) -> Task:
    return Task(
        job.instance_id,
        do=lambda: jobs.work(job, by=by),
        leave=lambda: jobs.leave(job, margin=claiming.LEASE / 12, by=by),
    )


def drain(*, by: Actor, limit: int = 10_000) -> int:
    """Do what can be done now, in this thread; returns how many pieces of work that was.

    For tests and commands: long jobs are polled only as far as they are due.
    """
    name = runner_name()
    for count in range(limit):
        task = next_task(name, by=by)
        if task is None:
            return count
        task()
    return limit


class Runner:
    """Claims in one thread and works in several. Woken by a datagram, or by its `bell` if it has one."""

    def __init__(self, *, by: Actor, threads: int = THREADS, bell: threading.Event | None = None) -> None:
        self.by = by
        self.bell = bell
        self.name = runner_name()
        self.stopping = threading.Event()
        self.pulse = Pulse()
        self.crew = Crew(threads)
        self.clock = Timekeeper(claiming.LEASE)
        self._since_new = 0
        self._hints: deque[int] = deque(maxlen=HINTS)
        self._was_hinted = False

    def stop(self) -> None:
        """Ends `run` after what is under way; safe in a signal handler unless it has a bell."""
        self.stopping.set()
        self.wake()

    def wake(self) -> None:
        if self.bell is None:
            dispatch.ring()
        else:
            self.bell.set()

    def hint(self, ids: object) -> None:
        """Where work may be. Whoever says so, and whatever: each is judged as if it had been found."""
        if isinstance(ids, list):
            self._hints.extend(each for each in ids if isinstance(each, int) and 0 < each < LARGEST)

    def run(self) -> None:
        with (
            anchoring.kept(by=self.by),
            beating.beats(self.name, self.pulse, self.in_flight),
            _listening() if self.bell is None else contextlib.nullcontext() as wire,
            # Room for the calls that hang and are waited for no longer.
            ThreadPoolExecutor(2 * self.crew.threads, thread_name_prefix="work") as pool,
        ):
            while not self.stopping.is_set():
                self._leave_what_hangs()
                if not self._start_one(pool):
                    self._wait(wire)
                    close_old_connections()

    def in_flight(self) -> int:
        """How many pieces of work it is at."""
        return len(self.crew)

    def _wait(self, wire: socket.socket | None) -> None:
        if wire is not None:
            self.hint(_wait(wire))
        elif self.bell is not None:
            self.bell.wait(POLL_SECONDS)
            self.bell.clear()

    def _start_one(self, pool: ThreadPoolExecutor) -> bool:
        """Hand one piece of work to a thread; False when there is none, or nobody would hear of it."""
        if self.pulse.cut_off or self.crew.free <= 0:
            return False
        try:
            self.clock.look()
            task = self._next()
        except (OperationalError, InterfaceError) as error:
            logger.warning("could not look for work: %s", error)
            task = None
        except Exception:
            logger.exception("could not look for work")
            task = None
        if task is None:
            return False
        self._since_new = 0 if task.is_new else self._since_new + 1
        self.crew.add(task)
        pool.submit(_in_thread, task).add_done_callback(lambda _: self._done(task))
        return True

    def _next(self) -> Task | None:
        """What is under way first, so that a wake-up for many doesn't begin them all before one has ended."""
        busy, new_first = self.crew.busy(), self._since_new >= SHARE
        if self._hints and not new_first and anchoring.may_dispatch(by=self.by):
            attempt = take_due(self.name, pacing.closed_ids(busy), self.clock)
            if attempt is not None:
                return _task_of(attempt, by=self.by)
        return self._hinted() or next_task(
            self.name, by=self.by, busy=busy, new_first=new_first, clock=self.clock
        )

    def _hinted(self) -> Task | None:
        """What a wake-up named, which spares a search; every other time, so that it holds up nothing older."""
        self._was_hinted = not self._was_hinted and bool(self._hints)
        if not self._was_hinted:
            return None
        number = self._next_named()
        if number is None or not anchoring.may_dispatch(by=self.by):
            return None
        shut = pacing.closed_ids(self.crew.busy())
        attempt = claiming.claim_one(number, self.name, by=self.by, shut=shut)
        return None if attempt is None else _task_of(attempt, by=self.by)

    def _next_named(self) -> int | None:
        """Most of what is named waits for a person or is done already; one by one it would hold up the rest."""
        named = [self._hints.popleft() for _ in range(len(self._hints))]
        waiting = [pk for pk in candidates.of_these(named) if not stumbling.is_aside(pk)]
        self._hints.extendleft(reversed(waiting[1:]))
        return waiting[0] if waiting else None

    def _leave_what_hangs(self) -> None:
        try:
            self.crew.leave_what_hangs(0.9 * claiming.LEASE.total_seconds())
        except Exception:
            logger.exception("could not leave what hangs")

    def _done(self, task: Task) -> None:
        self.crew.remove(task)
        self.wake()


def _in_thread(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception:
        logger.exception("a piece of work broke")
    finally:
        connection.close()


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    path = dispatch.socket_path()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        try:
            wire.bind(str(path))
        except OSError as error:
            # The path may be too long for a socket. Polling finds everything, only later.
            logger.warning("can't be woken, so it only polls: %s", error)
        wire.settimeout(POLL_SECONDS)
        try:
            yield wire
        finally:
            path.unlink(missing_ok=True)


def _wait(wire: socket.socket) -> list[int]:
    """Until somebody wakes us or it is time to poll; the ids in every datagram that has piled up."""
    named: list[int] = []
    try:
        named += dispatch.named_in(wire.recv(DATAGRAM))
        wire.setblocking(False)
        while datagram := wire.recv(DATAGRAM):
            named += dispatch.named_in(datagram)
    except (TimeoutError, BlockingIOError):
        pass
    finally:
        wire.settimeout(POLL_SECONDS)
    return named
