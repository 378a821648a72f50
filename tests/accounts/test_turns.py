"""Where one may write at a time, whoever changes policy is next and nobody is forgotten."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from actioncenter import turns
from actioncenter.accounts import fence
from tests.services.database import as_default


@pytest.fixture
def one_writer(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    url = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    with django_db_blocker.unblock(), as_default(url):
        yield url


class Comer(threading.Thread):
    """Somebody else, who wants in."""

    def __init__(self, url: str, enter: Callable[[], AbstractContextManager[object]]) -> None:
        super().__init__()
        self.url, self.enter, self.inside = url, enter, threading.Event()
        self.start()

    def run(self) -> None:
        with as_default(self.url), self.enter():
            self.inside.set()

    def is_through(self) -> bool:
        self.join(30)
        return self.inside.is_set()


def passing() -> AbstractContextManager[None]:
    turns.give_way()
    return nullcontext()


def test_a_decider_gives_way_to_whoever_is_ahead(one_writer: str) -> None:
    with turns.ahead():
        other = Comer(one_writer, passing)
        assert not other.inside.wait(0.2)
    assert other.is_through()


def test_nobody_is_held_up_otherwise(one_writer: str) -> None:
    assert Comer(one_writer, passing).is_through()
    assert Comer(one_writer, fence.decider).is_through()
    assert Comer(one_writer, fence.exclusive).is_through()


def test_whoever_writes_already_is_not_asked_to_wait(one_writer: str) -> None:
    """The one ahead waits for exactly that transaction."""
    ready = threading.Event()

    def change() -> None:
        with as_default(one_writer), turns.ahead():
            ready.set()
            with transaction.atomic():
                pass

    other = threading.Thread(target=change)
    with transaction.atomic():
        other.start()
        assert ready.wait(30)
        with fence.decider():
            assert connection.in_atomic_block
    other.join(30)
    assert not other.is_alive()


def test_one_who_stays_ahead_for_ever_is_passed(one_writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)

    with turns.ahead():
        assert Comer(one_writer, passing).is_through()


def test_a_turnstile_that_cannot_be_made_holds_up_nobody(
    one_writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("os.open", refuse)

    with turns.ahead(), transaction.atomic():
        assert connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_without_a_file_there_is_nothing_to_queue_at() -> None:
    with turns.ahead():
        turns.give_way()
