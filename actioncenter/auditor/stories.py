"""Everything that belongs to one action, from the evidence to its undo, each part bounded however large it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from actioncenter.actions.models import Action, Review
from actioncenter.audit import sealing
from actioncenter.audit.models import Event
from investigations.models import Alert

TOLD: Final = 200
"""Of each kind. The log and the evidence pack have all."""


class Part(NamedTuple):
    """The first of the rows, in the order they came about, and how many there are."""

    rows: Sequence[Any]
    total: int

    @classmethod
    def of(cls, rows: "QuerySet[Any, Any]") -> "Part":
        """Counted only where there may be more."""
        first = list(rows[:TOLD])
        return cls(first, rows.count() if len(first) == TOLD else len(first))


@dataclass(frozen=True, slots=True)
class Story:
    action: Action
    grounds: Part
    """ActionEvidence: evidence with its verdict when the action was proposed."""
    alerts: Part
    plans: Part
    votes: Part
    review: Review | None
    """Of a decision that was made alone."""
    attempts: Part
    targets: Part
    events: Part
    unsealed: Mapping[int, str]
    """Events that wait for a seal."""
    family: Sequence[Action]
    """What it takes back, and what takes it back, with the undos that came to nothing."""


def story_of(action: Action) -> Story:
    """`action` was loaded among what the person may see."""
    stream = f"action:{action.pk}"
    grounds = action.links.select_related("evidence").order_by("pk")
    alerts = Alert.objects.filter(evidence__links__action=action).distinct().order_by("pk")
    undos = Action.objects.filter(undo_of=action).order_by("pk")
    return Story(
        action=action,
        grounds=Part.of(grounds),
        alerts=Part.of(alerts),
        plans=Part.of(action.plans.order_by("pk")),
        votes=Part.of(action.votes.select_related("plan").order_by("pk")),
        review=Review.objects.filter(action=action).first(),
        attempts=Part.of(action.attempts.order_by("pk")),
        targets=Part.of(action.targets.order_by("pk")),
        events=Part.of(Event.objects.filter(stream=stream).order_by("seq")),
        unsealed=sealing.waiting([stream]),
        family=[*([action.undo_of] if action.undo_of else []), *undos[:TOLD]],
    )
