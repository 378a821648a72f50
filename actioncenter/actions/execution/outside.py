"""The border to the connectors: our rows to their requests, their answers to our rows."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from actioncenter import vault
from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, TargetKind, TargetState
from actioncenter.actions.execution import blocking
from actioncenter.actions.models import Action, ActionTarget, Attempt, TargetResult
from actioncenter.connectors import registry
from actioncenter.connectors.base import Connector, Delivery, Outcome, Request, Result, Target
from actioncenter.settings.models import ConnectorInstance
from investigations.intake.text import clean_text

STATE_OF: Mapping[Outcome, TargetState] = {
    Outcome.SUCCEEDED: TargetState.SUCCEEDED,
    Outcome.ALREADY: TargetState.ALREADY,
    Outcome.GONE: TargetState.GONE,
    Outcome.FAILED: TargetState.FAILED,
    Outcome.TIMED_OUT: TargetState.TIMED_OUT,
    Outcome.CANCELLED: TargetState.CANCELLED,
    Outcome.UNKNOWN: TargetState.UNKNOWN,
}
GOOD = frozenset({Outcome.SUCCEEDED, Outcome.ALREADY, Outcome.GONE})

CLAIMED = frozenset({TargetState.SUCCEEDED, TargetState.ALREADY, TargetState.GONE})
"""What a connector says is in force; believed when it was read back."""


def connect(instance: ConnectorInstance) -> Connector:
    """Build the connector of an instance; raises registry.UnknownKind or base.Permanent."""
    kind = registry.kind(instance.kind)
    options: dict[str, Any] = dict(instance.settings)
    if instance.kind == "simulator":
        options.setdefault("path", str(Path(settings.DATA_DIR) / "simulator.sqlite3"))
    if instance.kind == "imap":
        # Whatever the settings say: who changes them is no admin of this host.
        options["directories"] = str(Path(settings.DATA_DIR) / "directories")
    secret = vault.unseal(bytes(instance.secret)) if instance.secret else {}
    if instance.kind == "ssh":
        secret = {**secret, "authority": _authority()}
    if instance.kind == "feeds":
        secret = {**secret, "book": blocking.Book()}
    return kind.build(options, secret)


def _authority() -> str:
    """The seed that signs for hosts. Enrolling makes it; a runner never does, or hosts would trust another one."""
    path = Path(settings.KEYS_DIR) / "ssh.key"
    try:
        return path.read_bytes().hex()
    except OSError:
        return ""


def request_for(attempt: Attempt, targets: Sequence[ActionTarget], *, deadline: float) -> Request:
    action = attempt.action
    return _request(str(attempt.public_id), action, targets, deadline=deadline)


def preview_request(action: Action, targets: Sequence[ActionTarget], *, deadline: float) -> Request:
    """A read, so its id needs to be nothing but unique."""
    return _request(str(uuid.uuid4()), action, targets, deadline=deadline)


def look_request(told: Mapping[str, Any], *, deadline: float) -> Request:
    """For what nobody has proposed yet."""
    kind = ActionType(told["type"])
    targets = [
        Target(each["key"], TargetKind(each["kind"]), each["remote"], each["facts"])
        for each in told["targets"]
    ]
    return Request(str(uuid.uuid4()), kind, targets, clean_parameters(kind, {}), deadline)


def _request(ref: str, action: Action, targets: Sequence[ActionTarget], *, deadline: float) -> Request:
    return Request(
        id=ref,
        type=ActionType(action.type),
        targets=[_target(target) for target in targets],
        parameters=action.parameters,
        deadline=deadline,
        plan_digest=_plan_digest(action, targets),
    )


def _plan_digest(action: Action, targets: Sequence[ActionTarget]) -> str:
    """What the plan saw, where the request is about just that: a part of it has another digest."""
    plan = action.approved_plan
    if plan is None or not targets or plan.body.get("instance_id") != targets[0].instance_id:
        return ""
    whole = plan.body.get("targets") or plan.body.get("of") or []
    return plan.digest if len(whole) == len(targets) else ""


def _target(target: ActionTarget) -> Target:
    return Target(
        key=str(target.pk),
        kind=TargetKind(target.kind),
        remote=target.remote,
        facts=target.facts,
        before=target.before,
    )


def results(answers: Sequence[Result]) -> list[TargetResult]:
    return [
        TargetResult(
            target_id=int(answer.key),
            state=STATE_OF[answer.outcome],
            before=answer.before,
            after=cleaned(answer.after),
            error=cleaned(answer.error),
            error_class="" if answer.outcome in GOOD else answer.outcome.value,
        )
        for answer in answers
        if answer.key.isdecimal()
    ]


def cleaned(value: Any) -> Any:
    """Text of the far side, at any depth, as a database takes it; devices name things as they like."""
    if isinstance(value, str):
        return clean_text(value).text
    if isinstance(value, Mapping):
        return {clean_text(str(name)).text: cleaned(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value


def delivery(connector: Connector, attempt: Attempt, target: ActionTarget) -> Delivery:
    """What the far side does with a repeated call of this type."""
    found = connector.capabilities(TargetKind(target.kind), target.remote)
    capability = found.get(ActionType(attempt.action.type))
    return capability.delivery if capability else Delivery.BLIND


def patience(action: Action) -> int:
    """Seconds that an unreachable target is waited for."""
    return CATALOGUE[ActionType(action.type)].patience
