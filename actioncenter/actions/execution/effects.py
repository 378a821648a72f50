"""What follows from an action that ended: flags of devices, status of evidence, files brought back."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from actioncenter import vault
from actioncenter.actions.enums import ENDS, TARGET_SUCCESS, ActionType, Execution
from actioncenter.actions.models import Action, Artefact
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base
from investigations.enums import IsolationState, RemediationStatus
from investigations.models import Device, Evidence

FLAGS: Mapping[ActionType, Callable[[Action], dict[str, Any]]] = {
    ActionType.ISOLATE_DEVICE: lambda action: {
        "isolation": IsolationState.SELECTIVE
        if action.parameters.get("isolation") == "selective"
        else IsolationState.FULL
    },
    ActionType.RELEASE_DEVICE: lambda action: {"isolation": IsolationState.NONE},
    ActionType.RESTRICT_EXECUTION: lambda action: {"execution_restricted": True},
    ActionType.RELEASE_EXECUTION: lambda action: {"execution_restricted": False},
    ActionType.CONTAIN_DEVICE: lambda action: {"contained": True},
    ActionType.RELEASE_CONTAINMENT: lambda action: {"contained": False},
    ActionType.OFFBOARD_DEVICE: lambda action: {"offboarded": True},
}
STATUS: Mapping[Execution, RemediationStatus] = {
    Execution.QUEUED: RemediationStatus.RUNNING,
    Execution.IN_PROGRESS: RemediationStatus.RUNNING,
    Execution.OUTCOME_UNKNOWN: RemediationStatus.RUNNING,
    Execution.SUCCEEDED: RemediationStatus.REMEDIATED,
    Execution.PARTLY_SUCCEEDED: RemediationStatus.PARTIALLY_REMEDIATED,
    Execution.FAILED: RemediationStatus.UNREMEDIATED,
    Execution.TIMED_OUT: RemediationStatus.UNREMEDIATED,
    Execution.CANCELLED: RemediationStatus.UNREMEDIATED,
}


def apply(action: Action, *, by: Actor) -> None:
    """Bring devices and evidence in line with the action's state. Safe to repeat."""
    action.refresh_from_db()
    if action.execution not in STATUS:
        return
    with transaction.atomic():
        _mark_evidence(action)
        if action.execution in ENDS:
            _flag_devices(action)
            _withdraw_for_offboarded(action, by=by)


def _mark_evidence(action: Action) -> None:
    status = STATUS[Execution(action.execution)]
    if action.undo_of_id:
        # What is no longer remediated is active again (domain §5.4).
        status = RemediationStatus.ACTIVE if action.execution in TARGET_DONE else RemediationStatus.REMEDIATED
    linked = action.links.values_list("evidence_id", flat=True)
    Evidence.objects.filter(pk__in=list(linked)).update(remediation=status)


TARGET_DONE = frozenset({Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED})


def _flag_devices(action: Action) -> None:
    flags = FLAGS.get(ActionType(action.type))
    if flags is None:
        return
    done = action.targets.filter(state__in=sorted(TARGET_SUCCESS), device__isnull=False)
    Device.objects.filter(pk__in=list(done.values_list("device_id", flat=True))).update(**flags(action))


def _withdraw_for_offboarded(action: Action, *, by: Actor) -> None:
    if action.type != ActionType.OFFBOARD_DEVICE:
        return
    done = action.targets.filter(state__in=sorted(TARGET_SUCCESS), device__isnull=False)
    devices = list(done.values_list("device_id", flat=True))
    if devices:
        Action.objects.withdraw("withdrawn_offboarded", by=by, device_id__in=devices)


def keep_artefacts(action: Action, artefacts: Sequence[base.Artefact]) -> None:
    """Store what a connector brought back, encrypted, under a generated name."""
    for artefact in artefacts:
        row = Artefact.objects.create(
            action=action,
            name=artefact.name[:255],
            media_type=artefact.media_type[:100],
            size=len(artefact.content),
            sha256=hashlib.sha256(artefact.content).hexdigest(),
        )
        default_storage.save(f"artefacts/{row.public_id}", ContentFile(vault.seal_bytes(artefact.content)))
