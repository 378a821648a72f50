"""What the tests of the sealer share: who writes, what was sealed, and who stands in the way."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import transaction

from actioncenter.audit import log, seals
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify_seals import SealCheck
from tests.audit.drafts import draft
from tests.services.database import as_default

KEY = seals.public_key(settings.SIGNING_KEY)
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
BOTH = pytest.mark.parametrize("shared_database", ["sqlite", POSTGRES], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("shared_database", [POSTGRES], indirect=True)
"""SQLite has one writer at a time."""


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
    found = SealCheck(Trust([KEY]))
    return [f"{bad.fault} {bad.event}" for bad in found.bad_seals()], found.pending


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
