"""Keeping the words of events where they can be found, behind the sealer (docs/adr/0030). PostgreSQL only.

Seals are the order: each holds events that are final, and every event is in one of them. What comes after
the last seal whose events were indexed is the tail, which a search looks through itself.
"""

from collections.abc import Sequence
from typing import Final

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from actioncenter.audit import sealing
from actioncenter.audit.models import Event, EventWords, Seal, WordsReach
from actioncenter.audit.seals import SealText
from actioncenter.audit.triggers import TABLE
from actioncenter.audit.words import VECTOR

SEALS: Final = 2
"""At most so many in one go, of about 2,000 events each: others wait for the same thread."""
TAIL: Final = 5000
"""So many events a search looks through by itself."""
_INDEX: Final = (
    f"INSERT INTO {EventWords._meta.db_table} (event, words) SELECT id, {VECTOR} FROM {TABLE}"  # noqa: S608 - constants
    " WHERE id = ANY(%s) ON CONFLICT DO NOTHING"
)


def is_waiting() -> bool:
    return connection.vendor == "postgresql" and _left().exists()


def fill() -> int:
    """Index what the next seals hold, in order; how many events that were. Not within a transaction."""
    done = 0
    for _ in range(SEALS if connection.vendor == "postgresql" else 0):
        with transaction.atomic():
            reach = _alone()
            seal = _left(reach).first()
            if seal is None:
                break
            done += _index(SealText.read(seal.text).ids)
            reach.seal = seal.number
            reach.save(update_fields=["seal"])
    return done


def renew(which: Q) -> None:
    """Make the words of these events (by `pk`) anew from what is left of them; none for those that are gone.

    In the transaction that changed or dropped them, afterwards.
    """
    if connection.vendor != "postgresql":
        return
    _alone()
    rows = EventWords.objects.filter(which)
    there = list(Event.objects.filter(pk__in=rows.values("pk")).values_list("pk", flat=True))
    rows.delete()
    _index(there)


def tail() -> list[int] | None:
    """The events whose words aren't indexed yet, and perhaps a few that are; None where they are too many."""
    newest = sealing.newest()
    if newest is not None and not sealing.is_in_step(newest):
        return None
    ids: list[int] = []
    for text in _left().values_list("text", flat=True).iterator(chunk_size=2):
        ids += SealText.read(text).ids
        if len(ids) > TAIL:
            return None
    ids += sealing.after(newest).values_list("pk", flat=True)[: TAIL + 1 - len(ids)]
    return None if len(ids) > TAIL else ids


def _left(reach: WordsReach | None = None) -> "QuerySet[Seal]":
    """Seals whose events are still to be indexed."""
    reach = reach or WordsReach.objects.first() or WordsReach()
    return Seal.objects.filter(number__gt=reach.seal).order_by("number")


def _alone() -> WordsReach:
    """Until the transaction ends nobody else indexes, so nobody has read what is about to go."""
    WordsReach.objects.get_or_create(pk=1)
    return WordsReach.objects.select_for_update().get(pk=1)


def _index(ids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_INDEX, [list(ids)])
        return int(cursor.rowcount)
