"""Real receivers that stop, are slow, refuse or are somebody else: everything arrives, in order, at least once."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from pytest_django import Settings

from actioncenter.actions.execution import streaming, wires
from actioncenter.audit import copies, log, sealing
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event, Seal
from actioncenter.settings.models import Destination
from tests.audit.drafts import draft, seal
from tests.audit.sealers import BOTH, ON_POSTGRES, Slow, sealed
from tests.ops.rotations import ON_SQLITE, command
from tests.streaming.certificates import Authority, authority
from tests.streaming.receivers import Syslog, Web, parsed, web

BY = Actor.command("streams")
SECRET = "a secret of enough characters"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(autouse=True)
def to_this_machine(settings: Settings) -> None:
    settings.STREAMS_TO_LOOPBACK = True


@pytest.fixture
def receiver(ours: Authority, shared_database: str) -> Iterator[Web]:
    with web(ours.context, SECRET) as server:
        yield server


def happen(number: int = 1) -> None:
    for _ in range(number):
        with transaction.atomic():
            log.record_many([draft("group:1"), draft("group:2")])
        seal()


def to(port: int, scheme: str = "https", what: str = "events", ca: str = "", **fields: Any) -> Destination:
    secret = SECRET if scheme.startswith("http") else ""
    address = f"{scheme}://127.0.0.1:{port}" + ("/hook" if secret else "")
    return Destination.add(
        name=f"{scheme} {what}",
        address=address,
        what=what,
        secret=secret,
        ca=ca,
        so_far=True,
        by=BY,
        **fields,
    )


def deliver(row: Destination) -> int:
    """Now, whenever it would be due."""
    Destination.objects.filter(pk=row.pk).update(next_try_at=None)
    return streaming.deliver(row) if row.claim() else -1


def state(row: Destination) -> tuple[int, int, int, str]:
    row.refresh_from_db()
    return row.seal, row.position, row.failures, row.error


def in_seals() -> list[int]:
    """Ids in the order of the seals."""
    return [pk for ids in sealed() for pk in ids]


def got(server: Web) -> list[int]:
    return [json.loads(line)["event"] for line in server.kept]


@BOTH
def test_events_arrive_in_the_order_of_the_seals(receiver: Web, ours: Authority) -> None:
    row = to(receiver.port, ca=ours.pem)
    happen(5)

    assert deliver(row) == 1

    assert got(receiver) == in_seals()
    assert state(row) == (sealing.newest().number, 0, 0, "")  # type: ignore[union-attr]
    assert deliver(row) == -1, "nothing waits"
    first = json.loads(receiver.kept[-1])
    assert first["chain"] == Event.objects.get(pk=first["event"]).chain


@BOTH
def test_seals_arrive_as_lines_that_verify_against(receiver: Web, ours: Authority, tmp_path: Path) -> None:
    row = to(receiver.port, what="seals", ca=ours.pem)
    happen(3)
    deliver(row)
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(receiver.kept))

    assert [copy.number for copy in copies.read(kept)] == [*range(1, Seal.objects.count() + 1)]
    code, said = command("audit", "verify", "--against", str(kept))
    assert (code, f"{Seal.objects.count()} copies of seals agree" in said) == (0, True)


@ON_SQLITE
@pytest.mark.parametrize("what", ["events", "seals"])
@pytest.mark.parametrize("scheme", ["syslog+tcp", "syslog+tls"])
def test_syslog_over_a_connection(scheme: str, what: str, ours: Authority, shared_database: str) -> None:
    server = Syslog(ours.context if scheme == "syslog+tls" else None)
    row = to(server.port, scheme, what, ca=ours.pem)
    happen(3)

    assert deliver(row) == 1

    found = server.messages()
    numbers = [said["said"]["event" if what == "events" else "number"] for said in found]
    assert numbers == (in_seals() if what == "events" else [*range(1, Seal.objects.count() + 1)])
    assert state(row)[2:] == (0, "")


@ON_SQLITE
def test_syslog_in_datagrams(shared_database: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        row = to(server.getsockname()[1], "syslog+udp")
        happen(3)
        deliver(row)
        found = [parsed(server.recv(65536)) for _ in in_seals()]
    assert [int(said["data"]["id"]) for said in found] == in_seals()


@BOTH
@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_batches_end_anywhere(
    at_once: int, receiver: Web, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "EVENTS_AT_ONCE", at_once)
    row = to(receiver.port, ca=ours.pem)
    happen(4)
    deliver(row)
    assert got(receiver) == in_seals()


@ON_SQLITE
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {}), "It answers (500)."),
        ((429, {"Retry-After": "120"}), "It answers (429)."),
        ((302, {"Location": "https://127.0.0.1:1/"}), "It redirects, which are not followed (302)."),
        ((401, {}), "It answers (401)."),
    ],
)
def test_what_is_refused_is_sent_again(
    answer: Any, said: str, receiver: Web, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "EVENTS_AT_ONCE", 2)
    row = to(receiver.port, ca=ours.pem)
    happen(2)
    receiver.answers = [(204, {}), answer]

    assert deliver(row) == 1
    assert state(row)[2:] == (1, said)
    assert not row.claim(), "not before its time"
    deliver(row)

    assert got(receiver) == in_seals()
    assert state(row)[2:] == (0, "")


@ON_SQLITE
@pytest.mark.parametrize(
    ("asked", "seconds"), [("120", 120), ("99999999", 3600), ("soon", 5), ("-5", 5), ("1", 5)]
)
def test_a_receiver_may_ask_us_to_wait(asked: str, seconds: int, receiver: Web, ours: Authority) -> None:
    row = to(receiver.port, ca=ours.pem)
    happen()
    receiver.answers = [(503, {"Retry-After": asked})]
    deliver(row)
    waits = Destination.objects.filter(next_try_at__gt=Now() + timedelta(seconds=seconds - 60))
    assert waits.filter(next_try_at__lte=Now() + timedelta(seconds=seconds)).exists()


@ON_SQLITE
def test_tries_come_later_and_later(shared_database: str) -> None:
    row = to(1)
    happen()
    waits = []
    for _ in range(9):
        deliver(row)
        row.refresh_from_db()
        assert row.next_try_at
        assert row.failed_at
        waits.append(round((row.next_try_at - row.failed_at).total_seconds()))
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert state(row)[2:] == (9, "Connection refused.")


@BOTH
def test_a_receiver_that_is_restarted_misses_nothing(ours: Authority, shared_database: str) -> None:
    with web(ours.context, SECRET) as server:
        row = to(server.port, ca=ours.pem)
        happen()
        deliver(row)
    happen()
    deliver(row)
    assert state(row)[2] == 1
    happen()
    with web(ours.context, SECRET, port=server.port) as again:
        deliver(row)
    assert [*got(server), *got(again)] == in_seals()


@ON_SQLITE
def test_a_syslog_that_is_cut_off_gets_it_again(shared_database: str) -> None:
    first = Syslog()
    row = to(first.port, "syslog+tcp")
    happen()
    deliver(row)
    before = first.messages()
    happen()
    deliver(row)
    assert state(row)[2:] == (1, "Connection refused.")
    second = Syslog(port=first.port)
    deliver(row)
    assert [said["said"]["event"] for said in [*before, *second.messages()]] == in_seals()


@ON_SQLITE
def test_a_receiver_that_reads_nothing_has_taken_nothing(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits into the buffers of both machines counts as taken: TCP knows no better."""
    monkeypatch.setattr(wires, "TIMEOUT", 0.3)
    deaf = Syslog(deaf=True)
    try:
        with pytest.raises(wires.Undelivered, match=r"takes nothing|in time"):
            wires.syslog(to(deaf.port, "syslog+tcp").url, [b"x" * 60_000] * 200, ca="")
    finally:
        deaf.close()


