"""The benchmark `audit`: what the keyed chain and the seals cost, and how fast a log is verified."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier, Semaphore
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction

from actioncenter.audit import canonical, log, roles, sealing, seals
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.log import COLUMNS, Draft
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.triggers import TABLE
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify import Verification
from actioncenter.audit.verify_seals import SealCheck
from actioncenter.bench.asked import Asked
from actioncenter.bench.decide.crowd import PATIENCE, at_once
from actioncenter.bench.measuring import percentile
from actioncenter.bench.report import Report, Table, ratio

WRITERS: Final = 16
MOST_AT_ONCE: Final = 20_000
"""Events that the writers write in a turn; of more only the verification tells something new."""
AT_ONCE: Final = 500
MIB: Final = 1 << 20
SEALED_EVERY: Final = 0.25
BY: Final = Actor.command("bench")
FORK: Final = multiprocessing.get_context("fork")
Way = Callable[[int, str, int], None]
"""One writer's event of a stream, with its number there, in a transaction of its own."""


def run(asked: Asked) -> Report:
    """Write `rows` events with 16 processes, each in a transaction that also changes a row; then seal and verify.

    *Chained* writes as a decision does: it reads the head of the stream with the row it changes, renders the
    canonical text and computes the keyed value, while another process seals every quarter of a second. *Plain*
    inserts the same columns without head, text and key. Wall time of all writers together, in turns, medians. The lag of an
    event is the time between its own and that of its seal. Then as many events are written in bulk; sealing
    them and verifying them (chains, columns, seals) is measured in CPU time of one process; *growth* is how much more
    memory it holds at the worst moment of the verification than at its beginning.
    """
    each = max(1, min(asked.rows, MOST_AT_ONCE) // WRITERS)
    taken: dict[str, list[float]] = {"chained": [], "plain": []}
    _make_rows()
    for turn in range(max(1, min(asked.rounds, 5))):
        asked.say(f"{WRITERS} writers, {each} events each, round {turn + 1} ...")
        taken["chained"].append(_seconds(_chained, each))
        taken["plain"].append(_seconds(_plain, each))
    sealing.seal()
    lags = sorted(_lags())
    asked.say(f"Sealing and verifying {asked.rows:,} events ...")
    sealed, verified, grown = _per_second(asked.rows)
    chained, plain = (percentile(taken[name], 0.5) for name in ("chained", "plain"))
    ratios = {
        "chain_vs_plain": ratio(plain, chained),
        "sealed_per_s": float(f"{sealed:.3g}"),
        "lag_p99_s": float(f"{percentile(lags, 0.99):.3g}"),
        "verified_per_s": float(f"{verified:.3g}"),
        "growth_mib": round(grown / MIB, 1),
    }
    total = each * WRITERS
    lines = [
        [
            f"{total / chained:,.0f}",
            f"{total / plain:,.0f}",
            f"{percentile(lags, 0.5):.2f}",
            f"{lags[-1]:.2f}",
        ]
    ]
    head = ["chained, events/s", "plain, events/s", "lag s, median", "max"]
    return Report("audit", asked.rows, asked.database, ratios, [Table("16 writers", head, lines)])


def _make_rows() -> None:
    with roles.as_owner(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_row (id integer PRIMARY KEY, revision integer NOT NULL)")
        if connection.vendor == "postgresql":
            cursor.execute("GRANT SELECT, UPDATE ON bench_row TO PUBLIC")
        for at in range(WRITERS):
            cursor.execute("INSERT INTO bench_row VALUES (%s, 0)", [at])


def _seconds(way: Way, each: int) -> float:
    """From the moment when all begin until the last has ended. One more process seals meanwhile."""
    name, over = uuid4().hex[:8], FORK.Semaphore(0)

    def play(at: int, gate: Barrier) -> Iterator[tuple[float, float]]:
        connection.ensure_connection()
        gate.wait(PATIENCE)
        if at == WRITERS:
            _seal_until(over)
            return
        began = time.perf_counter()
        for number in range(1, each + 1):
            way(at, f"{name}-{at}", number)
        yield began, time.perf_counter()
        over.release()

    spans = at_once(play, WRITERS + 1)
    return float(max(end for _, end in spans) - min(begin for begin, _ in spans))


def _seal_until(over: Semaphore) -> None:
    """All writers are done."""
    done = 0
    while done < WRITERS:
        done += over.acquire(timeout=SEALED_EVERY)
        sealing.seal()


def _draft(stream: str) -> Draft:
    return Draft(
        kind=Kind.ACTION_APPROVED, by=BY, subject=stream, subject_name="Quarantine invoice.exe on lap-berlin-00001",
        before={"decision": "pending", "revision": 1},
        after={"decision": "approved", "execution": "queued", "revision": 1, "fingerprint": "ab" * 32},
        detail={"comment": "Known bad, seen on three machines.", "mode": "click"},
    )  # fmt: skip


def _chained(at: int, stream: str, number: int) -> None:
    stream = f"action:{stream}"
    with transaction.atomic():
        heads = _change_chained(at, stream)
        log.record_many([_draft(stream)], heads)


def _change_chained(at: int, stream: str) -> log.Heads:
    """Change the row, which locks the stream, and read where the stream goes on."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_CHANGE} RETURNING {_NOW[connection.vendor]}, ({_HEAD})", [at, stream])
        now, head = cursor.fetchone()
    seq, _, chain = (head or "0:").partition(":")
    moment = datetime.fromisoformat(now)
    newest = {stream: (int(seq), chain)} if head else {}
    return log.Heads(moment if moment.tzinfo else moment.replace(tzinfo=UTC), newest)


def _plain(at: int, stream: str, number: int) -> None:
    draft = _draft(f"plain:{stream}")
    jsons = [canonical.canonical_json(value) for value in (draft.before, draft.after, draft.detail)]
    values: list[Any] = [
        draft.subject, number, draft.kind.value, BY.ref, BY.name, BY.via.value, draft.subject, draft.subject_name,
        draft.area, draft.group_id, "", *jsons, "", "",
    ]  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CHANGE, [at])
        cursor.execute(_PLAIN, values)


_CHANGE: Final = "UPDATE bench_row SET revision = revision + 1 WHERE id = %s AND revision >= 0"
"""What the event tells of: a row of each writer's own."""
_NOW: Final = {
    "postgresql": "clock_timestamp()::text",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
}
_HEAD: Final = f"SELECT seq || ':' || chain FROM {TABLE} WHERE stream = %s ORDER BY seq DESC LIMIT 1"
_OWN: Final = [name for name in COLUMNS if name != "at"]
_PLAIN: Final = (
    f"INSERT INTO {TABLE} (at, {', '.join(_OWN)}) VALUES (CURRENT_TIMESTAMP, {', '.join('%s' for _ in _OWN)})"
)


def _lags() -> Iterator[float]:
    """Seconds, of every chained event that was sealed beside its writer."""
    for text in Seal.objects.values_list("text", flat=True).iterator(chunk_size=50):
        said = seals.SealText.read(text)
        rows = Event.objects.filter(pk__in=said.ids, stream__startswith="action:")
        yield from ((said.at - at).total_seconds() for at in rows.values_list("at", flat=True))


def _per_second(rows: int) -> tuple[float, float, int]:
    """Events sealed and verified per second of CPU, and bytes that verifying took at most."""
    for start in range(0, rows, AT_ONCE):
        with transaction.atomic():
            log.record_many(
                [_draft(f"action:bulk-{start}-{at % 100}") for at in range(min(AT_ONCE, rows - start))]
            )
    began = time.process_time()
    sealed = sealing.seal()
    sealing_took = time.process_time() - began
    key = seals.public_key(settings.SIGNING_KEY)
    held = [_held()]
    chains = Verification(beat=lambda: held.append(_held()))
    check = SealCheck(Trust([key]), beat=lambda: held.append(_held()))
    ours = Event.objects.filter(stream__startswith="action:").order_by("stream", "seq")
    chained_took, sealed_took = _whole(chains.bad_rows(ours)), _whole(check.bad_seals())
    # Seals hold the plain events too, so each is counted for itself.
    of_one = chained_took / chains.events + sealed_took / check.sealed
    return sealed / sealing_took, 1 / of_one, max(held) - held[0]


def _held() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _whole(bad: Iterator[Any]) -> float:
    """CPU seconds until all was found in order."""
    began = time.process_time()
    if found := next(bad, None):
        raise RuntimeError(str(found))
    return time.process_time() - began
