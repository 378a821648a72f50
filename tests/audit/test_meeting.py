"""A log that comes into a PostgreSQL cluster: its first seal, or another cluster after a dump was restored."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from actioncenter.audit import sealing
from actioncenter.audit.sealing import Horizon
from tests.audit.drafts import seal
from tests.audit.sealers import ON_POSTGRES, Slow, check, ids, other, sealed, write

__all__ = ["other"]


def elsewhere(monkeypatch: pytest.MonkeyPatch, *, back: int) -> None:
    """From now on it is another cluster, whose count of transactions is behind."""
    real = Horizon.now

    def now() -> Horizon:
        here = real()
        return Horizon(here.at, here.xmin - back, here.xmax - back, "another")

    monkeypatch.setattr(Horizon, "now", now)


def _as_of_transaction(xid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_event SET xid = %s WHERE stream = 'action:2'", [xid])
        cursor.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")


@ON_POSTGRES
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


@ON_POSTGRES
def test_what_is_written_in_another_cluster_before_anybody_seals_there_is_no_fault(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `audit verify` after a restore, before the first worker is started."""
    write(*["action:1"] * 5)
    seal()
    elsewhere(monkeypatch, back=0)
    write("action:2")
    _as_of_transaction(1)

    assert check() == ([], 1)


@ON_POSTGRES
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


def meet_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events, three of which were gone through for the first time."""
    monkeypatch.setattr(sealing, "AT_ONCE", 3)
    write(*["action:1"] * 10)
    assert sealing._seal_once() == (3, True)


@ON_POSTGRES
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


@ON_POSTGRES
def test_while_a_cluster_is_being_met_what_waits_is_no_fault(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("action:2")
    _as_of_transaction(10_000_000)
    meet_a_little(monkeypatch)

    assert check() == ([], 8)


@ON_POSTGRES
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