@ON_SQLITE
def test_one_that_answers_byte_by_byte_is_left(
    ours: Authority, shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires, "DEADLINE", 0.3)
    over = threading.Event()

    def drip(self: Any) -> None:
        self.wfile.write(b"HTTP/1.1 ")
        while not over.wait(0.02):
            self.wfile.write(b"2")

    with web(None, SECRET) as server, monkeypatch.context() as patch:
        patch.setattr("tests.streaming.receivers.Handler.do_POST", drip)
        row = to(server.port, "http")
        happen()
        assert deliver(row) == 0
        over.set()
    assert state(row)[:3] == (0, 0, 1)


@ON_SQLITE
@pytest.mark.parametrize("scheme", ["https", "syslog+tls"])
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_another_certificate_gets_nothing(
    wrong: str, scheme: str, ours: Authority, tmp_path: Path, shared_database: str
) -> None:
    theirs = authority(tmp_path, host="127.0.0.2" if wrong == "name" else "127.0.0.1")
    trusted = theirs.pem if wrong == "name" else ours.pem
    happen()
    if scheme == "https":
        with web(theirs.context, SECRET) as server:
            row = to(server.port, ca=trusted)
            deliver(row)
            assert (server.asked, server.kept) == ([], [])
    else:
        line = Syslog(theirs.context)
        row = to(line.port, scheme, ca=trusted)
        deliver(row)
        assert line.messages() == []
    assert state(row)[:3] == (0, 0, 1)
    assert state(row)[3].startswith("Its certificate isn't trusted")


