"""Putting committed events under signed seals, one sealer at a time (docs/adr/0020).

On PostgreSQL ids are taken before a transaction ends, so whoever follows them loses events. The sealer
follows transaction ids: everything below the oldest one still open is final. Another cluster, as after a
dump was restored, counts its transactions anew; then everything is gone through once, by id. SQLite has one
writer, so there ids follow commits.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.audit import seals, signing
from actioncenter.audit.models import Event, Seal

AT_ONCE: Final = 2000
LOOKS: Final = 50
"""So many times AT_ONCE events are looked through in one transaction."""
SLACK: Final = 1000
LOCK: Final = 0x0AC7_10CE_5EA1
_SQLITE_CLOCK: Final = "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"
_HORIZON: Final = """
    SELECT clock_timestamp(), pg_snapshot_xmin(now)::text::bigint, pg_snapshot_xmax(now)::text::bigint,
    (SELECT system_identifier::text FROM pg_control_system()) FROM pg_current_snapshot() AS now"""
Row = tuple[int, str, str]
"""Id, chain value and canonical text of an event."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Where the database stands: its time, its oldest open transaction and its next, and whose count that is."""

    at: datetime
    xmin: int = 0
    xmax: int = 0
    cluster: str = ""

    @classmethod
    def now(cls) -> "Horizon":
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(_SQLITE_CLOCK)
                return cls(datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC))
            cursor.execute(_HORIZON)
            at, *rest = cursor.fetchone()
            return cls(at.astimezone(UTC), *rest)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a seal reaches; see the columns of the same names."""

    watermark: int
    cluster: str = ""
    floor: int = 0
    until: int = 0
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    rows: Sequence[Row]
    mark: Mark
    more: bool = False
    """Whether there is more to seal."""


def seal() -> int:
    """Seal what is final; how many events that were. Not within another transaction."""
    sealed, more = 0, True
    while more:
        done, more = _seal_once()
        sealed += done
    return sealed


def hand_over(successor: bytes) -> int:
    """Write a seal after which only this public key (32 bytes) signs; its number.

    Within a transaction. Raises signing.KeyMissing, and LookupError while there is no seal at all.
    """
    return _write_alone(successor=successor.hex())


def begin_anew() -> int:
    """Sign with this host's key from now on though no seal handed over to it. As `hand_over`."""
    return _write_alone(by_hand=settings.SIGNING_KEY)


def is_waiting() -> bool:
    """Whether anything final is in no seal yet."""
    last = newest()
    if connection.vendor == "sqlite":
        return after(last).exists()
    horizon = Horizon.now()
    if _goes_on(last, horizon):
        return _fresh(after(last).filter(xid__lt=horizon.xmin), last)
    return last is not None or Event.objects.exists()


def is_late(after_so_long: timedelta) -> bool:
    """Whether an event has waited for its seal that long."""
    last = newest()
    return _fresh(after(last).filter(at__lte=Now() - after_so_long), last)


def seal_stream(stream: str, *, patience: float) -> bool:
    """Seal at once what this stream holds.

    False after so many seconds: another transaction stays open, or much else is to be sealed first.
    """
    over = time.monotonic() + patience
    while not covers(stream):
        if time.monotonic() > over:
            return False
        done, _ = _seal_once(wait=False)
        if not done:
            time.sleep(0.01)
    return True


def covers(stream: str) -> bool:
    """Whether a seal of this cluster holds every event of this stream."""
    return _covers(Q(stream=stream))


def covers_time(since: datetime, until: datetime) -> bool:
    """The same of every event from `since` until just before `until`."""
    return _covers(Q(at__gte=since, at__lt=until))


def _covers(which: Q) -> bool:
    last = newest()
    if last is None or (connection.vendor == "postgresql" and last.cluster != Horizon.now().cluster):
        return False
    return not _fresh(after(last).filter(which), last)


def is_in_step(last: Seal) -> bool:
    """Whether `after` this seal comes only what is new, on the cluster that this is."""
    if connection.vendor == "sqlite":
        return True
    return _goes_on(last, Horizon.now())


