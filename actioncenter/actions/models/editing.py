"""Changing what a pending action would do: a new revision, votes void, the editor a proposer."""

from typing import TYPE_CHECKING, Any

from actioncenter.accounts import fence
from actioncenter.actions.catalogue import clean_parameters
from actioncenter.actions.enums import ActionType
from actioncenter.actions.models.conflicts import Invalid
from actioncenter.actions.models.deciding import too_late
from actioncenter.actions.models.judging import locked_rows
from actioncenter.actions.models.proposal import fingerprint, intent_key
from actioncenter.actions.models.proposing import ask_for_plan
from actioncenter.actions.models.voting import proposer_ref
from actioncenter.actions.permissions import NotVisible, Verb, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


def edit(action: "Action", parameters: dict[str, Any], *, by: Actor, revision: int) -> "Action":
    """Raises Conflict, Invalid, Refused, NotVisible, or catalogue.ParameterError."""
    cleaned = clean_parameters(ActionType(action.type), parameters)
    with fence.decider():
        rows = locked_rows(type(action), [action.pk], by=by)
        if not rows:
            raise NotVisible
        row = rows[0]
        rights = fresh_rights(by)
        rights.require(Verb.EDIT, row)
        rights.require_values(ActionType(row.type), cleaned)
        late = too_late(row, revision)
        if late:
            raise late
        before = row.parameters
        if cleaned == before:
            raise Invalid("parameters", "Nothing was changed.")
        _write(row, cleaned, by=by)
        ask_for_plan(row, by=by)
        after = {
            "parameters": cleaned,
            "revision": row.revision,
            "fingerprint": row.fingerprint,
            "proposers": row.proposers,
        }
        log.record_many([row.draft(Kind.ACTION_EDITED, by=by, before={"parameters": before}, after=after)])
    action.refresh_from_db()
    return action


def _write(row: "Action", parameters: dict[str, Any], *, by: Actor) -> None:
    kind, targets = ActionType(row.type), list(row.targets.all())
    intent = intent_key(kind, [target.canonical for target in targets], parameters)
    row.parameters, row.revision, row.intent_key = parameters, row.revision + 1, intent
    row.fingerprint = fingerprint(intent, [t.substance(kind) for t in targets], row.policy, row.revision)
    row.proposers = sorted({*row.proposers, proposer_ref(by)})
    row.save(update_fields=["parameters", "revision", "intent_key", "fingerprint", "proposers"])
