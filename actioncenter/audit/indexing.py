"""Keeping the words of events where they can be found, behind the sealer (docs/adr/0030). PostgreSQL only.

What comes after the last seal whose events were indexed is the tail, which a search looks through itself.
"""

from collections.abc import Sequence
from typing import Final

from django.db import connection
from django.db.models import Q

from actioncenter.audit import following, sealing
from actioncenter.audit.models import Event, EventWords, WordsReach
from actioncenter.audit.seals import SealText
from actioncenter.audit.triggers import TABLE
from actioncenter.audit.words import VECTOR

SEALS: Final = 2
"""In one go."""
TAIL: Final = 5000
"""So many events a search looks through by itself."""
_INDEX: Final = (
    f"INSERT INTO {EventWords._meta.db_table} (event, words) SELECT id, {VECTOR} FROM {TABLE}"  # noqa: S608 - constants
    " WHERE id = ANY(%s) ON CONFLICT DO NOTHING"
)


def is_waiting() -> bool:
    return connection.vendor == "postgresql" and following.left(WordsReach).exists()


def fill() -> int:
    """Index what the next seals hold, in order; how many events that were. Not within a transaction."""
    if connection.vendor != "postgresql":
        return 0
    return following.go_on(WordsReach, _index, seals=SEALS)


def renew(which: Q) -> None:
    """Make the words of these events (by `pk`) anew from what is left of them; none for those that are gone.

    In the transaction that changed or dropped them, afterwards.
    """
    if connection.vendor != "postgresql":
        return
    # Nobody else has read what is about to go.
    following.alone(WordsReach)
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
    for text in following.left(WordsReach).values_list("text", flat=True).iterator(chunk_size=2):
        ids += SealText.read(text).ids
        if len(ids) > TAIL:
            return None
    ids += sealing.after(newest).values_list("pk", flat=True)[: TAIL + 1 - len(ids)]
    return None if len(ids) > TAIL else ids


def _index(ids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_INDEX, [list(ids)])
        return int(cursor.rowcount)
