"""A forward that hasn't begun gives way to the inverse behind it: it is cancelled, and both say so."""

from collections.abc import Mapping
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, Subquery
from django.db.models.functions import Now

from actioncenter.actions import dispatch
from actioncenter.actions.enums import ActionType, TargetState
from actioncenter.actions.execution import binding
from actioncenter.actions.models import Action, ActionTarget, settling
from actioncenter.actions.models.overtaking import OVERTAKEN
from actioncenter.actions.queries.overtaking import behind, inverses_of
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of


def give_way(action: Action, *, by: Actor) -> bool | None:
    """Whether anything of it may still begin; None where that can't be told right now.

    The caller holds the action's lock. An inverse that isn't what was decided on overtakes nothing.
    """
    overtaken = _overtaken(action)
    if not overtaken:
        return True
    numbers = set(overtaken.values())
    held = _held(numbers)
    if len(held) < len(numbers):
        return None
    genuine = {pk: row for pk, row in held.items() if _is_genuine(row)}
    for number, inverse in sorted(genuine.items()):
        _cancel(action, [pk for pk, by_whom in overtaken.items() if by_whom == number], inverse, by=by)
    settling.settle(action, by=by)
    transaction.on_commit(partial(dispatch.wake, sorted(genuine)), robust=True)
    return bool(action.targets.filter(state=TargetState.QUEUED).exists())


def _overtaken(action: Action) -> Mapping[int, int]:
    """Target -> the first inverse behind it."""
    kind = ActionType(action.type)
    return dict(rows_of(_first_behind(kind), [action.pk])) if inverses_of(kind) else {}


@kept
def _first_behind(kind: ActionType) -> Compiled | None:
    later = behind(kind)
    first = later.order_by("action__queued_at", "action_id").values("action_id")[:1]
    queued = ActionTarget.objects.filter(Exists(later), action=given(0), state=TargetState.QUEUED)
    return compiled(queued.annotate(inverse=Subquery(first)).order_by("pk").values_list("pk", "inverse"))


def _held(numbers: set[int]) -> dict[int, Action]:
    """Those that nobody else holds, locked: a claim waits for nobody, it comes again."""
    rows = Action.objects.filter(pk__in=numbers).order_by("pk")
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    return {row.pk: row for row in rows}


def _is_genuine(inverse: Action) -> bool:
    return binding.deviation(inverse, list(inverse.targets.order_by("pk"))) is None


def _cancel(action: Action, targets: list[int], inverse: Action, *, by: Actor) -> None:
    action.targets.filter(pk__in=targets, state=TargetState.QUEUED).update(
        state=TargetState.CANCELLED, error=f"Cancelled because {inverse.label} takes it back.",
        error_class=OVERTAKEN, changed_at=Now(),
    )  # fmt: skip
    detail = {"overtook": action.pk, "targets": len(targets)}
    settling.event(inverse, Kind.ACTION_OVERTOOK, by, detail=detail)
