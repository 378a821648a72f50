"""A table of actions of every type and end, for what must hold of any list."""

import random
from datetime import timedelta
from typing import Any

from django.utils import timezone

from actioncenter.actions.catalogue import CATALOGUE, ParameterError, clean_parameters
from actioncenter.actions.enums import ENDS, ActionType, Decision, Execution, Source
from actioncenter.actions.models import Action, Proposal, TargetDraft
from actioncenter.audit.actor import Actor
from investigations.enums import Verdict
from tests import factories

ENDED = [*((Decision.APPROVED, state) for state in sorted(ENDS)), (Decision.NOT_REQUIRED, Execution.SUCCEEDED),
         (Decision.REJECTED, Execution.NONE), (Decision.EXPIRED, Execution.NONE), (Decision.WITHDRAWN, Execution.NONE)]  # fmt: skip
LIVE = [(Decision.APPROVED, Execution.QUEUED), (Decision.APPROVED, Execution.IN_PROGRESS),
        (Decision.NOT_REQUIRED, Execution.OUTCOME_UNKNOWN)]  # fmt: skip


def proposed(kind: ActionType = ActionType.QUARANTINE_FILE, **more: Any) -> Action:
    """One pending action of a type, on a target of its kind that only has a name."""
    entry = CATALOGUE[kind]
    name = more.pop("name", "svchost_update.exe")
    on = more.pop("on", "fin-lt-0001")
    fields: dict[str, Any] = {
        "source": Source.MANUAL_DEVICE,
        "decision": Decision.PENDING,
        "verdict": Verdict.MALICIOUS,
        "reason_code": "semi_all_malicious",
    } | more
    target = TargetDraft(kind=entry.kind, name=name, entity=f"{name}|{on}", on_name=on)
    by = fields.pop("by", Actor.automation())
    fields.setdefault("comment", "Asked for by phone" if by.user_id else "")
    proposal = Proposal(type=kind, area=entry.area, targets=[target], parameters=_parameters(kind), **fields)
    return Action.objects.propose(proposal, by=by)[0]


def put(action: Action, decision: Decision, execution: Execution, *, ago: timedelta = timedelta()) -> Action:
    """Set both axes as if it had come so far by itself, `ago` before now."""
    at = timezone.now() - ago
    over = execution in ENDS or decision in (Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN)
    by = (
        ""
        if decision in (Decision.EXPIRED, Decision.PENDING)
        else "Automation"
        if decision == Decision.NOT_REQUIRED
        else "Mira Chen"
    )
    fields: dict[str, Any] = {"decision": decision, "execution": execution, "decided_by_name": by}
    if decision != Decision.PENDING:
        fields |= {"decided_at": at, "approved_fingerprint": action.fingerprint}
    if decision in (Decision.APPROVED, Decision.NOT_REQUIRED):
        fields["queued_at"] = at
    if over:
        fields |= {"history_at": at, "finished_at": at}
    Action.objects.filter(pk=action.pk).update(**fields)
    action.refresh_from_db()
    return action


def table(number: int, rng: random.Random) -> list[Action]:
    """Mostly history, a tenth of it at the same moment; some running, some waiting, some past expiry."""
    groups = [None, factories.group(), factories.group("Engineering servers")]
    made = []
    for at in range(number):
        group = rng.choice(groups)
        action = proposed(
            rng.choice(
                [
                    ActionType.QUARANTINE_FILE,
                    ActionType.ISOLATE_DEVICE,
                    ActionType.SOFT_DELETE_EMAIL,
                    ActionType.BLOCK_URL,
                ]
            ),
            name=f"{rng.choice(['invoice', 'winhelper', 'rtcore64'])}-{at}.exe",
            on=f"host-{rng.randrange(9)}",
            source=rng.choice(list(Source)),
            verdict=rng.choice([Verdict.MALICIOUS, Verdict.SUSPICIOUS]),
            group_id=group.pk if group else None,
            group_name=group.name if group else "",
        )
        made.append(_scattered(action, rng))
    return made


def _scattered(action: Action, rng: random.Random) -> Action:
    chance = rng.random()
    if chance < 0.2:
        if chance < 0.05:
            Action.objects.filter(pk=action.pk).update(expires_at=timezone.now() - timedelta(hours=1))
        return action
    decision, execution = rng.choice(LIVE if chance < 0.3 else ENDED)
    ago = timedelta(days=1) if chance > 0.9 else timedelta(hours=rng.randrange(24 * 200))
    return put(action, decision, execution, ago=ago)


def _parameters(kind: ActionType) -> dict[str, Any]:
    try:
        return clean_parameters(kind, {})
    except ParameterError as missing:
        return {missing.name: 1}
