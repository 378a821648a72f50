"""What may start, oldest first: asked before every claim, so in statements that are written once."""

import json
from collections.abc import Callable, Collection, Iterator
from typing import Final

from django.db.models import DateTimeField, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from actioncenter.actions.enums import ALLOWED, Execution, TargetState
from actioncenter.actions.execution.gates import STARTABLE
from actioncenter.actions.execution.holding import Reach, reaches
from actioncenter.actions.models import Action, ActionTarget, attempting
from actioncenter.actions.queries.overtaking import behind
from actioncenter.actions.queries.rowwise import none, some
from actioncenter.actions.queries.stopped import covered
from actioncenter.web.statements import Compiled, among_given, compiled, given, given_numbers, kept, rows_of

LOOKED_AT_ONCE = 50
PAGES = 20
"""How often that many are looked at while none of them can be claimed."""
Stops = frozenset[Reach]
Question = Callable[[Stops], "QuerySet[Action]"]


def candidates(shut: Collection[int] = ()) -> Iterator[int]:
    """Numbers of actions. What a switch, a lane or a connector holds is left out here already: it may be many.

    A wish to cancel is heard however long the rest would wait. `shut` are instances that may not be called.
    """
    if not rows_of(_anything()):
        return
    stops, closed = reaches(), json.dumps(sorted(shut))
    for question in QUESTIONS:
        yield from _page_by_page(question, stops, closed)


def of_these(numbers: Collection[int]) -> list[int]:
    """Those of which something waits to begin, oldest first. Whether it may is for the claim to judge."""
    return [pk for (pk,) in rows_of(_of_these(), [json.dumps(list(numbers))])]


def _page_by_page(question: Question, stops: Stops, closed: str) -> Iterator[int]:
    """What was seen and couldn't be claimed must not hide what comes after it."""
    after: tuple[object, ...] = ()
    for _ in range(PAGES):
        page = rows_of(_written(question, stops, LOOKED_AT_ONCE, bool(after)), [closed, *after])
        yield from (pk for _, pk in page)
        if len(page) < LOOKED_AT_ONCE:
            return
        after = page[-1]


@kept
def _written(question: Question, stops: Stops, count: int, further: bool) -> Compiled | None:
    rows = question(stops).filter(queued_at__isnull=False)
    if further:
        at = given(1, DateTimeField())
        rows = rows.filter(Q(queued_at__gt=at) | Q(queued_at=at, pk__gt=given(2)))
    return compiled(rows.order_by("queued_at", "pk").values_list("queued_at", "pk")[:count])


@kept
def _anything() -> Compiled | None:
    """Spares the questions, each of which takes the database longer to plan than to answer."""
    return compiled(_waiting().values_list("pk")[:1])


@kept
def _of_these() -> Compiled | None:
    rows = _waiting().filter(among_given('"actions_action"."id"', 0))
    return compiled(rows.order_by("queued_at", "pk").values_list("pk"))


def _waiting() -> "QuerySet[Action]":
    """All that any question could give."""
    return _allowed().filter(some(_queued()), execution__in=STARTABLE, queued_at__isnull=False)


def _allowed() -> "QuerySet[Action]":
    return Action.objects.filter(decision__in=sorted(ALLOWED), history_at__isnull=True)


def _queued() -> "QuerySet[ActionTarget]":
    return ActionTarget.objects.filter(action=OuterRef("pk"), state=TargetState.QUEUED)


def _unwanted(stops: Stops) -> "QuerySet[Action]":
    wished = _allowed().filter(some(_queued()), cancel_requested_at__isnull=False)
    return wished.filter(execution__in=STARTABLE)


def _wanted(stops: Stops) -> "QuerySet[Action]":
    return _allowed().filter(cancel_requested_at__isnull=True).exclude(covered(stops))


def _overtaken(stops: Stops) -> "QuerySet[Action]":
    """What its inverse has overtaken is ended, not tried: that waits neither for its next try nor its connector."""
    rows = _wanted(stops).filter(some(_queued().filter(some(behind()))))
    return rows.filter(execution__in=STARTABLE)


def _begun(stops: Stops) -> "QuerySet[Action]":
    """What was begun goes on first."""
    return _wanted(stops).filter(some(_startable_targets()), execution=Execution.IN_PROGRESS)


def _new(stops: Stops) -> "QuerySet[Action]":
    return _wanted(stops).filter(some(_startable_targets()), execution=Execution.QUEUED)


QUESTIONS: Final[tuple[Question, ...]] = (_unwanted, _overtaken, _begun, _new)


def _startable_targets() -> "QuerySet[ActionTarget]":
    """Ready targets of the outer action whose lane and connector are free; the claim itself judges again."""
    others = attempting.open_in_lanes().filter(lane=OuterRef("lane")).exclude(action=OuterRef("action"))
    mine = OuterRef("action__queued_at")
    earlier = Q(action__queued_at__lt=mine) | Q(action__queued_at=mine, action__lt=OuterRef("action"))
    busy = others.filter(state=TargetState.IN_PROGRESS)
    ahead = others.filter(
        earlier,
        state=TargetState.QUEUED,
        action__decision__in=sorted(ALLOWED),
        action__history_at__isnull=True,
    )
    to_be_called = attempting.to_be_called(given_numbers(0))
    ready = ActionTarget.objects.filter(attempting.READY, to_be_called, action=OuterRef("pk"))
    undo_failed = ActionTarget.objects.filter(blocks=True, lane=OuterRef("lane")).exclude(
        action=OuterRef("action")
    )
    # Of the unknown only its undo may begin in the lane.
    unknown = others.filter(state=TargetState.UNKNOWN, action__decision__in=sorted(ALLOWED)).exclude(
        action=Coalesce(OuterRef("action__undo_of"), 0)
    )
    return ready.filter(none(unknown), none(busy), none(ahead), none(undo_failed))
