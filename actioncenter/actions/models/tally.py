"""How much was ever proposed, what was decided on it and how it ended: numbers that only grow, for /metrics.

They are counted behind the sealer, each event in the one seal that holds it, so that no decision waits for a row
that all decisions share.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import ClassVar, Final

from django.db import models
from django.db.models import F
from django.db.models.fields.json import KT

from actioncenter.actions.enums import Decision
from actioncenter.actions.models.action import Action
from actioncenter.audit import following
from actioncenter.audit.enums import MACHINES, Kind
from actioncenter.audit.models import Event, Reach

SEALS: Final = 20
"""In one go."""
NOT_REQUIRED: Final = "not_required"
PROPOSED: Final = "proposed"
REFUSED: Final = "refused"
"""By a runner. What became of the action is counted besides: it was cancelled before it began, or is unknown."""
DECIDED: Final[Mapping[str, str]] = {
    Kind.ACTION_APPROVED: "approved",
    Kind.ACTION_REJECTED: "rejected",
    Kind.ACTION_EXPIRED: "expired",
    Kind.ACTION_WITHDRAWN: "withdrawn",
}
ENDED: Final[Mapping[str, str]] = {
    Kind.ACTION_SUCCEEDED: "succeeded",
    Kind.ACTION_PARTLY_SUCCEEDED: "partly_succeeded",
    Kind.ACTION_FAILED: "failed",
    Kind.ACTION_TIMED_OUT: "timed_out",
    Kind.ACTION_CANCELLED: "cancelled",
    Kind.ACTION_UNKNOWN: "unknown",
}
COUNTED: Final[Mapping[str, str]] = {
    Kind.ACTION_PROPOSED: PROPOSED,
    Kind.ACTION_REFUSED: REFUSED,
    **DECIDED,
    **ENDED,
}


class Tally(models.Model):
    """So many times this happened to actions of a type, by machines or by people."""

    type = models.PositiveSmallIntegerField()
    what = models.CharField(max_length=20)
    by_machine = models.BooleanField()
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["type", "what", "by_machine"], name="tally_once")
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.what}"


class TallyReach(Reach):
    """Which events are counted."""


def is_waiting() -> bool:
    return following.left(TallyReach).exists()


def count() -> int:
    """Count what the next seals hold, in order; how many events that were. Not within a transaction."""
    return following.go_on(TallyReach, _add, seals=SEALS)


def _add(ids: Collection[int]) -> int:
    rows = Event.objects.filter(pk__in=ids, kind__in=COUNTED).annotate(decision=KT("after__decision"))
    told = [
        (int(stream.rpartition(":")[2]), kind, via in MACHINES, decision)
        for stream, kind, via, decision in rows.values_list("stream", "kind", "actor_via", "decision")
    ]
    types = dict(Action.objects.filter(pk__in={number for number, *_ in told}).values_list("pk", "type"))
    found: Counter[tuple[int, str, bool]] = Counter()
    for number, kind, by_machine, decision in told:
        # None: retention has dropped it before it was counted.
        if (of := types.get(number)) is None:
            continue
        found[of, COUNTED[kind], by_machine] += 1
        if kind == Kind.ACTION_PROPOSED and decision == Decision.NOT_REQUIRED.name:
            found[of, NOT_REQUIRED, by_machine] += 1
    for (of, what, by_machine), number in found.items():
        row, _ = Tally.objects.get_or_create(type=of, what=what, by_machine=by_machine)
        Tally.objects.filter(pk=row.pk).update(number=F("number") + number)
    return found.total()
