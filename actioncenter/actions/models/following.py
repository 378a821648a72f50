"""What follows from a decision or an end: flags of devices, the status of evidence, withdrawals.

Evidence is written without ever waiting for its lock: intake holds evidence while it waits for
undecided actions, so a decider that waited for evidence would wait for ever. What is skipped
is brought in line by housekeeping (`bring_in_line`), which the same transaction asks for.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from actioncenter.actions.enums import (
    ALLOWED,
    ENDS,
    RUNNING,
    TARGET_SUCCESS,
    ActionType,
    Decision,
    Execution,
)
from actioncenter.audit.actor import Actor
from investigations.enums import IsolationState, RemediationStatus
from investigations.lifecycle import mark_dirty
from investigations.models import Device, Evidence, Investigation

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

FLAGS: Mapping[ActionType, Mapping[str, Any]] = {
    ActionType.ISOLATE_DEVICE: {"isolation": IsolationState.FULL},
    ActionType.RELEASE_DEVICE: {"isolation": IsolationState.NONE},
    ActionType.RESTRICT_EXECUTION: {"execution_restricted": True},
    ActionType.RELEASE_EXECUTION: {"execution_restricted": False},
    ActionType.CONTAIN_DEVICE: {"contained": True},
    ActionType.RELEASE_CONTAINMENT: {"contained": False},
    ActionType.OFFBOARD_DEVICE: {"offboarded": True},
}
SELECTIVE = {"isolation": IsolationState.SELECTIVE}
AFTER_DECISION: Mapping[Decision, RemediationStatus] = {
    Decision.REJECTED: RemediationStatus.DECLINED,
    Decision.EXPIRED: RemediationStatus.DECLINED,
    Decision.WITHDRAWN: RemediationStatus.UNREMEDIATED,
}
AFTER_EXECUTION: Mapping[Execution, RemediationStatus] = {
    Execution.QUEUED: RemediationStatus.RUNNING,
    Execution.IN_PROGRESS: RemediationStatus.RUNNING,
    Execution.OUTCOME_UNKNOWN: RemediationStatus.RUNNING,
    Execution.SUCCEEDED: RemediationStatus.REMEDIATED,
    Execution.PARTLY_SUCCEEDED: RemediationStatus.PARTIALLY_REMEDIATED,
    Execution.FAILED: RemediationStatus.UNREMEDIATED,
    Execution.TIMED_OUT: RemediationStatus.UNREMEDIATED,
    Execution.CANCELLED: RemediationStatus.UNREMEDIATED,
}
DONE = frozenset({Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED})
OPEN = (RemediationStatus.PENDING_APPROVAL, RemediationStatus.RUNNING)


def follow_decisions(rows: "Sequence[Action]", status: RemediationStatus) -> None:
    """Bring evidence that waits for nothing else, and the investigations, in line."""
    waiting = Evidence.objects.filter(
        links__action__in=[row.pk for row in rows], remediation=RemediationStatus.PENDING_APPROVAL
    ).exclude(actions__decision=Decision.PENDING)
    _free(waiting).update(remediation=status)
    mark_dirty(row.investigation_id for row in rows)


def follow_execution(row: "Action", *, by: Actor) -> None:
    """Devices and evidence after the row's state; the caller holds its lock. Safe to repeat."""
    if row.execution in ENDS:
        _flag_devices(row)
        _withdraw_for_offboarded(row, by=by)
        _offer_undo_again(row)
    status = status_after(row)
    linked = Evidence.objects.filter(links__action=row.pk).exclude(remediation=status)
    _free(linked).update(remediation=status)


def status_after(action: "Action") -> RemediationStatus:
    """What one action makes of its evidence."""
    if action.decision not in ALLOWED:
        return AFTER_DECISION.get(Decision(action.decision), RemediationStatus.PENDING_APPROVAL)
    if action.undo_of is not None:
        # What is no longer remediated is active again (domain §5.4).
        if action.execution in DONE:
            return RemediationStatus.ACTIVE
        return AFTER_EXECUTION[Execution(action.undo_of.execution)]
    return AFTER_EXECUTION[Execution(action.execution)]


def bring_in_line(investigation: Investigation) -> None:
    """Evidence that still says that something is to come, although it no longer is."""
    decided = Evidence.objects.filter(investigation=investigation, remediation__in=OPEN).exclude(
        actions__decision=Decision.PENDING
    )
    running = Q(actions__execution__in=sorted(RUNNING))
    decided.filter(running, remediation=RemediationStatus.PENDING_APPROVAL).update(
        remediation=RemediationStatus.RUNNING
    )
    for item in decided.exclude(running):
        last = item.actions.order_by("-history_at", "-pk").first()
        if last is not None:
            Evidence.objects.filter(pk=item.pk).update(remediation=status_after(last))


def _free(evidence: "QuerySet[Evidence]") -> "QuerySet[Evidence]":
    """Those of them that nobody else holds, locked until the transaction ends."""
    rows = Evidence.objects.filter(pk__in=list(evidence.values_list("pk", flat=True)))
    if not connection.features.has_select_for_update:
        return rows
    held = rows.order_by("pk").select_for_update(no_key=True, skip_locked=True)
    return Evidence.objects.filter(pk__in=list(held.values_list("pk", flat=True)))


def _flag_devices(action: "Action") -> None:
    # By value: a type that there isn't has no flags.
    flags = next((found for kind, found in FLAGS.items() if kind == action.type), None)
    if action.parameters.get("isolation") == "selective":
        flags = SELECTIVE
    if flags is not None:
        devices = Device.objects.filter(pk__in=_devices_reached(action))
        if action.type == ActionType.RELEASE_CONTAINMENT:
            # As long as one peer keeps it off, it is contained.
            contain = ActionType.CONTAIN_DEVICE
            kept_off = {"targets__in_force": True, "targets__device": OuterRef("pk")}
            left = type(action).objects.filter(type=contain, **kept_off)
            devices = devices.filter(~Exists(left))
        devices.update(**flags)


def _devices_reached(action: "Action") -> list[int]:
    done = action.targets.filter(state__in=sorted(TARGET_SUCCESS), device__isnull=False)
    devices = Device.objects.filter(pk__in=list(done.values_list("device_id", flat=True))).order_by("pk")
    if connection.features.has_select_for_update:
        devices = devices.select_for_update(no_key=True)
    return list(devices.values_list("pk", flat=True))


def _withdraw_for_offboarded(action: "Action", *, by: Actor) -> None:
    if action.type == ActionType.OFFBOARD_DEVICE:
        devices = _devices_reached(action)
        type(action).objects.all().withdraw("withdrawn_offboarded", by=by, device_id__in=devices)


def _offer_undo_again(action: "Action") -> None:
    """An undo that was cancelled can't be retried, so a new one must be possible."""
    if action.undo_of_id and action.execution == Execution.CANCELLED:
        type(action).objects.filter(pk=action.undo_of_id, undone_by=action).update(undone_by=None)
