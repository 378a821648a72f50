"""The benchmark `chaos`: everyday load on a scaled installation while parts of it die."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from django.conf import settings

from actioncenter.bench.asked import Asked
from actioncenter.bench.chaos import intakes, judging
from actioncenter.bench.chaos.journal import FINE, Journal, Told, wrong
from actioncenter.bench.chaos.load import PER_SECOND, Load
from actioncenter.bench.chaos.people import Person
from actioncenter.bench.chaos.site import Site
from actioncenter.bench.chaos.sources import PER_SECOND as REPORTS
from actioncenter.bench.chaos.sources import Sources
from actioncenter.bench.chaos.usage import Held, Usage, growth
from actioncenter.bench.measuring import percentile
from actioncenter.bench.report import Report, Table
from actioncenter.bench.serving import Servers
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ConnectorInstance

PEOPLE: Final = 50
DOWN: Final = 2.0
"""Seconds that a server stays away."""
SHOWN: Final = 20
"""Examples that a report gives of what went wrong."""


def run(asked: Asked) -> Report:
    """Load a real installation for `minutes`: PostgreSQL, Redis, two web servers, two workers, real processes.

    50 signed-in people each poll a list every two seconds, as the page does; beside that 20 page views,
    5 decisions and 5 reports of a source each second, started by the clock however long answers take.
    Decisions and reports are sent again under the same key until they are acknowledged. A worker is
    killed every minute (SIGKILL, in turns), the broker restarted after a third of the time, the
    database after two thirds, each away for two seconds. *errors_outside_restarts* counts every answer
    but 200, 302, 304 and 409, lines that broke and waits over 30 s included; only a 503 with
    Retry-After is allowed, and only while something is being restarted or a second later. Then
    the load ends, and the installation gets two leases to finish. *lost*: acknowledged reports without
    an action, acknowledged decisions that aren't recorded, allowed actions that haven't succeeded or
    left no effect. *doubled*: targets that the simulated estate, which counts by itself, was made to
    act on twice or without leave, and reports with two actions. *memory_growth*: of the process that
    grew most, its median memory in the last 15 % of the time over that between 10 and 25 %. *load_reached*: the
    smallest share of what was due that was answered, of views, decisions and reports.
    """
    if asked.servers is None:
        raise RuntimeError("This benchmark restarts servers, so it needs its own.")
    site, journal = Site(Path(settings.DATA_DIR)), Journal()
    database = asked.servers.database
    usage = Usage(lambda: {**site.processes(), "database": database.process.pid}, journal.now)
    estate = _prepare()
    people = [_person(at, site.ports) for at in range(PEOPLE)]
    sources, length = Sources(), asked.minutes * 60
    load = Load(people, sources, journal, asked.seed)
    asked.say("Starting two web servers and two workers ...")
    with sources.ready(), site.running():
        journal.started = time.monotonic()
        asked.say(f"{asked.minutes:g} minutes of load ...")
        with usage.watched(), load.going():
            _disturb(site, asked.servers, journal, length, asked)
        took = judging.wait_until_done()
    asked.say(f"Everything was done {took:.0f} s after the load ended.")
    effects = judging.effects_of(estate)
    errors = wrong(journal.told, journal.restarts)
    lost, doubled = judging.lost(load, effects), judging.doubled(effects)
    held = {name: both for name, both in usage.memory(length).items() if name != "database"}
    ratios = {
        "errors_outside_restarts": len(errors),
        "lost": len(lost),
        "doubled": len(doubled),
        "memory_growth": float(f"{growth(held):.3g}"),
        "load_reached": float(f"{_reached(journal, length):.3g}"),
    }
    tables = [_streams(journal, length), _parts(held, usage, length), _events(journal, took)]
    notes = [*map(_shown, errors[:SHOWN]), *lost[:SHOWN], *doubled[:SHOWN]]
    return Report("chaos", round(asked.minutes), "postgres", ratios, tables, notes)


def _prepare() -> Estate:
    """The simulator writes to a file that this process can read too."""
    intakes.set_level()
    # It would tell of every wake-up that the broker didn't take.
    logging.getLogger("actioncenter.actions.dispatch").setLevel(logging.ERROR)
    path = Path(settings.DATA_DIR) / "estate.sqlite3"
    for instance in ConnectorInstance.objects.filter(kind="simulator"):
        instance.settings = {**instance.settings, "path": str(path)}
        instance.save(update_fields=["settings"])
    return Estate(path)


def _person(at: int, ports: Sequence[int]) -> Person:
    return Person.enrol(f"chaos-{at}", Role.RESPONDER, ports[at % len(ports)])


def _disturb(site: Site, servers: Servers, journal: Journal, length: float, asked: Asked) -> None:
    """What happens at which second, in order; returns when the time is over."""
    every = min(60.0, length / 2)
    kills = [(every * (at + 0.5), at) for at in range(int(length / every))]
    plans = [
        *((when, f"worker {at % 2} is killed") for when, at in kills),
        (length / 3, "the broker is restarted"),
        (length * 2 / 3, "the database is restarted"),
    ]
    turn = count()
    for when, what in sorted(plans):
        _wait_until(journal, when)
        asked.say(f"{journal.now():6.0f} s  {what}, {len(journal.told):,} answers so far")
        if "worker" in what:
            site.kill_worker(next(turn))
            journal.kills.append(journal.now())
            continue
        server = servers.broker if "broker" in what else servers.database
        with journal.restarting(what):
            server.halt()
            time.sleep(DOWN)
            server.resume()
    _wait_until(journal, length)


def _wait_until(journal: Journal, moment: float) -> None:
    threading.Event().wait(max(0.0, moment - journal.now()))


def _streams(journal: Journal, length: float) -> Table:
    head = ["stream", "wanted /s", "answered /s", "503 while restarting", "p50 ms", "p95 ms", "max ms"]
    return Table("Load", head, list(_lines(journal, length)))


DUE: Final = {**PER_SECOND, "intake": REPORTS}
"""A second, by stream."""


def _reached(journal: Journal, length: float) -> float:
    answered = Counter(each.stream for each in journal.told if each.status in FINE)
    return min(answered[stream] / length / rate for stream, rate in DUE.items())


def _lines(journal: Journal, length: float) -> Iterator[list[str]]:
    for stream, rate in {"poll": None, **DUE}.items():
        told = [each for each in journal.told if each.stream == stream]
        taken = [(each.ended - each.began) * 1000 for each in told if each.status in FINE] or [0.0]
        shares = [f"{percentile(taken, share):.0f}" for share in (0.5, 0.95, 1)]
        calm = sum(each.status == 503 for each in told)
        yield [stream, f"{rate or '-'}", f"{len(taken) / length:.1f}", f"{calm}", *shares]


def _parts(held: Held, usage: Usage, length: float) -> Table:
    mib, none = 1024 * 1024, (0.0, 0.0)
    lines = [
        [
            name,
            *(f"{each / mib:.0f}" if each else "" for each in held.get(name, none)),
            f"{spent / length:.2f}",
        ]
        for name, spent in sorted(usage.cpu_seconds().items())
    ]
    return Table("Processes", ["process", "MiB early", "MiB late", "of a core"], lines)


def _events(journal: Journal, took: float) -> Table:
    kills = ["workers killed", f"{len(journal.kills)}", ""]
    restarts = [
        [each.what, f"{each.began:.0f} s", f"away {each.ended - each.began:.1f} s"]
        for each in journal.restarts
    ]
    done = ["load ended", "", f"all done {took:.0f} s later"]
    return Table("What happened", ["what", "when or how often", "how long"], [kills, *restarts, done])


def _shown(told: Told) -> str:
    return f"{told.began:8.1f} s  {told.stream}: {told.status or 'no answer'} {told.error}"
