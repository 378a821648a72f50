"""A log of any length is verified in the memory of a short one."""

import tracemalloc

import pytest
from django.conf import settings
from django.db import transaction

from actioncenter.audit import log, seals
from actioncenter.audit.models import Event
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify import CHUNK
from actioncenter.auditor.verification.whole import Audit
from tests.audit.drafts import draft, seal
from tests.audit.sealers import BOTH

pytestmark = pytest.mark.django_db(transaction=True)
STREAMS = 50


def write(many: int) -> None:
    """A few hundred at a time; each time others are rolled back, whose ids nobody gets."""
    for begin in range(0, many, 250):
        with transaction.atomic():
            log.record_many([draft("user:1") for _ in range(20)])
            transaction.set_rollback(True)
        with transaction.atomic():
            log.record_many([draft(f"user:{at % STREAMS}") for at in range(begin, begin + 250)])
        seal()


def peak() -> int:
    audit = Audit(Trust([seals.public_key(settings.SIGNING_KEY)]), [])
    tracemalloc.start()
    assert list(audit.wrong()) == []
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert audit.chains.events == audit.sealing.sealed == Event.objects.count()
    return most


@BOTH
def test_three_times_the_events_take_no_more_memory(shared_database: str) -> None:
    """Both are more than what is read at a time of events, seals and ids."""
    write(7 * CHUNK)
    peak()
    few = peak()
    write(14 * CHUNK)
    assert peak() < 1.3 * few
