"""Undo of a quarantine here and of every other one of the same file: one form, one approval ID, an answer for each."""

from typing import Any
from uuid import uuid4

from django.db.models import QuerySet
from django.http import HttpRequest

from actioncenter.accounts.answers import Outcome, key_of_form
from actioncenter.actions import instances
from actioncenter.actions.models import Action
from actioncenter.actions.models.deciding import BULK_LIMIT, RowResult
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.actions.views import bulk
from actioncenter.audit.actor import Actor
from actioncenter.web.refusing import because

Sent = dict[str, Any]


def everywhere(action: Action, by: Actor, sent: Sent) -> Outcome:
    """Undo this one, and note which others are left for `go_on`: those that can be undone as of now.

    Raises what undoing this one alone would.
    """
    approval = uuid4()
    key = key_of_form(sent["idempotency_key"], by=by)
    others = _others(action, by)
    inverse = action.undo(by=by, comment=sent["comment"], idempotency_key=key, approval_id=approval)
    said = f"{action.label} is being undone by {inverse.label}."
    total, left = others.count(), list(others.values_list("pk", flat=True)[: BULK_LIMIT - 1])
    asked = _as_bulk(sent)
    rows = [bulk.result_row(RowResult(action.pk, True, "undone", said, inverse), asked)]
    rows += [bulk.result_row(RowResult(number, False, "busy", ""), asked) for number in left]
    return {"said": said, "rows": rows, "left": left, "approval": approval.hex, "rest": total - len(left)}


def _others(action: Action, by: Actor) -> "QuerySet[Action]":
    sha256 = instances.file_of(action, action.targets.all())
    return (
        instances.undoable_beside(action, sha256, fresh_rights(by).scope) if sha256 else Action.objects.none()
    )


def go_on(by: Actor, sent: Sent, outcome: Outcome) -> Outcome:
    return bulk.go_on(_as_bulk(sent), by, outcome)


def results_of(request: HttpRequest, outcome: Outcome) -> dict[str, Any] | None:
    """What a list of results shows; None where one action alone was decided."""
    if "rows" not in outcome:
        return None
    if refusals := {str(row["number"]): row["code"] for row in outcome["rows"] if row["code"] != "done"}:
        because(request, "rows", verb=Verb.UNDO, rows=refusals)
    return bulk.results(outcome["rows"], Verb.UNDO, approval=outcome["approval"], rest=outcome["rest"])


def _as_bulk(sent: Sent) -> Sent:
    """Nobody has looked at the others one by one, so there is nothing to say of what was seen."""
    return {**sent, "verb": Verb.UNDO, "selected": {}}
