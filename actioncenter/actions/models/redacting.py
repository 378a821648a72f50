"""What rows of an action say in somebody's own words, where the log has let go of these words."""

from collections.abc import Collection
from typing import Final

from django.db import models

from actioncenter.actions.models.action import Action
from actioncenter.actions.models.oversight import Review
from actioncenter.actions.models.plan import Vote
from actioncenter.audit.redactions import MARK

WRITTEN: Final[tuple[tuple[type[models.Model], str, str], ...]] = (
    (Action, "pk", "decision_comment"),
    (Action, "pk", "requested_comment"),
    (Vote, "action", "comment"),
    (Review, "action", "reason"),
    (Review, "action", "comment"),
)
"""Model, what names the action in it, and the column. What decisions rest on (parameters, targets) isn't here."""


def forget(action: int, texts: Collection[str], *, actor: str) -> int:
    """Put MARK in place of these texts; how many rows had one. In the transaction of the redaction.

    Of votes those of `actor`, whose event it was: their table lets go of no other.
    """
    done = 0
    for model, place, column in WRITTEN:
        rows = model._default_manager.filter(**{place: action, f"{column}__in": [*texts]})
        rows = rows.filter(user_ref=actor) if model is Vote else rows
        done += rows.update(**{column: MARK})
    return done
