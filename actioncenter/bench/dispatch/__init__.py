"""The benchmark `dispatch`: how fast what was decided reaches those who carry it out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from django.conf import settings

from actioncenter.bench.asked import Asked
from actioncenter.bench.dispatch import elsewhere, parts
from actioncenter.bench.measuring import percentile
from actioncenter.bench.report import Report, Table, ratio
from actioncenter.estate.services import RabbitMQ, ServiceMissing

PREFORKED: Final = 2
LEAST: Final = 20
Figures = elsewhere.Figures


def run(asked: Asked) -> Report:
    """Real PostgreSQL, Redis and, where it is installed, RabbitMQ; workers in processes of their own. Wall time.

    *Start*: from the commit of an approval until the task of our wake-up has started in a worker, which then knows
    for which action. *Begun*: on until a runner has the action in its hands and begins to judge its gates;
    *called*: until every gate has let it pass, it is claimed and its connector is called.
    *Direct publish* is what an ordinary Celery project does: the same approval is committed, the action's
    own message sent after it, and the task has started. Same broker, as many threads, in turns, nothing
    else under way, medians. *Embedded*: until begun, on SQLite with `manage.py runner` and no broker.
    *Chunks*: the product's wake-up for many ids at once and one by one,
    from the first publish until the last task has started, five rounds in turns, medians.
    *Threads*: `rows` decided actions with the product's worker, 32 calls at once, all gates, records and
    read-backs included, on a connector whose call takes half a second and whose read-back as long; from
    the first call to the last. *Prefork*: a twentieth of that with two processes of Celery's default
    pool, each told by a message of its own to claim and carry out one action with the same code;
    its rate is scaled to the memory of the threads (shared pages counted once), which is kind to
    it: a third of a process can't be had.
    """
    rng = random.Random(asked.seed)  # noqa: S311 - order of measurements
    samples = max(LEAST, min(200, asked.rows // 50))
    ids = max(LEAST, asked.rows // 10)
    starts, chunks = {"redis": parts.starts(samples, rng, direct=True, say=asked.say)}, {}
    chunks["redis"] = parts.chunks(ids, rng, say=asked.say)
    with _rabbit() as other:
        if other:
            starts["rabbitmq"] = elsewhere.run("starts", samples, asked.seed, other, direct=True)
            chunks["rabbitmq"] = elsewhere.run("chunks", ids, asked.seed, other)
    starts["embedded"] = elsewhere.run("starts", samples, asked.seed, _embedded(), direct=False)
    threads = parts.threads(asked.rows, say=asked.say)
    prefork = parts.processes(max(LEAST, asked.rows // 20), workers=PREFORKED, say=asked.say)
    brokers = [name for name in starts if name != "embedded"]
    ratios = {
        "start_vs_publish": max(_to_direct(starts[name], "heard") for name in brokers),
        "begun_vs_publish": max(_to_direct(starts[name], "begun") for name in brokers),
        "chunk_gain": min(_gain(chunks[name]) for name in brokers),
        "threads_vs_prefork": ratio(threads.per_second, prefork.per_second * threads.mib / prefork.mib),
        "embedded_p50_ms": float(f"{median(starts['embedded']['begun']):.3g}"),
    }
    tables = [_starts(starts), _chunks(chunks), _pools(threads, prefork)]
    return Report("dispatch", asked.rows, "postgres", ratios, tables)


@contextmanager
def _rabbit() -> Iterator[dict[str, str]]:
    """The environment of its column; empty where it isn't installed."""
    try:
        server = RabbitMQ.start()
    except ServiceMissing:
        yield {}
        return
    try:
        yield {"ACTIONCENTER_BROKER_URL": server.url}
    finally:
        server.stop()


def _embedded() -> dict[str, str]:
    path = Path(settings.DATA_DIR) / "embedded.sqlite3"
    return {
        "ACTIONCENTER_DATABASE_URL": f"sqlite:///{path}",
        "ACTIONCENTER_DATABASE_OWNER_URL": "",
        "ACTIONCENTER_BROKER_URL": "",
    }


def _to_direct(found: Figures, what: str) -> float:
    return ratio(median(found[what]), median(found["direct"]))


def _gain(found: Figures) -> float:
    return ratio(median(found["chunks"]), median(found["single"]))


def _starts(starts: dict[str, Figures]) -> Table:
    lines = [
        [f"{name}, {what}", *(f"{percentile(found, share):.2f}" for share in (0.5, 0.95, 1))]
        for name, figures in starts.items()
        for what, found in figures.items()
    ]
    return Table("From commit, ms", ["until", "p50", "p95", "max"], lines)


def _chunks(chunks: dict[str, Figures]) -> Table:
    lines = [
        [name, f"{median(found['chunks']):,.0f}", f"{median(found['single']):,.0f}", f"{_gain(found):g}"]
        for name, found in chunks.items()
    ]
    return Table("Ids per second", ["broker", "in chunks", "one by one", "gain"], lines)


def _pools(threads: parts.Throughput, prefork: parts.Throughput) -> Table:
    lines = [
        [name, f"{found.actions:,}", f"{found.per_second:.1f}", f"{found.mib:.0f}"]
        for name, found in (
            (f"{parts.THREADS} threads", threads),
            (f"prefork, {PREFORKED} processes", prefork),
        )
    ]
    return Table("Carrying out", ["pool", "actions", "per second", "MiB"], lines)