def newest() -> Seal | None:
    return Seal.objects.order_by("-number").first()


def after(last: Seal | None) -> "QuerySet[Event]":
    """What this seal and those before it leave out, and few that they hold."""
    if last is None:
        return Event.objects.all()
    if connection.vendor == "sqlite":
        return Event.objects.filter(pk__gt=last.watermark)
    if last.since is not None:
        return Event.objects.filter(Q(pk__gt=last.watermark) | Q(xid__gte=last.since))
    ours = Q(pk__gt=last.floor) | Q(xid__lt=last.until)
    return Event.objects.filter(ours, xid__gte=last.watermark)


def held(ids: Collection[int]) -> frozenset[int]:
    """Those of these events that a seal holds."""
    if not ids:
        return frozenset()
    around = Seal.objects.filter(first_event__lte=max(ids), last_event__gte=min(ids))
    wanted = frozenset(ids)
    found: set[int] = set()
    for text in around.values_list("text", flat=True).iterator(chunk_size=50):
        found.update(wanted.intersection(seals.SealText.read(text).ids))
    return frozenset(found)


def holding(pk: int) -> Seal | None:
    """The seal that holds this event; None while it waits for one."""
    around = Seal.objects.filter(first_event__lte=pk, last_event__gte=pk).order_by("number")
    return next(
        (seal for seal in around.iterator(chunk_size=50) if pk in seals.SealText.read(seal.text).ids), None
    )


def waiting(streams: Collection[str]) -> dict[int, str]:
    """The events of these streams that no seal of this cluster holds: id -> stream."""
    last = newest()
    found = Event.objects.filter(stream__in=streams)
    if last is None or (connection.vendor == "postgresql" and last.cluster != Horizon.now().cluster):
        return dict(found.values_list("pk", "stream"))
    rows = dict(after(last).filter(stream__in=streams).values_list("pk", "stream"))
    # As in `_fresh`: those that were there when the cluster was met may be held already.
    low = [] if connection.vendor == "sqlite" else [pk for pk in rows if pk <= last.floor]
    sealed = held(low)
    return {pk: stream for pk, stream in rows.items() if pk not in sealed}


def _seal_once(*, wait: bool = True) -> tuple[int, bool]:
    """How many events were sealed, and whether there are more. None while another seals and `wait` is false."""
    with transaction.atomic():
        if not _alone(wait=wait):
            return 0, False
        horizon, last = Horizon.now(), newest()
        batch = _next_batch(last, horizon)
        if batch is None:
            return 0, False
        _write(last, batch, horizon.at)
        return len(batch.rows), batch.more


def _write_alone(*, successor: str = "", by_hand: bytes = b"") -> int:
    """A seal without events, which moves nothing."""
    _alone(wait=True)
    last = newest()
    if last is None:
        raise LookupError("nothing was sealed yet")
    mark = Mark(last.watermark, last.cluster, last.floor, last.until, last.since)
    _write(last, Batch([], mark), Horizon.now().at, successor=successor, by_hand=by_hand)
    return last.number + 1


def _next_batch(last: Seal | None, horizon: Horizon) -> Batch | None:
    if connection.vendor == "sqlite":
        rows = _rows(after(last).order_by("pk")[:AT_ONCE])
        return Batch(rows, Mark(rows[-1][0]), len(rows) == AT_ONCE) if rows else None
    return _following(last, horizon) if last and _goes_on(last, horizon) else _meeting(last, horizon)


def _goes_on(last: Seal | None, horizon: Horizon) -> bool:
    """Whether transaction ids still mean what they meant at the last seal."""
    if last is None or last.since is not None:
        return False
    return last.cluster == horizon.cluster and last.watermark <= horizon.xmin


def _following(last: Seal, horizon: Horizon) -> Batch | None:
    below = _next_watermark(last, horizon.xmin)
    found = after(last).filter(xid__lt=below)
    rows = _rows(found.exclude(pk__in=held(list(_low(found, last)))).order_by("pk"))
    more = below < horizon.xmin
    # One without events where a seal holds all of so many already: only so the next come in sight.
    return Batch(rows, Mark(below, last.cluster, last.floor, last.until), more) if rows or more else None


