"""What rows of an action say in somebody's own words, where the log has let go of these words."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from django.db import models

from actioncenter.actions.enums import Decision
from actioncenter.actions.models.action import Action
from actioncenter.actions.models.oversight import Review
from actioncenter.actions.models.plan import Vote
from actioncenter.audit.enums import Kind
from actioncenter.audit.redactions import MARK

WRITTEN: Final[tuple[tuple[type[models.Model], str, str], ...]] = (
    (Vote, "action", "comment"),
    (Review, "action", "reason"),
    (Review, "action", "comment"),
)
"""Model, what names the action in it, and the column. What decisions rest on (parameters, targets) isn't here."""


def forget(action: int, texts: Collection[str], *, actor: str, kind: str) -> int:
    """Put MARK in place of these texts; how many rows had one. In the transaction of the redaction.

    Of votes those of `actor`, whose event it was: their table lets go of no other. Of the action what its event of
    this `kind` says: somebody else may have used the same words, and that event still has them.
    """
    done = 0
    for rows, column in (*_of_the_action(action, kind), *_beside_it(action, actor)):
        done += rows.filter(**{f"{column}__in": [*texts]}).update(**{column: MARK})
    return done


def _of_the_action(action: int, kind: str) -> Iterator[tuple["models.QuerySet[Any]", str]]:
    row = Action.objects.filter(pk=action)
    if kind == Kind.ACTION_PROPOSED:
        yield row, "requested_comment"
        # Where nobody had to decide, the proposal was the decision.
        yield row.filter(decision=Decision.NOT_REQUIRED), "decision_comment"
    elif kind in {Kind.ACTION_APPROVED, Kind.ACTION_REJECTED}:
        yield row, "decision_comment"


def _beside_it(action: int, actor: str) -> Iterator[tuple["models.QuerySet[Any]", str]]:
    for model, place, column in WRITTEN:
        rows = model._default_manager.filter(**{place: action})
        yield rows.filter(user_ref=actor) if model is Vote else rows, column
