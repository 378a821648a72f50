"""PostgreSQL is stopped in immediate mode under load: nothing acknowledged is lost, and all go on by themselves."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action, Vote
from actioncenter.bench.visiting import Visitor
from actioncenter.estate.services import Service
from investigations.models import Mark
from tests import factories
from tests.actions.stopping import environment, until
from tests.faults.harness import estate_of
from tests.faults.harness_nursery import Nursery
from tests.faults.outages import all_over, counted
from tests.services.database import as_default

pytestmark = pytest.mark.postgres
START = "import django; django.setup(); from tests.faults.deciding import main; main()"
DURABLE = "?options=-csynchronous_commit%3Don"
"""The throw-away server is quick and forgetful; no installation is."""


def go_away_and_come_back(server: Service, process: "subprocess.Popen[str]", *, after: int) -> list[Any]:
    """What everybody was told; the server falls after so many answers and stands up again."""
    assert process.stdout is not None
    told: list[Any] = []
    for line in process.stdout:
        told.append(json.loads(line))
        if len(told) == after:
            connection.close()
            server.halt(signal.SIGQUIT)
        if len(told) > after and told[-1]["status"] == 503 and server.process.poll() is not None:
            server.resume()
    return told


@pytest.mark.parametrize(
    ("number", "falls"), [(24, 1), pytest.param(300, 5, marks=pytest.mark.long)], ids=["once", "five times"]
)
def test_nothing_acknowledged_is_lost_and_nothing_doubled(
    postgres_service: Service, on_postgres: str, tmp_path: Path, number: int, falls: int
) -> None:
    url = on_postgres + DURABLE
    with as_default(url), Nursery(url, lease=3) as nursery:
        estate = estate_of(tmp_path)
        actions = list(factories.waiting_actions(number))
        mira = factories.person("mira").pk
        runners = [nursery.start(threads=2, tidy=True) for _ in range(2)]
        told: list[Any] = []
        share = number // falls
        for first in range(0, number, share):
            spec = {
                "user": mira,
                "actions": [action.pk for action in actions[first : first + share]],
                "threads": 3,
            }
            with subprocess.Popen(
                [sys.executable, "-c", START], env=environment(url), cwd=settings.BASE_DIR, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            ) as process:  # fmt: skip
                assert process.stdin is not None
                process.stdin.write(json.dumps(spec) + "\n")
                process.stdin.flush()
                told += go_away_and_come_back(postgres_service, process, after=6)

        until(
            lambda: all_over() and not Mark.objects.exists(), "runners or their housekeeping don't come back"
        )
        assert [runner.state for runner in runners if runner.has_ended] == []
        statuses = Counter(answer["status"] for answer in told)
        assert {*statuses} == {302, 503}, statuses
        assert statuses[302] == number
        assert {answer["retry_after"] for answer in told if answer["status"] == 503} == {"5"}
        assert set(Action.objects.values_list("decision", flat=True)) == {Decision.APPROVED}
        assert Vote.objects.count() == number
        assert counted(estate, actions) == {"SUCCEEDED 1": number}


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
