"""A database that is locked or gone: stopping doesn't wait for it, and nothing else fails loudly."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import connect

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test import Client

from actioncenter import turns
from actioncenter.accounts import fence
from actioncenter.accounts.middleware import NOTED_EVERY
from actioncenter.actions.enums import Decision
from actioncenter.settings.models import Stop
from actioncenter.web import outage
from tests import factories
from tests.actions.real_processes import migrated_file, shared_database
from tests.services.database import as_default, migrated_template, on_postgres
from tests.settings.stopping import stop_file

__all__ = ["migrated_file", "migrated_template", "on_postgres", "shared_database", "stop_file"]


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else changes a rule and doesn't come to an end."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with as_default(url), fence.exclusive():
            inside.set()
            assert go_on.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert inside.wait(30)
        yield
    finally:
        go_on.set()
        holder.join()


def run(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


def signed_in(name: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.person(name))
    return client


def test_a_locked_database_stops_by_the_file(shared_database: str, stop_file: Path) -> None:
    """Also when the session would note right now that its person is there."""
    kim = signed_in("kim")
    session = kim.session
    session["started"] = session["seen"] = int(time.time()) - NOTED_EVERY - 1
    session.save()
    with locked(shared_database):
        answer = kim.post("/settings/stops/pull", {"reason": "It removes too much"})
    assert answer.status_code == 200
    assert stop_file.read_text() == "Stopped by Kim Larsen (kim) on the page: It removes too much\n"
    assert "nothing is sent while it exists" in answer.content.decode()
    assert not Stop.objects.exists()


@pytest.mark.parametrize("who", ["ivo", "nobody"])
def test_who_may_not_stop_writes_no_file_either(shared_database: str, stop_file: Path, who: str) -> None:
    client = signed_in(who)
    client.get("/")
    with locked(shared_database):
        assert client.post("/settings/stops/pull", {"reason": "Because"}).status_code == 403
    assert not stop_file.exists()


def test_the_wait_is_short_inside_and_as_before_afterwards(shared_database: str) -> None:
    before = turns._patience()
    with turns.impatient(outage.SHORT_WAIT):
        assert turns._patience() == outage.SHORT_WAIT
    assert turns._patience() == before
    short = turns.impatient(outage.SHORT_WAIT)
    with pytest.raises(OperationalError), locked(shared_database), short, fence.decider():
        pass
    assert turns._patience() == before


def test_a_decision_during_a_lock_is_asked_to_come_again(shared_database: str) -> None:
    action = factories.waiting_action()
    mira = signed_in("mira")
    turns.be_patient(0.05)
    address, form = f"/action-center/actions/{action.pk}/approve", {"idempotency_key": "1" * 32}
    with locked(shared_database):
        answer = mira.post(address, form)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert "nothing is done twice" in answer.content.decode()
        action.refresh_from_db()
        assert action.decision == Decision.PENDING
    assert mira.post(address, form).status_code == 302
    action.refresh_from_db()
    assert (action.decision, action.votes.count()) == (Decision.APPROVED, 1)


def caused(error: DatabaseError, cause: Exception) -> DatabaseError:
    error.__cause__ = cause
    return error


def sqlite_error(statement: str) -> Exception:
    database = connect(":memory:")
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever SQLite says
            database.execute(statement)
        return caught.value
    finally:
        database.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (caused(OperationalError(), psycopg.errors.AdminShutdown()), True),
        (caused(OperationalError(), psycopg.errors.LockNotAvailable()), True),
        (caused(OperationalError(), sqlite_error("SELECT * FROM nowhere")), False),
        (InterfaceError("connection already closed"), True),
        (DatabaseError(), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_what_trying_again_helps_against(error: BaseException | None, expected: bool) -> None:
    assert outage.is_outage(error) is expected
