"""Verifications asked for in the pages: one at a time, by nobody who was overtaken, never within a request."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from actioncenter.actions import housekeeping
from actioncenter.audit import log, triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor.enums import RunResult, RunState
from actioncenter.auditor.models import Overtaken, VerificationRun
from actioncenter.auditor.models.records import LEASE
from actioncenter.auditor.verification import running
from tests import factories
from tests.audit.drafts import seal

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/audit/verification"
BY = Actor.system("verifier")
"""Who carries it out."""


@pytest.fixture
def ivo(client: Client) -> Client:
    client.force_login(factories.person("ivo"))
    return client


def asked() -> VerificationRun:
    return VerificationRun.request(by=factories.actor(factories.person("ivo")))[0]


def ask(client: Client) -> Any:
    """By the button."""
    return client.post(f"{PAGE}/verify", {"idempotency_key": str(uuid4())})


def claimed(holder: str = "one") -> VerificationRun:
    run = VerificationRun.claim(holder, expected=10)
    assert run is not None
    return run


def carried_out(stopping: threading.Event | None = None) -> VerificationRun:
    run = claimed()
    running.carry_out(run, stopping or threading.Event(), by=BY)
    return VerificationRun.objects.get()


def abandon() -> None:
    """As its holder would leave it who was killed."""
    VerificationRun.objects.update(lease_until=Now() - timedelta(seconds=1))


def damage() -> Event:
    event = Event.objects.filter(stream__startswith="action:").order_by("pk")[0]
    triggers.remove(connection)
    Event.objects.filter(pk=event.pk).update(actor_name="Somebody else")
    triggers.install(connection)
    return event


def test_asking_is_an_event_and_does_nothing_else(ivo: Client) -> None:
    answer = ask(ivo)

    run = VerificationRun.objects.get()
    assert (answer.status_code, run.state, run.requested_by_name) == (302, RunState.WAITING, "Ivo Petrov")
    event = Event.objects.get(kind=Kind.AUDIT_VERIFICATION_REQUESTED)
    assert (event.actor_name, event.detail) == ("Ivo Petrov", {"run": run.pk})


def test_there_is_one_at_a_time(ivo: Client) -> None:
    for _ in range(2):
        ask(ivo)
        page = ivo.get(PAGE).content.decode()

    assert "has asked for one already" in page
    assert VerificationRun.objects.count() == 1
    assert Event.objects.filter(kind=Kind.AUDIT_VERIFICATION_REQUESTED).count() == 1
    carried_out()
    ask(ivo)
    assert VerificationRun.objects.count() == 2


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_others_may_not_ask(client: Client, name: str) -> None:
    client.force_login(factories.person(name))

    assert [client.get(PAGE).status_code, client.post(f"{PAGE}/verify").status_code] == [403, 403]
    assert not VerificationRun.objects.exists()


def test_asking_by_following_a_link_is_impossible(ivo: Client) -> None:
    assert ivo.get(f"{PAGE}/verify").status_code == 405


def test_a_sound_log_is_found_sound(ivo: Client) -> None:
    factories.waiting_actions(3)
    seal()
    asked()
    before = Event.objects.count()
    run = carried_out()

    assert (run.result, run.first_bad, run.open, run.counts["events"]) == (
        RunResult.SOUND,
        None,
        None,
        before,
    )
    event = Event.objects.get(kind=Kind.AUDIT_VERIFIED)
    assert (event.actor, (event.after or {})["result"]) == (BY.ref, "SOUND")
    assert "As it was written" in ivo.get(PAGE).content.decode()


def test_the_first_bad_row_is_named(ivo: Client) -> None:
    factories.waiting_actions(3)
    seal()
    event = damage()
    asked()
    run = carried_out()

    assert (run.result, (run.first_bad or {})["event"]) == (RunResult.WRONG, event.pk)
    assert (Event.objects.get(kind=Kind.AUDIT_VERIFIED).detail or {})["first_bad"]["event"] == event.pk
    page = ivo.get(PAGE).content.decode()
    assert f'href="/audit/events/{event.pk}"' in page
    assert "columns differ from the text: actor_name" in page


def test_what_breaks_is_a_result_too(ivo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> Any:
        raise RuntimeError("no such disk")

    monkeypatch.setattr(running.Audit, "wrong", broken)
    asked()
    with pytest.raises(RuntimeError):
        carried_out()

    assert VerificationRun.objects.get().result == RunResult.FAILED
    assert "no such disk" in ivo.get(PAGE).content.decode()


def test_only_one_of_many_claims_it() -> None:
    asked()
    ready, won = threading.Barrier(8), []

    def claim(name: str) -> None:
        ready.wait()
        if run := VerificationRun.claim(name, expected=0):
            won.append(run)
        connection.close()

    threads = [threading.Thread(target=claim, args=(f"runner {at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1


def test_one_whose_holder_was_killed_is_taken_up_again() -> None:
    asked()
    claimed()
    assert not VerificationRun.is_due()
    abandon()

    assert VerificationRun.is_due()
    assert claimed("two").token == 2


def test_a_clock_that_was_put_back_keeps_nobody_waiting() -> None:
    asked()
    claimed()
    VerificationRun.objects.update(lease_until=Now() + 3 * LEASE)

    assert VerificationRun.is_due()


def overtaken_writes_nothing() -> None:
    asked()
    first = claimed()
    abandon()
    second = claimed("two")
    for write in (
        lambda: first.progress({"events": 1}),
        first.give_back,
        lambda: first.finish(RunResult.SOUND, by=BY, counts={}),
    ):
        with pytest.raises(Overtaken):
            write()
    assert not Event.objects.filter(kind=Kind.AUDIT_VERIFIED).exists()
    second.finish(RunResult.SOUND, by=BY, counts={})


def test_who_was_overtaken_writes_nothing() -> None:
    overtaken_writes_nothing()


def test_without_its_token_the_overtaken_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: the test above sees it."""
    monkeypatch.setattr(
        VerificationRun,
        "_write",
        lambda self, **values: VerificationRun.objects.filter(pk=self.pk).update(**values),
    )
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        overtaken_writes_nothing()


