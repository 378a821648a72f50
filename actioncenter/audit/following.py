"""Going through the log behind the sealer: seals are the order, each event is in one of them, and final there."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet

from actioncenter.audit.models import Reach, Seal
from actioncenter.audit.seals import SealText

R = TypeVar("R", bound=Reach)


def left(of: type[Reach], reach: Reach | None = None) -> "QuerySet[Seal]":
    """Seals whose events are still to be gone through."""
    reach = reach or of._default_manager.first() or of()
    return Seal.objects.filter(number__gt=reach.seal).order_by("number")


def alone(of: type[R]) -> R:
    """Until the transaction ends whoever else goes through them waits here, and goes on behind us."""
    of._default_manager.get_or_create(pk=1)
    return of._default_manager.select_for_update().get(pk=1)


def go_on(of: type[Reach], use: Callable[[Sequence[int]], int], *, seals: int) -> int:
    """Give the ids of the events of the next seals to `use`, in order, each seal in the transaction that notes it.

    At most so many seals, of about 2,000 events each: others wait for the same thread. Gives the sum of what `use`
    gave. Not within a transaction.
    """
    done = 0
    for _ in range(seals):
        with transaction.atomic():
            reach = alone(of)
            seal = left(of, reach).first()
            if seal is None:
                break
            done += use(SealText.read(seal.text).ids)
            reach.seal = seal.number
            reach.save(update_fields=["seal"])
    return done
