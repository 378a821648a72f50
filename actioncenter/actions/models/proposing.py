"""How an action comes to be: one insert guarded by a unique key, with its targets, links and event."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import Decision, Execution, JobKind
from actioncenter.actions.models import containing, entitling
from actioncenter.actions.models.jobs import ConnectorJob
from actioncenter.actions.models.proposal import Proposal, fingerprint
from actioncenter.actions.models.target import ActionTarget
from actioncenter.actions.models.voting import proposer_ref
from actioncenter.audit import log, numbers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings import anchoring
from actioncenter.settings.models import Installation
from actioncenter.web.clock import database_now
from investigations.lifecycle import mark_dirty

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

NAME_LIMIT = 512


def propose(model: "type[Action]", proposal: Proposal, *, by: Actor) -> "tuple[Action, bool]":
    """Insert it, or return what already stands for the same proposal.

    `decision` is what is wished for: what needs other people waits for them all the same, and what a
    person proposes runs at once only with the right to it. Raises catalogue.ParameterError for
    parameters the type doesn't take; for a person also Invalid, Refused, NotVisible.
    """
    with fence.decider():
        proposal, rule = entitling.entitled(containing.through_peers(proposal), by=by)
        existing = _existing(model, proposal)
        if existing:
            return existing, False
        try:
            with transaction.atomic():
                action = _insert(model, proposal, rule, by=by)
        except IntegrityError:
            existing = _existing(model, proposal)
            if existing is None:
                raise
            return existing, False
        _add_links(model, action, proposal)
        _record(action, proposal, by=by)
        if proposal.decision == Decision.PENDING:
            ask_for_plan(action, by=by)
        mark_dirty([proposal.investigation_id])
        transaction.on_commit(partial(dispatch.wake, [action.pk]), robust=True)
    return action, True


def _existing(model: "type[Action]", proposal: Proposal) -> "Action | None":
    if proposal.idempotency_key:
        found = model.objects.filter(idempotency_key=proposal.idempotency_key).first()
        if found:
            return found
    if proposal.investigation_id is None or proposal.undo_of_id:
        return None
    return model.objects.filter(
        investigation_id=proposal.investigation_id,
        proposal_key=proposal.intent_key,
        round=proposal.round,
        undo_of__isnull=True,
    ).first()


def _insert(model: "type[Action]", proposal: Proposal, rule: Mapping[str, Any], *, by: Actor) -> "Action":
    parameters = clean_parameters(proposal.type, proposal.parameters)
    devices = entitling.devices_of(proposal)
    first = proposal.targets[0]
    action = model(
        type=proposal.type,
        area=proposal.area,
        source=proposal.source,
        risk=entitling.risk_of_proposal(proposal),
        critical=proposal.critical,
        parameters=parameters,
        approval_rule=dict(rule),
        quorum=rule["quorum"],
        proposers=list(proposal.proposers) or [proposer_ref(by)],
        requested_by_id=by.user_id,
        requested_by_name=by.name,
        requested_comment=proposal.comment,
        investigation_id=proposal.investigation_id,
        verdict=proposal.verdict,
        group_id=proposal.group_id,
        group_name=proposal.group_name,
        level=proposal.policy.get("level"),
        device_id=first.device_id if devices <= 1 else None,
        mailbox_id=first.mailbox_id if len(proposal.targets) == 1 else None,
        target_kind=first.kind,
        target_name=_shown_name(proposal)[:NAME_LIMIT],
        on_name=_shown_place(proposal)[:320],
        policy=dict(proposal.policy),
        reason_code=proposal.reason_code,
        target_count=len(proposal.targets),
        intent_key=proposal.intent_key,
        proposal_key=proposal.intent_key,
        round=proposal.round,
        fingerprint=fingerprint(
            proposal.intent_key, [t.substance(proposal.type) for t in proposal.targets], proposal.policy, 1
        ),
        undo_of_id=proposal.undo_of_id,
        approval_id=proposal.approval_id,
        external_id=proposal.external_id,
        idempotency_key=proposal.idempotency_key,
        simulated=proposal.simulated,
        **_decision_fields(proposal, rule, by=by),
    )
    _number(action)
    ActionTarget.objects.bulk_create(ActionTarget.of(action, draft) for draft in proposal.targets)
    return action


def _number(action: "Action") -> None:
    """Insert it under a number that this installation never gave, also in a database that went back."""
    home = Installation.current()
    table, file = action._meta.db_table, anchoring.file_of(home)
    given = anchoring.numbers_in(file)
    action.save(force_insert=True)
    if action.pk <= given.get(table, 0):
        numbers.jump(numbers.floors(given))
        type(action).objects.filter(pk=action.pk).delete()
        action.pk = None
        action.save(force_insert=True)
    if home.held_at is None:
        transaction.on_commit(partial(anchoring.note, file, {table: action.pk}, home.epoch), robust=True)


def _decision_fields(proposal: Proposal, rule: Mapping[str, Any], *, by: Actor) -> dict[str, Any]:
    now = database_now()
    if proposal.decision == Decision.PENDING:
        return {
            "decision": Decision.PENDING,
            "expires_at": now + timedelta(days=rule["expiry_days"]),
            "answer_by": now + timedelta(minutes=rule["answer_within_minutes"]),
        }
    return {
        "decision": Decision.NOT_REQUIRED,
        "decided_by_id": by.user_id,
        "decided_by_name": by.name,
        "decided_at": now,
        "decision_comment": proposal.comment,
        "execution": Execution.QUEUED,
        "queued_at": now,
    }


def _shown_name(proposal: Proposal) -> str:
    first = proposal.targets[0]
    more = len(proposal.targets) - 1
    return f"{first.name} and {more} more" if more else first.name


def _shown_place(proposal: Proposal) -> str:
    places = list(dict.fromkeys(target.on_name for target in proposal.targets if target.on_name))
    if len(places) > 1:
        word = "devices" if proposal.targets[0].device_id else "mailboxes"
        return f"{len(places)} {word}"
    return places[0] if places else ""


def _add_links(model: "type[Action]", action: "Action", proposal: Proposal) -> None:
    link: Any = model.evidence.through
    link.objects.bulk_create(
        link(action=action, evidence_id=evidence_id, verdict=verdict, outcome_code=code)
        for evidence_id, verdict, code in proposal.evidence
    )


def _record(action: "Action", proposal: Proposal, *, by: Actor) -> None:
    after = {
        "type": CATALOGUE[proposal.type].code,
        "targets": [target.canonical for target in proposal.targets[:50]],
        "target_count": len(proposal.targets),
        "parameters": action.parameters,
        "decision": proposal.decision.name,
        "reason": proposal.reason_code,
        "fingerprint": action.fingerprint,
        "undo_of": proposal.undo_of_id,
    }
    detail = {
        "comment": proposal.comment,
        "policy": dict(proposal.policy),
        "rule": action.approval_rule,
        "proposers": action.proposers,
    }
    log.record_many([action.draft(Kind.ACTION_PROPOSED, by=by, after=after, detail=detail)])


def ask_for_plan(action: "Action", *, by: Actor) -> None:
    instances = set(
        action.targets.filter(instance__isnull=False).values_list("instance_id", flat=True).distinct()
    )
    ConnectorJob.objects.bulk_create(
        ConnectorJob(
            kind=JobKind.PREVIEW,
            instance_id=instance_id,
            action=action,
            requested_by_name=by.name,
            area=action.area,
            group_id=action.group_id,
        )
        for instance_id in instances
    )
