"""Asking a person again what the runner refused to carry out as it was decided."""

from typing import Any, Final

from django.db import connection

from actioncenter.actions import planning
from actioncenter.actions.enums import ActionType, Area, Decision, Source
from actioncenter.actions.models import Action, Proposal
from actioncenter.actions.models.undoing import draft_of
from actioncenter.audit.actor import Actor
from investigations.models import Evidence

PLANNED: Final = frozenset({Source.AUTOMATED_DEVICE, Source.AUTOMATED_EMAIL, Source.ANTIVIRUS})
"""Sources whose actions planning makes from evidence."""


def ask_again(action: Action, code: str, *, by: Actor) -> None:
    """The next round of an action that was refused with this code; an undo is asked for by a person anew."""
    if action.undo_of_id:
        return
    if action.source in PLANNED and action.links.exists():
        _plan_again(action)
    else:
        _propose_again(action, code, by=by)


def _plan_again(action: Action) -> None:
    """What its evidence calls for under the verdict and the settings that hold now; perhaps nothing."""
    evidence = Evidence.objects.filter(links__action=action).order_by("pk")
    if connection.features.has_select_for_update:
        # Planning passes over what somebody else holds.
        evidence = evidence.select_for_update(of=("self",), no_key=True)
    planning.plan(list(evidence.values_list("pk", flat=True)))


def _propose_again(action: Action, code: str, *, by: Actor) -> None:
    """The same proposal by the same people, to be decided again."""
    model = type(action)
    params: dict[str, Any] = dict(action.policy.get("params") or {})
    again, created = model.objects.propose(
        Proposal(
            type=ActionType(action.type),
            area=Area(action.area),
            source=Source(action.source),
            decision=Decision.PENDING,
            targets=[draft_of(target) for target in action.targets.order_by("pk")],
            parameters=action.parameters,
            investigation_id=action.investigation_id,
            evidence=[(link.evidence_id, link.verdict, link.outcome_code) for link in action.links.all()],
            verdict=action.verdict,
            critical=action.critical,
            group_id=action.group_id,
            group_name=action.group_name,
            policy={**action.policy, "params": {**params, "also": [*params.get("also", []), code]}},
            reason_code=action.reason_code,
            comment=action.requested_comment,
            round=action.round + 1,
            external_id=action.external_id,
            idempotency_key=f"again:{action.pk}",
            simulated=action.simulated,
            proposers=action.proposers,
            rule_before=action.approval_rule,
        ),
        by=by,
    )
    if created:
        model.objects.filter(pk=again.pk).update(
            proposal_key=action.proposal_key,
            requested_by=action.requested_by_id,
            requested_by_name=action.requested_by_name,
        )
