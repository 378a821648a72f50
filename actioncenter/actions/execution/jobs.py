"""Reads of the outside, claimed like actions: plans, capabilities, checks."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from actioncenter import logs
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, JobKind, JobState, TargetKind
from actioncenter.actions.execution import drifting, faring, outside, searching
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    ConnectorJob,
    LeaseLost,
    Plan,
    attempting,
    pacing,
    recounting,
    settling,
)
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.connectors import base, registry
from actioncenter.settings.models import ConnectorInstance
from actioncenter.web.clock import database_now
from investigations.models import Binding, Mailbox

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=settings.LEASE_SECONDS)
READ_AT_ONCE = 200
SHOWN = 100
"""Sentences of a look that are kept."""
AGAIN = timedelta(seconds=30)
"""Between two tries of a read that some decision waits for."""


def claim_next(shut: Collection[int] | None = None) -> ConnectorJob | None:
    """Take the oldest open job; None when there is none.

    `shut` are the connector instances that may not be called now; they are asked for unless given.
    """
    free = Q(state__lte=JobState.RUNNING) & (Q(lease_until__isnull=True) | Q(lease_until__lte=Now()))
    free &= attempting.to_be_called(pacing.closed_ids() if shut is None else shut)
    with transaction.atomic():
        rows = ConnectorJob.objects.filter(free).order_by("pk")
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        job = rows.first()
        if job is None or not pacing.book(job.instance_id, lease=LEASE):
            return None
        claimed = ConnectorJob.objects.filter(free, pk=job.pk, token=job.token).update(
            state=JobState.RUNNING, token=F("token") + 1, lease_until=Now() + LEASE
        )
        if not claimed:
            return None
        job.refresh_from_db()
    return job


def work(job: ConnectorJob, *, by: Actor) -> None:
    """Do it and write down what came of it."""
    with logs.bound(job=job.pk, action=job.action_id):
        _guarded(job, by=by)


def _guarded(job: ConnectorJob, *, by: Actor) -> None:
    try:
        connector = outside.connect(job.instance)
        result = HANDLERS[JobKind(job.kind)](job, connector, by)
    except LeaseLost:
        logger.warning("%s was taken over by another runner", job)
    except (base.ConnectorError, registry.UnknownKind) as error:
        faring.note(job.instance_id, error, by=by)
        if isinstance(error, base.Transient) or faring.is_own_fault(error):
            _later(job, outside.cleaned(str(error)), getattr(error, "retry_after", 0.0))
        else:
            _finish(job, JobState.FAILED, error=outside.cleaned(str(error)))
    except Exception as fault:
        logger.exception("%s broke", job)
        _finish(job, JobState.FAILED, error=f"Internal error: {type(fault).__name__}")
    else:
        if result.get("read", "skipped" not in result):
            unwell = None if result.get("ok", True) else base.Transient(result["detail"])
            faring.note(job.instance_id, unwell, by=by)
        _finish(job, JobState.DONE, result=result)


def leave(job: ConnectorJob, *, margin: timedelta, by: Actor) -> bool:
    """Wait no longer for a read whose lease is over or nearly so; returns whether that was the case."""
    held = ConnectorJob.objects.filter(pk=job.pk, token=job.token, state=JobState.RUNNING)
    if not held.filter(lease_until__lte=Now() + margin).update(token=F("token") + 1):
        return False
    left = ConnectorJob.objects.get(pk=job.pk)
    faring.hung(job.instance_id, by=by)
    _later(left, faring.HUNG, 0.0)
    return True


def _later(job: ConnectorJob, text: str, retry_after: float) -> None:
    """A plan is asked for until there is one, because some decisions wait for it; other reads fail."""
    if job.kind != JobKind.PREVIEW:
        _finish(job, JobState.FAILED, error=text)
        return
    wait = timedelta(seconds=max(retry_after, AGAIN.total_seconds()))
    ConnectorJob.objects.filter(pk=job.pk, token=job.token).update(
        state=JobState.QUEUED, error=text[:1000], lease_until=Now() + wait
    )


def _hold(job: ConnectorJob) -> None:
    """What a sleeper saw long ago must not replace what another has read since. Raises LeaseLost."""
    if not ConnectorJob.objects.filter(pk=job.pk, token=job.token).update(lease_until=Now() + LEASE):
        raise LeaseLost(f"{job} is no longer ours")


def _finish(
    job: ConnectorJob, state: JobState, *, result: dict[str, Any] | None = None, error: str = ""
) -> None:
    ours = ConnectorJob.objects.filter(pk=job.pk, token=job.token).update(
        state=state, result=result or {}, error=error[:1000], finished_at=Now(), lease_until=None
    )
    if ours and state is JobState.FAILED and job.kind == JobKind.CHECK:
        _feels(job, {"ok": False, "detail": error})


def _feels(job: ConnectorJob, health: dict[str, Any]) -> None:
    ConnectorInstance.objects.filter(pk=job.instance_id).update(health=health, health_at=Now())


def _preview(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    action = job.action
    if action is None or action.decision != Decision.PENDING:
        return {"skipped": "no longer pending"}
    targets = list(action.targets.filter(instance=job.instance).order_by("pk"))
    request = outside.preview_request(action, targets, deadline=time.time() + LEASE.total_seconds())
    plan = connector.preview(request)
    with transaction.atomic():
        now = settling.locked(action)
        if now.decision != Decision.PENDING or now.revision != action.revision:
            return {"skipped": "decided or edited meanwhile"}
        _hold(job)
        body = _body(plan, action, targets)
        row = Plan.objects.create(
            action=action,
            revision=action.revision,
            digest=plan.digest[:64],
            body=body,
            new_copies=body.get("since", {}).get("new", 0),
            expires_at=database_now() + timedelta(days=action.approval_rule.get("expiry_days", 7)),
        )
        if plan.targets is not None:
            recounting.count_into(action, row)
        after = {"digest": row.digest, "revision": row.revision}
        log.record_many([action.draft(Kind.PLAN_MADE, by=by, after=after)])
    return {"plan": row.pk}


def _body(plan: base.Plan, action: Action, targets: list[ActionTarget]) -> dict[str, Any]:
    """What people see, what the targets are carried out through, and of which targets it speaks."""
    kind = ActionType(action.type)
    told = {
        "observed": plan.observed,
        "changes": list(plan.changes),
        "affected": list(plan.affected),
        "warnings": list(plan.warnings),
        "targets": [_planned(target, targets[0]) for target in plan.targets or []],
    }
    of = [{"canonical": each.canonical, "substance": each.substance(kind)} for each in targets]
    made = {**outside.cleaned(told), "of": of, "instance_id": targets[0].instance_id}
    since = recounting.since_first(action, plan.digest[:64], made["targets"])
    if plan.targets is not None:
        made["mail"] = _hit(made["targets"])
    return {**made, "since": since} if since else made


def _hit(messages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Whom it concerns: counted once, because pages show it often and there may be 200,000."""
    boxes = {str(each["remote"]).lower() for each in messages}
    senders = {str(each["facts"].get("sender") or "").lower() for each in messages} - {""}
    domains = {box.rpartition("@")[2] for box in boxes}
    return {
        "mailboxes": len(boxes),
        "vips": sum(address.lower() in boxes for address in _critical_boxes()),
        "internal_senders": sum(sender.rpartition("@")[2] in domains for sender in senders),
    }