@ON_SQLITE
def test_what_is_not_tls_at_all(ours: Authority, shared_database: str) -> None:
    with web(None, SECRET) as server:
        row = to(server.port, ca=ours.pem)
        happen()
        deliver(row)
    assert state(row)[:3] == (0, 0, 1)


@ON_POSTGRES
def test_an_event_that_commits_late_is_not_skipped(
    receiver: Web, ours: Authority, other: Callable[[Callable[[], None]], threading.Thread]
) -> None:
    """Its id is lower than those that were sent already."""
    row, slow = to(receiver.port, ca=ours.pem), Slow()
    thread = other(slow)
    slow.wrote.wait(30)
    with transaction.atomic():
        log.record_many([draft("group:9")])
    sealing.seal()
    deliver(row)
    slow.end.set()
    thread.join()
    seal()
    deliver(row)
    assert sorted(got(receiver)) == sorted(Event.objects.values_list("pk", flat=True))
    assert got(receiver) == in_seals()


@ON_SQLITE
def test_a_cursor_that_moves_first_is_seen(
    receiver: Web, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: what is refused is lost then."""
    send_next = streaming._send_next

    def early(row: Destination) -> tuple[int, int] | None:
        place = row.next_events(streaming.EVENTS_AT_ONCE)[1:]
        seal, position = row.seal, row.position
        row.acknowledged(*place)
        row.seal, row.position = seal, position
        return send_next(row)

    monkeypatch.setattr(streaming, "_send_next", early)
    row = to(receiver.port, ca=ours.pem)
    happen()
    receiver.answers = [(500, {})]
    deliver(row)
    monkeypatch.undo()
    happen()
    deliver(row)
    assert got(receiver) != in_seals(), "the same as above, and it would not be noticed"


@ON_SQLITE
def test_who_lost_the_lease_moves_nothing(receiver: Web, ours: Authority) -> None:
    row = to(receiver.port, ca=ours.pem)
    happen()
    assert row.claim()
    assert not Destination.objects.get().claim(), "it is in somebody's hands"
    Destination.objects.update(lease_until=Now() - timedelta(seconds=1))
    newer = Destination.objects.get()
    assert newer.claim()

    assert streaming.deliver(row) == 1
    assert state(newer)[:2] == (0, 0)
    newer.claim()
    streaming.deliver(newer)
    assert got(receiver) == in_seals() * 2, "at least once"


@pytest.mark.django_db(transaction=True)
def test_one_that_hangs_holds_up_no_other(ours: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, over = threading.Event(), threading.Event()

    def hang(self: Any) -> None:
        hanging.set()
        over.wait(30)

    with web(ours.context, SECRET) as good, web(None, SECRET) as bad, monkeypatch.context() as patch:
        slow = to(bad.port, "http", ca=ours.pem)
        fine = to(good.port, ca=ours.pem)
        original = good.RequestHandlerClass.do_POST

        def either(self: Any) -> None:
            hang(self) if self.server is bad else original(self)

        patch.setattr("tests.streaming.receivers.Handler.do_POST", either)
        happen(2)
        threads = {thread.name: thread for thread in streaming.begin(BY)}
        assert hanging.wait(10)
        threads[f"stream {fine.pk}"].join(30)
        assert got(good) == in_seals()
        assert streaming.begin(BY) == [], "each is in somebody's hands, or has all"
        over.set()
        threads[f"stream {slow.pk}"].join(30)
    assert state(slow)[2] == 1
