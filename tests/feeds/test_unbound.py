"""A real resolver pulls the zone: blocked names are gone for whoever asks it, and back once unblocked."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from actioncenter.estate.resolver import ADDRESS, Unbound
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import BlockList, Consumer
from tests.factories import SETUP
from tests.feeds.acting import blocked, in_use, undone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.unbound]
PATIENCE = 60
HOST, BELOW, OTHER = "evil.example", "login.evil.example", "good.example"


@pytest.fixture
def consumer() -> tuple[Consumer, str]:
    return Consumer.add("Resolver", FeedFormat.RPZ, by=SETUP)


@pytest.fixture
def resolver(
    unbound_service: Path, live_server: LiveServer, consumer: tuple[Consumer, str]
) -> Iterator[Unbound]:
    server = Unbound.start(
        f"{live_server.url.replace('localhost', '127.0.0.1')}/feeds/{consumer[1]}/rpz.zone"
    )
    try:
        yield server
    finally:
        server.stop()


def until(holds: Callable[[], bool]) -> bool:
    wait = threading.Event()
    return any(holds() or wait.wait(0.2) for _ in range(PATIENCE * 5))


def has_newest(resolver: Unbound, consumer: Consumer) -> bool:
    resolver.pull()
    consumer.refresh_from_db()
    return consumer.pulled_version >= BlockList.current()


def names(resolver: Unbound) -> list[str]:
    return [resolver.ask(name) for name in (HOST, BELOW, OTHER)]


def test_a_resolver_blocks_and_unblocks(resolver: Unbound, consumer: tuple[Consumer, str]) -> None:
    in_use()
    assert names(resolver) == [ADDRESS] * 3, "all of them exist"

    action = blocked(f"https://{HOST}/")
    assert until(lambda: has_newest(resolver, consumer[0]))
    assert until(lambda: names(resolver) == ["", "", ADDRESS])

    undone(action)
    assert until(lambda: has_newest(resolver, consumer[0]))
    assert until(lambda: names(resolver) == [ADDRESS] * 3)