def _critical_boxes() -> Iterator[str]:
    return Mailbox.objects.filter(critical=True).values_list("address", flat=True).iterator()


def _planned(target: base.Target, cluster: ActionTarget) -> dict[str, Any]:
    entity = str(target.facts.get("stable_id") or target.facts.get("message_id") or target.key)
    return {
        "kind": int(target.kind),
        "entity": f"{target.remote}|{entity}",
        "name": str(target.facts.get("subject") or cluster.name)[:512],
        "on": target.remote[:320],
        "remote": target.remote,
        "instance_id": cluster.instance_id,
        "instance_name": cluster.instance_name,
        "facts": dict(target.facts),
    }


def _capabilities(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    """Read what each binding that was never read can do."""
    unread = job.instance.bindings.filter(read_at__isnull=True).order_by("pk")[:READ_AT_ONCE]
    count = 0
    for binding in unread:
        said = connector.capabilities(_kind_of(binding), binding.remote)
        binding.capabilities = {
            CATALOGUE[kind].code: {
                "support": capability.support.value,
                "reason": capability.reason,
                "undoable": capability.undoable,
                "cancellable": capability.cancellable,
                "delivery": capability.delivery.value,
            }
            for kind, capability in said.items()
        }
        binding.read_at = database_now()
        with transaction.atomic():
            _hold(job)
            binding.save(update_fields=["capabilities", "read_at"])
        count += 1
    return {"read": count}


def _kind_of(binding: Binding) -> TargetKind:
    if binding.tenant:
        return TargetKind.URL
    return TargetKind.MAILBOX if binding.mailbox_id else TargetKind.DEVICE


def _check(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    health = connector.check()
    result: dict[str, Any] = outside.cleaned(
        {"ok": health.ok, "detail": health.detail, "facts": health.facts}
    )
    with transaction.atomic():
        _hold(job)
        _feels(job, result)
    return result


def _verify(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    if job.action is None:
        return {"skipped": "no action"}
    if "targets" in job.request:
        return drifting.look(job, job.action, connector, by)
    targets = list(job.action.targets.filter(instance=job.instance).order_by("pk"))
    request = outside.preview_request(job.action, targets, deadline=time.time() + LEASE.total_seconds())
    observed = connector.verify(request)
    return {"in_force": dict(observed.in_force), "detail": dict(observed.detail)}


def _search(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    page = connector.search(job.request.get("criteria", {}), job.request.get("cursor"))
    with transaction.atomic():
        _hold(job)
        return searching.keep(job, page)


def _message(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    return searching.read(job, connector)


def _look(job: ConnectorJob, connector: base.Connector, by: Actor) -> dict[str, Any]:
    request = outside.look_request(job.request, deadline=time.time() + LEASE.total_seconds())
    plan = connector.preview(request)
    told = {"changes": list(plan.changes)[:SHOWN], "warnings": list(plan.warnings)[:SHOWN]}
    result: dict[str, Any] = outside.cleaned(told)
    return result


HANDLERS: Mapping[JobKind, Callable[[ConnectorJob, base.Connector, Actor], dict[str, Any]]] = {
    JobKind.PREVIEW: _preview,
    JobKind.CAPABILITIES: _capabilities,
    JobKind.CHECK: _check,
    JobKind.VERIFY: _verify,
    JobKind.SEARCH: _search,
    JobKind.MESSAGE: _message,
    JobKind.LOOK: _look,
}