def _next_watermark(last: Seal, xmin: int) -> int:
    """So far that about AT_ONCE events lie below it: transactions are sealed whole."""
    later = after(last).filter(xid__lt=xmin).order_by("xid").values_list("xid", flat=True)
    found = [xid for xid in later[: AT_ONCE + 1] if xid is not None]
    if len(found) <= AT_ONCE:
        return xmin
    return found[-1] if found[-1] > found[0] else found[0] + 1


def _meeting(last: Seal | None, horizon: Horizon) -> Batch | None:
    """Events of whatever transaction that no seal holds, by id: this cluster's ids aren't known yet."""
    under_way = last is not None and last.since is not None and last.cluster == horizon.cluster
    if last is not None and under_way:
        start = Mark(last.watermark, last.cluster, last.floor, last.until, last.since)
    else:
        highest = Event.objects.aggregate(highest=Max("pk"))["highest"] or 0
        # Asked afterwards: who has taken a lower id has a transaction id by now, or gets one this moment.
        until = Horizon.now().xmax + SLACK
        start = Mark(0, horizon.cluster, highest, until, horizon.xmin)
    ids, at = _unheld(start.watermark, start.floor)
    if last is None and not ids:
        return None
    rows = _rows(Event.objects.filter(pk__in=ids).order_by("pk"))
    if at < start.floor:
        return Batch(rows, Mark(at, start.cluster, start.floor, start.until, start.since), more=True)
    return Batch(rows, Mark(start.since or 0, start.cluster, start.floor, start.until), more=True)


def _unheld(start: int, floor: int) -> tuple[list[int], int]:
    """The next events above `start` that no seal holds, perhaps none, and how far that went."""
    for _ in range(LOOKS):
        if start >= floor:
            break
        there = Event.objects.filter(pk__gt=start, pk__lte=floor).order_by("pk").values_list("pk", flat=True)
        ids = list(there[:AT_ONCE])
        start = ids[-1] if len(ids) == AT_ONCE else floor
        if left := sorted(set(ids) - held(ids)):
            return left, start
    return [], start


def _fresh(rows: "QuerySet[Event]", last: Seal | None) -> bool:
    """Whether any of these is in no seal."""
    if last is None or connection.vendor == "sqlite":
        return rows.exists()
    if rows.filter(pk__gt=last.floor).exists():
        return True
    low = _low(rows, last).order_by("pk").iterator(chunk_size=AT_ONCE)
    while some := list(islice(low, AT_ONCE)):
        if len(held(some)) < len(some):
            return True
    return False


def _low(rows: "QuerySet[Event]", last: Seal) -> "QuerySet[Event, int]":
    """Numbers of those that were there when the cluster was met, which a seal may hold or not."""
    return rows.filter(pk__lte=last.floor).values_list("pk", flat=True)


def _rows(events: "QuerySet[Event]") -> list[Row]:
    return list(events.values_list("pk", "chain", "canonical"))


def _alone(*, wait: bool) -> bool:
    """One sealer at a time. SQLite's transactions are alone anyhow."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _write(
    last: Seal | None, batch: Batch, at: datetime, *, successor: str = "", by_hand: bytes = b""
) -> None:
    ids = [pk for pk, _, _ in batch.rows]
    leaves = [seals.leaf(chain, text) for _, chain, text in batch.rows]
    number, previous = (last.number + 1, last.digest) if last else (1, "")
    text = seals.SealText(number, at, previous, ids, leaves, successor).render()
    key, mark = by_hand or signing.key_after(last), batch.mark
    Seal.objects.create(
        number=number, at=at, first_event=min(ids, default=0), last_event=max(ids, default=0),
        watermark=mark.watermark, cluster=mark.cluster, floor=mark.floor, until=mark.until, since=mark.since,
        text=text, digest=seals.digest(text), key_id=seals.key_id(seals.public_key(key)),
        signature=seals.sign(key, text),
    )  # fmt: skip
