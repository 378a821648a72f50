"""Every committed event comes under exactly one seal, whoever writes meanwhile."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.db.models import Max

from actioncenter.audit import sealing, seals, verify_seals
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.trust import Trust
from tests.actions.real_processes import in_processes
from tests.actions.stopping import until
from tests.audit.drafts import seal
from tests.audit.sealers import BOTH, ON_POSTGRES, Slow, check, ids, other, sealed, write

__all__ = ["other"]


@BOTH
def test_events_are_sealed_in_batches_that_follow_each_other(shared_database: str) -> None:
    write("action:1", "action:2")
    assert sealing.is_waiting()
    assert seal() == 2
    write("action:1")
    assert not sealing.covers("action:1")
    assert sealing.covers("action:2")
    assert seal() == 1

    first, second = Seal.objects.order_by("number")
    assert (first.number, second.number) == (1, 2)
    assert sealed() == [ids()[:2], ids()[2:]]
    assert seals.SealText.read(second.text).previous == first.digest
    assert sealing.covers("action:1")
    assert check() == ([], 0)


@BOTH
def test_where_nothing_waits_nothing_is_written(shared_database: str) -> None:
    assert seal() == 0
    assert not sealing.is_waiting()
    write("action:1")
    assert [seal(), seal(), Seal.objects.count()] == [1, 0, 1]
    assert not sealing.is_waiting()


@BOTH
@pytest.mark.parametrize("at_once", [1, 3, 7, 100])
def test_a_backlog_is_sealed_in_several(
    shared_database: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(sealing, "AT_ONCE", at_once)
    for number in range(4):
        write(*[f"action:{number}"] * 5)

    assert seal() == 20
    write(*["action:9"] * 5)
    assert seal() == 5

    assert sorted(pk for batch in sealed() for pk in batch) == ids()
    assert check() == ([], 0)


@BOTH
def test_a_chain_value_that_is_none_keeps_nothing_from_being_sealed(shared_database: str) -> None:
    write("action:1")
    event = Event.objects.get()
    event.pk, event.seq, event.chain = None, 2, "not hex"
    event.save(force_insert=True)

    assert seal() == 2


@ON_POSTGRES
def test_what_commits_later_with_a_lower_id_is_not_lost(shared_database: str, other: Any) -> None:
    write("action:0")
    seal()
    slow = Slow()
    thread = other(slow)
    assert slow.wrote.wait(60)
    write("action:2")
    assert sealing.seal() == 0, "the later one isn't final while the earlier is open"
    assert not sealing.covers("action:2")
    slow.end.set()
    thread.join()

    assert seal() == 2
    assert check() == ([], 0)


def by_id(last: Seal | None) -> Any:
    """The mistake: follow the ids."""
    start = last.last_event if last else 0
    return Event.objects.filter(pk__gt=start)


@ON_POSTGRES
def test_a_sealer_that_follows_ids_is_seen(
    shared_database: str, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("action:0")
    seal()
    slow = Slow()
    thread = other(slow)
    assert slow.wrote.wait(60)
    write("action:2")
    with monkeypatch.context() as planted:
        planted.setattr(sealing, "after", by_id)
        planted.setattr(sealing, "_next_watermark", lambda last, xmin: newest_transaction() + 1)
        assert sealing.seal() == 1
    slow.end.set()
    thread.join()
    seal()

    lost = ids()[1]
    assert check() == ([f"inserted {lost}"], 1)


def newest_transaction() -> int:
    return int(Event.objects.aggregate(xid=Max("xid"))["xid"])


CHOSEN = """INSERT INTO audit_event (stream, seq, xid, at, kind, actor, actor_name, actor_via, subject, subject_name,
    request_id, canonical, chain) VALUES ('user:666', 1, 1, now(), 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x')"""


@ON_POSTGRES
@pytest.mark.parametrize("planted", [False, True])
def test_nobody_chooses_the_transaction_of_an_event(shared_database: str, planted: bool) -> None:
    """Who could would hide an event of their own from the sealer, as the planted lack of the trigger shows."""
    write("action:1")
    seal()
    if planted:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER audit_event_stamp ON audit_event")
    with psycopg.connect(shared_database) as runtime:
        runtime.execute(CHOSEN)
        own = runtime.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    forged = Event.objects.get(stream="user:666")

    seal()

    assert (forged.xid, [forged.pk] in sealed()) == ((1, False) if planted else (own and own[0], True))


WRITERS, EACH = range(100, 116), 15
HELD = 3.0
"""Seconds for which one transaction stays open; on SQLite, where one writes at a time, all others wait for it."""


@BOTH
def test_many_writers_some_of_whom_take_back_leave_nothing_unsealed(
    shared_database: str, other: Any, tmp_path: Path
) -> None:
    """And lose nothing: what each says it committed is there, in exactly one seal."""
    slow, over, committed = Slow(), threading.Event(), Counter[str]()
    ready = tmp_path / "ready"
    ready.mkdir()

    def write_on() -> None:
        spec = {"seeds": [*WRITERS], "each": EACH, "ready": str(ready)}
        committed.update(in_processes("tests.audit.writers", shared_database, spec))

    def seal_on() -> None:
        while not over.is_set():
            sealing.seal()

    opened = other(slow)
    assert slow.wrote.wait(60), "the slow transaction never wrote"
    sealer, writers = other(seal_on), other(write_on)
    until(lambda: len([*ready.iterdir()]) == len(WRITERS), "the writers never began")
    assert not slow.end.wait(HELD)
    slow.end.set()
    for thread in (opened, writers):
        thread.join()
    over.set()
    sealer.join()
    seal()

    assert check() == ([], 0)
    assert sorted(pk for batch in sealed() for pk in batch) == ids()
    assert Counter(Event.objects.values_list("stream", flat=True)) == {**committed, "action:1": 1}
    assert len(ids()) > len(WRITERS) * EACH / 2


@BOTH
def test_a_seal_cannot_be_changed(shared_database: str) -> None:
    write("action:1")
    seal()
    for change in (Seal.objects.all().delete, lambda: Seal.objects.update(number=5)):
        with pytest.raises(Exception, match="append-only"):
            change()
    assert Seal.objects.aggregate(number=Max("number")) == {"number": 1}


@BOTH
def test_what_is_sealed_while_it_is_checked_is_no_fault(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("action:1")
    seal()
    real = verify_seals._bad_events

    def meanwhile(said: seals.SealText, trust: Trust) -> Iterator[verify_seals.BadSeal]:
        write("action:2")
        seal()
        return real(said, trust)

    monkeypatch.setattr(verify_seals, "_bad_events", meanwhile)

    assert check()[0] == []


class Sealing:
    """Somebody who seals and doesn't get on."""

    def __init__(self) -> None:
        self.holds, self.end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        with transaction.atomic():
            sealing._alone(wait=True)
            self.holds.set()
            self.end.wait(60)


@ON_POSTGRES
@pytest.mark.parametrize("stand", [Slow, Sealing])
def test_who_waits_for_a_seal_gives_up_in_time(shared_database: str, other: Any, stand: Any) -> None:
    """Whatever stands in its way: a transaction that stays open, or another sealer."""
    write("action:0")
    seal()
    in_the_way = stand()
    thread = other(in_the_way)
    assert (in_the_way.wrote if stand is Slow else in_the_way.holds).wait(60)
    write("action:2")

    assert not sealing.seal_stream("action:2", patience=0.1)
    in_the_way.end.set()
    thread.join()
    assert sealing.seal_stream("action:2", patience=60)
