"""The benchmark `live`: what 200 people cost who only look, and are told of changes by polling."""

import itertools
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from actioncenter.actions.models import Action
from actioncenter.audit import roles
from actioncenter.audit.actor import Actor
from actioncenter.bench.asked import Asked
from actioncenter.bench.chaos.people import POLLS_EVERY, ROWS, Person
from actioncenter.bench.chaos.site import web_command
from actioncenter.bench.measuring import percentile
from actioncenter.bench.population import fill
from actioncenter.bench.processes import cpu_seconds, family
from actioncenter.bench.report import Number, Report, Table
from actioncenter.estate.services import free_port
from actioncenter.settings.enums import Role

PEOPLE: Final = 200
POLLS: Final = PEOPLE / POLLS_EVERY
"""A second, when nobody is late."""
LOOKED_AT: Final = ("/action-center/pending",) * 6 + ("/action-center/history",) * 3 + ("/live/counts",)
"""By ten people."""
NAV: Final = {"HX-Request": "true", "HX-Target": "div#nav-links"}
WARM: Final = 2 * POLLS_EVERY + 1
"""Seconds until everybody has a stamp."""
DECIDED_EVERY: Final = 10.0
PATIENCE: Final = 60.0


@dataclass(slots=True)
class Seen:
    """What all of them were answered in one part of the run."""

    answers: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class Part:
    seen: Seen
    web: float
    """CPU seconds of the web server."""
    database: float

    @property
    def polls(self) -> int:
        return self.seen.answers.total()

    @property
    def cores(self) -> float:
        """As many as 200 people keep busy who are never late, however slow the machine is now."""
        return float(f"{(self.web + self.database) / max(self.polls, 1) * POLLS:.3g}")

    @property
    def unchanged(self) -> float:
        return float(f"{self.seen.answers[304] / max(self.polls, 1):.3g}")


class People:
    """Each is a thread with a line and a stamp of its own, as a browser is."""

    def __init__(self, everyone: Sequence[Person]) -> None:
        self.everyone = everyone
        self.seen = Seen()
        self._over = threading.Event()

    @contextmanager
    def looking(self) -> Iterator[None]:
        pages = itertools.cycle(LOOKED_AT)
        threads = [threading.Thread(target=self._look, args=(each, next(pages))) for each in self.everyone]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _look(self, person: Person, page: str) -> None:
        rng = random.Random(person.token)  # noqa: S311 - jitter
        line, tag = HTTPConnection("127.0.0.1", person.port, timeout=PATIENCE), ""
        wait = rng.uniform(0, POLLS_EVERY)
        while not self._over.wait(wait):
            began, seen = time.monotonic(), self.seen
            headers = {
                **(NAV if page.startswith("/live/") else ROWS),
                "Cookie": person.cookies,
                "HX-PTag": tag,
            }
            try:
                line.request("GET", page, headers=headers)
                answer = line.getresponse()
                answer.read()
                status, tag = answer.status, answer.getheader("HX-PTag", tag)
            except (OSError, HTTPException):
                line.close()
                status = 0
            seen.answers[status] += 1
            seen.waits.append(1000 * (time.monotonic() - began))
            wait = max(0.0, POLLS_EVERY * rng.uniform(0.9, 1.1) - (time.monotonic() - began))


def run(asked: Asked) -> Report:
    """CPU time of one web server and its database while 200 signed-in people each have a list open, for `minutes`.

    A table of `rows` actions. Six of ten people look at Pending, three at History, one at another page with only the
    counts in its navigation; each polls every two seconds with the stamp of what it has, as the page does, over a line
    of its own, also over the turn of a minute, at which every list is new because it shows ages. In the first half
    nothing changes (*quiet*), in the second one action is decided every ten seconds (*busy*), so that everybody
    gets new rows. *cores* are CPU seconds of a poll times the 100 polls a second of 200 people who are never late: the
    clients' own time counts nowhere. *unchanged* is the share that was answered 304, *wrong* counts answers
    other than 200 and 304.
    """
    with roles.as_owner():
        fill(asked.rows, seed=asked.seed, now=timezone.now().replace(second=0, microsecond=0), say=asked.say)
    port = free_port()
    kinds = itertools.cycle((Role.RESPONDER, Role.EMAIL_RESPONDER, Role.ANALYST, Role.ADMIN))
    people = People([Person.enrol(f"analyst{at}", next(kinds), port) for at in range(PEOPLE)])
    length = asked.minutes * 30
    with serving(port) as pid, people.looking():
        asked.say("Everybody opens a page ...")
        time.sleep(WARM)
        asked.say(f"{length:.0f} s in which nothing changes ...")
        quiet = _part(people, pid, lambda over: over.wait(length))
        asked.say(f"{length:.0f} s in which others decide ...")
        busy = _part(people, pid, lambda over: _decide(over, length))
    wrong = sum(
        number
        for part in (quiet, busy)
        for status, number in part.seen.answers.items()
        if status not in (200, 304)
    )
    ratios: dict[str, Number] = {
        "cores_quiet": quiet.cores,
        "cores_busy": busy.cores,
        "unchanged_quiet": quiet.unchanged,
        "wrong": wrong,
    }
    return Report("live", asked.rows, asked.database, ratios, [_table({"quiet": quiet, "busy": busy})])


def _part(people: People, pid: int, wait: Callable[[threading.Event], object]) -> Part:
    processes = [*family(pid)], [*_backends()]
    before = [sum(map(cpu_seconds, pids)) for pids in processes]
    people.seen = seen = Seen()
    wait(threading.Event())
    people.seen = Seen()
    web, database = (
        sum(map(cpu_seconds, pids)) - spent for pids, spent in zip(processes, before, strict=True)
    )
    return Part(seen, web, database)


def _decide(over: threading.Event, length: float) -> None:
    until, by = time.monotonic() + length, Actor.command("bench")
    waiting = Action.objects.waiting().order_by("-expires_at").iterator()
    while not over.wait(min(DECIDED_EVERY, max(0.0, until - time.monotonic()))) and time.monotonic() < until:
        next(waiting).withdraw("withdrawn_superseded", by=by)


def _backends() -> Iterator[int]:
    """PostgreSQL's processes on this machine that work for the web server; SQLite has none."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        yield from (pid for (pid,) in cursor.fetchall())


@contextmanager
def serving(port: int) -> Iterator[int]:
    """One web server, as `up` starts it; gives its process."""
    log = Path(settings.DATA_DIR) / "web.log"
    with log.open("wb") as told:
        process = subprocess.Popen(web_command(port), stdout=told, stderr=told)  # noqa: S603 - our own command
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"The web server doesn't answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    line = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", "/sign-in")
        return line.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def _table(parts: Mapping[str, Part]) -> Table:
    lines = [
        [
            name, f"{part.polls:,}", f"{part.unchanged:.1%}", f"{1000 * part.web / max(part.polls, 1):.2f}",
            f"{1000 * part.database / max(part.polls, 1):.2f}", f"{part.cores:g}",
            f"{percentile(part.seen.waits or [0.0], 0.5):.0f}", f"{percentile(part.seen.waits or [0.0], 0.95):.0f}",
        ]
        for name, part in parts.items()
    ]  # fmt: skip
    head = ["part", "polls", "304", "web CPU ms", "database CPU ms", "cores", "p50 ms", "p95 ms"]
    return Table(f"{PEOPLE} people, a poll", head, lines)
