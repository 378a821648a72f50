"""The benchmark `export`: a list as a file beside the database's own copy of the same columns."""

import csv
import os
import random
import resource
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from actioncenter.actions.enums import Area
from actioncenter.actions.exporting import FORMATS, export
from actioncenter.actions.queries import Listing, Tab
from actioncenter.actions.queries.pages import arranged
from actioncenter.audit.actor import Actor
from actioncenter.bench.asked import Asked
from actioncenter.bench.measuring import CpuClock, Variant, backend_of_django, interleave
from actioncenter.bench.population import fill
from actioncenter.bench.report import Number, Report, Table, ratio
from actioncenter.settings.access import Scope
from actioncenter.web.keyset import joined
from actioncenter.web.statements import ready

EVERYTHING: Final = Listing(Tab.HISTORY, Scope(groups=None, areas=frozenset(Area)))
BY: Final = Actor.command("bench")
RAW: Final = (
    "id", "type", "target_kind", "target_name", "on_name", "group_name", "verdict", "risk", "decision", "execution",
    "reason_code", "decided_by_name", "decided_at", "decision_comment", "source", "created_at", "expires_at", "history_at",
    "read_back_at", "target_count", "succeeded_count", "failed_count", "investigation_id", "approval_id", "undone_by_id",
)  # fmt: skip
"""The columns of the table that the words of a file are made from."""
MIB: Final = 1024 * 1024
PAGE: Final = resource.getpagesize()
WARM: Final = 10
"""Pieces of a file until everything was used once."""


def run(asked: Asked) -> Report:
    """CPU time of the whole History as CSV, client process plus database backend, medians of interleaved rounds.

    *ours* is what page and command write: words for codes, seconds, formulas made harmless, the audit event. *copy*,
    on PostgreSQL only, is COPY of the columns it is made from, of the same rows in the same order, read by the same
    driver and thrown away. *iterator* reads those columns through the ORM and writes them with the csv module.
    *growth_mib* is how much more memory the process holds at the worst moment of a file than after the first
    pieces of one, the greater of both formats.
    """
    fill(asked.rows, seed=asked.seed, now=timezone.now().replace(second=0, microsecond=0), say=asked.say)
    asked.say("Writing both formats ...")
    size, grown = 0, 0
    for form in FORMATS:
        for _ in islice(_pieces(form), WARM):
            pass
        before, most = _resident(), 0
        for piece in _pieces(form):
            size += len(piece) if form == "csv" else 0
            most = max(most, _resident())
        grown = max(grown, most - before)
    rounds = max(1, min(asked.rounds, 5))
    asked.say("Measuring ...")
    rng = random.Random(asked.seed)  # noqa: S311 - order of measurements
    clock = CpuClock.with_backends(backend_of_django())
    times = interleave(_variants(), clock, rounds=rounds, rng=rng)
    ours, copy = times["csv", "ours"], times.get(("csv", "copy"))
    ratios: dict[str, Number] = {
        "vs_copy": ratio(ours, copy) if copy else None,
        "growth_mib": round(grown / MIB, 1),
        "iterator_vs_ours": ratio(times["csv", "iterator"], ours),
    }
    lines = [[who, f"{taken:,.0f}", f"{asked.rows / taken * 1000:,.0f}"] for (_, who), taken in times.items()]
    table = Table("The whole History as CSV", ["who", "CPU ms", "rows/s of CPU"], lines)
    return Report(
        "export", asked.rows, asked.database, ratios, [table], [f"The file has {size / MIB:,.1f} MiB."]
    )


def _pieces(form: str) -> Iterator[bytes]:
    return export(EVERYTHING, form, by=BY, address="bench")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _variants() -> list[Variant]:
    found = [
        Variant("csv", "ours", lambda: _drained(_pieces("csv"))),
        Variant("csv", "iterator", _by_iterator, every=5),
    ]
    if connection.vendor == "postgresql":
        found.append(Variant("csv", "copy", _by_copy))
    return found


def _drained(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass


def _rows() -> list[QuerySet[Any, Any]]:
    running, overdue = EVERYTHING.bands()
    ended = arranged(EVERYTHING, EVERYTHING.order)
    return [
        rows.values_list(*RAW)
        for rows in (running.order_by("-queued_at", "-id"), overdue.order_by("-queued_at", "-id"), ended)
    ]


def _by_copy() -> None:
    statement = joined(_rows())
    if statement is None:
        raise RuntimeError("There is nothing to copy.")
    sql, params = ready(statement)
    with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT csv)", params) as rows:
        for _ in rows:
            pass


def _by_iterator() -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        writer = csv.writer(nowhere)
        for rows in _rows():
            writer.writerows(rows.iterator(chunk_size=2000))
