"""PostgreSQL is stopped in immediate mode under load: nothing acknowledged is lost, and all go on by themselves."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from actioncenter.actions.enums import Decision
from actioncenter.actions.execution.failpoints import Point
from actioncenter.actions.models import Action, Attempt, Vote
from actioncenter.bench.visiting import Visitor
from actioncenter.estate.services import Service
from investigations.models import Mark
from tests import factories
from tests.actions.stopping import until
from tests.faults.deciding import Deciders
from tests.faults.harness import Delivery, Verdict, effects, estate_of, is_quiet, judged, until_quiet
from tests.faults.harness_nursery import Nursery, Runner
from tests.faults.outages import BROKERS, worker
from tests.services.database import as_default

pytestmark = pytest.mark.postgres
DURABLE = "?options=-csynchronous_commit%3Don"
"""The throw-away server is quick and forgetful; no installation is."""
LAST = 3
"""Actions that are decided only once it has fallen, whatever else is still to do by then."""

THREADS = 2
"""Of each runner: so many calls it can be at when the server falls."""


def go_away_and_come_back(
    server: Service, deciders: Deciders, actions: list[Action], nursery: Nursery, plant: str
) -> list[Runner]:
    """The server falls with two runners in the middle of a call, and they wake while it is away. Gives the two."""
    deciders.give(actions[:-LAST])
    until(lambda: deciders.told, "nobody decides")
    caught = [
        nursery.start(failpoint=f"freeze:{point}", threads=THREADS, tidy=True, plant=plant)
        for point in (Point.MARKED, Point.ANSWERED)
    ]
    for runner in caught:
        runner.frozen()
    connection.close()
    server.halt(signal.SIGQUIT)
    # Those before may be decided already, on a machine that is slow with everything else.
    deciders.give(actions[-LAST:])
    until(lambda: deciders.statuses[503], "nobody notices")
    for runner in caught:
        runner.thaw()
    server.resume()
    return caught


def fallen(
    server: Service, url: str, folder: Path, delivery: Delivery, *, number: int, falls: int, plant: str = ""
) -> tuple[Verdict, list[Any]]:
    """Runners of every fall go on to the end. Gives what people were told, too."""
    share = number // falls
    runners: list[Runner] = []
    told: list[Any] = []
    with Nursery(url, lease=3) as nursery:
        estate = estate_of(folder, delivery)
        actions = list(factories.waiting_actions(number))
        for first in range(0, number, share):
            with Deciders(url, factories.person("mira"), threads=3) as deciders:
                part = actions[first : first + share]
                runners += go_away_and_come_back(server, deciders, part, nursery, plant)
            told += deciders.told
        until(
            lambda: is_quiet() and not Mark.objects.exists(), "runners or their housekeeping don't come back"
        )
        assert [runner.state for runner in runners if runner.has_ended] == []
    assert set(Action.objects.values_list("decision", flat=True)) == {Decision.APPROVED}
    assert Vote.objects.count() == number
    return judged(estate, delivery=delivery), told


@pytest.mark.sampled(1)
@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize(
    ("number", "falls"), [(24, 1), pytest.param(300, 5, marks=pytest.mark.long)], ids=["once", "five times"]
)
def test_nothing_acknowledged_is_lost_and_nothing_doubled(
    postgres_service: Service, on_postgres: str, tmp_path: Path, number: int, falls: int, delivery: Delivery
) -> None:
    """A blind target leaves unknown what was under way at a fall; every other outcome becomes known."""
    url = on_postgres + DURABLE
    with as_default(url):
        verdict, told = fallen(postgres_service, url, tmp_path, delivery, number=number, falls=falls)
    assert verdict.wrong == []
    statuses = Counter(answer["status"] for answer in told)
    assert {*statuses} == {302, 503}, statuses
    assert statuses[302] == number
    assert {answer["retry_after"] for answer in told if answer["status"] == 503} == {"5"}
    if delivery is Delivery.BLIND:
        # Those of the falls before live on, so ever more of them are in the middle of something.
        assert 2 * falls <= verdict.unknown <= THREADS * sum(range(2, 2 * falls + 1, 2))
    else:
        assert verdict.unknown == 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("service", BROKERS)
def test_workers_go_on_when_it_is_back(
    service: str, request: pytest.FixtureRequest, postgres_service: Service, on_postgres: str, tmp_path: Path
) -> None:
    """Celery's, in the middle of calls, with a broker that keeps what it was told."""
    url, broker = on_postgres + DURABLE, request.getfixturevalue(service).url
    lease = {"ACTIONCENTER_TEST_LEASE": "3"}
    with as_default(url):
        estate = estate_of(tmp_path, Delivery.QUERYABLE, slow=0.3)
        actions = list(factories.waiting_actions(24))
        with worker(url, broker, **lease) as one, worker(url, broker, more=("-n", "two@%h"), **lease) as two:
            with Deciders(
                url, factories.person("mira"), threads=3, ACTIONCENTER_BROKER_URL=broker
            ) as deciders:
                deciders.give(actions[:-LAST])
                until(Attempt.objects.filter(sent_at__isnull=False, ended_at=None).exists, "nobody calls")
                connection.close()
                postgres_service.halt(signal.SIGQUIT)
                deciders.give(actions[-LAST:])
                until(lambda: deciders.statuses[503], "nobody notices")
                postgres_service.resume()
            until_quiet()
            assert (one.poll(), two.poll()) == (None, None)
        verdict = judged(estate, delivery=Delivery.QUERYABLE)
    assert (verdict.wrong, verdict.unknown) == ([], 0)
    assert sum(effects(estate).values()) == len(actions)


@pytest.mark.long
def test_a_call_that_no_mark_tells_of_is_seen(
    postgres_service: Service, on_postgres: str, tmp_path: Path
) -> None:
    url = on_postgres + DURABLE
    with as_default(url):
        verdict, _ = fallen(
            postgres_service, url, tmp_path, Delivery.BLIND, number=24, falls=1, plant="no intent mark"
        )
    assert verdict.doubled


def test_a_page_says_so_and_the_next_one_is_whole_again(postgres_service: Service, on_postgres: str) -> None:
    """Also where only the session is to be written: that isn't a session which was deleted."""
    visitor = Visitor.signed_in(factories.person("mira"))
    assert visitor.get("/action-center/pending")
    postgres_service.halt(signal.SIGQUIT)
    try:
        for _ in range(2):
            answer = visitor.post("/sign-out", {})
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    finally:
        postgres_service.resume()
    assert visitor.get("/action-center/pending")


def test_a_session_that_cannot_be_written_is_an_outage(
    on_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actioncenter.accounts.sessions import SessionStore  # noqa: PLC0415 - its model needs the database

    store = SessionStore()
    store["seen"] = 1
    store.save()

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(SessionStore.get_model_class(), "save", gone)
    with pytest.raises(OperationalError, match="closed"):
        store.save()
