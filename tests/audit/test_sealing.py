"""Every committed event comes under exactly one seal, whoever writes meanwhile."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Max

from actioncenter.audit import log, sealing, seals, verify_seals
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.sealing import Horizon
from actioncenter.audit.verify_seals import SealCheck
from tests.audit.drafts import draft, seal
from tests.services.database import as_default

KEYS = {seals.key_id(key): key for key in [seals.public_key(b"s" * 32)]}
BOTH = pytest.mark.parametrize(
    "shared_database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture(autouse=True)
def key(settings: Any) -> None:
    settings.SIGNING_KEY = b"s" * 32


def write(*streams: str) -> None:
    with transaction.atomic():
        log.record_many([draft(stream) for stream in streams])


def sealed() -> list[list[int]]:
    """Ids by seal."""
    return [
        list(seals.SealText.read(text).ids)
        for text in Seal.objects.order_by("number").values_list("text", flat=True)
    ]


def ids() -> list[int]:
    return list(Event.objects.order_by("pk").values_list("pk", flat=True))


def check() -> tuple[list[str], int]:
    """What is wrong, and how many events no seal holds."""
    found = SealCheck(KEYS)
    return [f"{bad.fault} {bad.event}" for bad in found.bad_seals()], found.pending


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


@pytest.fixture
def other(shared_database: str) -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Somebody else, with a connection of their own."""
    begun: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            with as_default(shared_database):
                work()

        begun.append(threading.Thread(target=run))
        begun[-1].start()
        return begun[-1]

    yield start
    for thread in begun:
        thread.join()


class Slow:
    """A transaction that wrote and isn't over."""

    def __init__(self) -> None:
        self.wrote, self.end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        with transaction.atomic():
            log.record_many([draft("action:1")])
            self.wrote.set()
            self.end.wait(60)


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
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


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
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


WRITERS, EACH = 16, 25


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
def test_many_writers_some_of_whom_take_back_leave_nothing_unsealed(shared_database: str, other: Any) -> None:
    slow, over = Slow(), threading.Event()

    def writing(seed: int) -> Callable[[], None]:
        rng = random.Random(seed)

        def work() -> None:
            for _ in range(EACH):
                with transaction.atomic():
                    log.record_many([draft(f"action:{seed}") for _ in range(rng.randint(1, 3))])
                    if rng.random() < 0.2:
                        transaction.set_rollback(True)

        return work

    def seal_on() -> None:
        while not over.is_set():
            sealing.seal()

    sealer = other(seal_on)
    opened = other(slow)
    threads = [other(writing(100 + number)) for number in range(WRITERS)]
    for thread in threads:
        thread.join()
    slow.end.set()
    opened.join()
    over.set()
    sealer.join()
    seal()

    assert check() == ([], 0)
    assert sorted(pk for batch in sealed() for pk in batch) == ids()
    assert len(ids()) > WRITERS * EACH / 2


def elsewhere(monkeypatch: pytest.MonkeyPatch, *, back: int) -> None:
    """From now on it is another cluster, whose count of transactions is behind."""
    real = Horizon.now

    def now() -> Horizon:
        here = real()
        return Horizon(here.at, here.xmin - back, here.xmax - back, "another")

    monkeypatch.setattr(Horizon, "now", now)


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
@pytest.mark.parametrize("at_once", [2, 100])
@pytest.mark.parametrize("behind", [0, 4, 10_000_000])
def test_a_restored_dump_goes_on_in_another_cluster(
    shared_database: str, monkeypatch: pytest.MonkeyPatch, at_once: int, behind: int
) -> None:
    """What was sealed isn't sealed twice, what wasn't is not forgotten, whatever its transaction was."""
    monkeypatch.setattr(sealing, "AT_ONCE", at_once)
    write(*["action:1"] * 5)
    seal()
    write(*["action:2"] * 5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        now = cursor.fetchone()[0]
    # As in the dump: transaction ids of the old cluster stand in the rows.
    _as_of_transaction(now + behind)
    elsewhere(monkeypatch, back=0)

    assert seal() == 5
    assert not sealing.is_waiting()
    for _ in range(9):
        write("action:3")
    assert seal() == 9
    write("action:3")
    assert seal() == 1
    assert sorted(pk for batch in sealed() for pk in batch) == ids()
    assert check() == ([], 0)


def _as_of_transaction(xid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_event SET xid = %s WHERE stream = 'action:2'", [xid])
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")


@BOTH
def test_a_seal_cannot_be_changed(shared_database: str) -> None:
    write("action:1")
    seal()
    for change in (Seal.objects.all().delete, lambda: Seal.objects.update(number=5)):
        with pytest.raises(Exception, match="append-only"):
            change()
    assert Seal.objects.aggregate(number=Max("number")) == {"number": 1}


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
def test_what_begins_while_a_cluster_is_met_is_not_lost(
    shared_database: str, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes its id after the horizon was read, and before the highest id is."""
    slow, real, threads = Slow(), Horizon.now, []

    def now() -> Horizon:
        here = real()
        if not threads:
            threads.append(other(slow))
            assert slow.wrote.wait(60)
            write("action:2")
        return here

    monkeypatch.setattr(Horizon, "now", now)
    write("action:0")
    sealing.seal()
    slow.end.set()
    threads[0].join()
    seal()

    assert check() == ([], 0)


@BOTH
def test_what_is_sealed_while_it_is_checked_is_no_fault(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("action:1")
    seal()
    real = verify_seals._bad_events

    def meanwhile(said: seals.SealText) -> Iterator[verify_seals.BadSeal]:
        write("action:2")
        seal()
        return real(said)

    monkeypatch.setattr(verify_seals, "_bad_events", meanwhile)

    assert check()[0] == []


def meet_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events, three of which were gone through for the first time."""
    monkeypatch.setattr(sealing, "AT_ONCE", 3)
    write(*["action:1"] * 10)
    assert sealing._seal_once() == (3, True)


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
def test_while_a_cluster_is_being_met_nothing_counts_as_sealed_that_is_not(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet_a_little(monkeypatch)
    write("action:77")

    assert not sealing.covers("action:77")
    assert not sealing.covers("action:1")
    assert sealing.is_late(timedelta(0))
    assert sealing.seal_stream("action:77", patience=60)
    assert sealing.held(ids()) == frozenset(ids())
    assert sealing.covers("action:77")
    assert not sealing.is_late(timedelta(0))


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
def test_while_a_cluster_is_being_met_what_waits_is_no_fault(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("action:2")
    _as_of_transaction(10_000_000)
    meet_a_little(monkeypatch)

    assert check() == ([], 8)


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
@pytest.mark.parametrize("looks", [1, 2])
def test_a_long_log_that_is_sealed_is_gone_through_in_parts(
    shared_database: str, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    monkeypatch.setattr(sealing, "AT_ONCE", 2)
    monkeypatch.setattr(sealing, "LOOKS", looks)
    write(*["action:1"] * 9)
    seal()
    elsewhere(monkeypatch, back=0)
    write("action:3")

    assert seal() == 1
    assert sorted(pk for batch in sealed() for pk in batch) == ids()
    assert check() == ([], 0)


class Sealing:
    """Somebody who seals and doesn't get on."""

    def __init__(self) -> None:
        self.holds, self.end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        with transaction.atomic():
            sealing._alone(wait=True)
            self.holds.set()
            self.end.wait(60)


@pytest.mark.postgres
@pytest.mark.parametrize("shared_database", ["postgres"], indirect=True)
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