def test_a_runner_that_ends_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actioncenter.audit.verify.CHUNK", 1)
    factories.waiting_action()
    asked()
    stopping = threading.Event()
    stopping.set()
    run = carried_out(stopping)

    assert (run.state, run.holder, VerificationRun.is_due()) == (RunState.WAITING, "", True)


def test_one_that_is_overtaken_ends_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds out when it tells of its progress, long before it is through."""
    monkeypatch.setattr(running, "TELL", 0.01)
    asked()
    run = claimed()
    abandon()
    claimed("two")
    read = []

    def endless(audit: running.Audit) -> Any:
        while True:
            read.append(1)
            assert audit.beat is not None
            audit.beat()
            yield from ()

    monkeypatch.setattr(running.Audit, "wrong", endless)
    running.carry_out(run, threading.Event(), by=BY)

    assert read
    assert VerificationRun.objects.get().holder == "two"


def test_a_runner_carries_it_out_beside_its_work() -> None:
    factories.waiting_action()
    asked()
    stopping, done = threading.Event(), threading.Event()
    finish = VerificationRun.finish

    def finished(self: VerificationRun, *args: Any, **more: Any) -> None:
        finish(self, *args, **more)
        done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VerificationRun, "finish", finished)
        patch.setattr(running, "LOOK", 0.01)
        patch.setattr(housekeeping, "THREADS", {})
        with housekeeping.beside(stopping, by=Actor.system("runner")):
            assert done.wait(60)
    assert VerificationRun.objects.get().result == RunResult.SOUND


def test_progress_is_seen_by_polling(ivo: Client) -> None:
    asked()
    run = claimed()
    run.progress({"events": 3})
    poll = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "div#verification"}
    first = ivo.get(PAGE, **poll)  # type: ignore[arg-type]
    assert 'value="30"' in first.content.decode()
    assert b"<html" not in first.content
    poll["HTTP_HX_PTAG"] = first["HX-PTag"]

    assert ivo.get(PAGE, **poll).status_code == 304  # type: ignore[arg-type]
    run.progress({"events": 6})
    assert 'value="60"' in ivo.get(PAGE, **poll).content.decode()  # type: ignore[arg-type]


def test_without_a_runner_the_page_says_so(ivo: Client) -> None:
    page = ivo.get(PAGE).content.decode()

    assert "No runner is working" in page
    assert "Nobody has asked yet" in page


def test_the_result_and_its_event_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise RuntimeError

    asked()
    run = claimed()
    monkeypatch.setattr(log, "record", refuse)
    with pytest.raises(RuntimeError):
        run.finish(RunResult.SOUND, by=BY, counts={})

    assert VerificationRun.objects.get().state == RunState.RUNNING
